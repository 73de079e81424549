#include "replicator/pass.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "dedup/access_folder.h"
#include "dedup/writer_head.h"

namespace varve {
namespace {

/// Snapshots go together until what they need comes to that much: then they are seen before the
/// next ones are sent.
constexpr uint64_t kRoundBytes = 256 * kMiB;
/// From so many missing files on the remote is listed, in place of looking for each.
constexpr size_t kMissingWorthListing = 512;

std::string folder_of_file(const StoreFile& file) {
  const std::string path = path_of(file);
  return path.substr(0, path.rfind('/'));
}

bool is_pack(const StoreFile& file) {
  return file.file_class == FileClass::kPack || file.file_class == FileClass::kCatalogPack;
}

/// 0 if it cannot be told.
uint64_t length_here(Storage& storage, const StoreFile& file) {
  const Result<std::unique_ptr<StorageFile>> opened = storage.open_read(path_of(file));
  if (!opened.ok()) return 0;
  const Result<uint64_t> length = (*opened)->length();
  return length.ok() ? *length : 0;
}

}  // namespace

Result<std::unique_ptr<Pass>> Pass::begin(const Shipment::Route& route, const StoreConfig& config,
                                          CarriedHistory& history, CatalogMode catalog) {
  std::unique_ptr<Pass> pass(new Pass(route, config, history, catalog));
  VARVE_TRY(pass->list_what_is_here());
  pass->count_what_is_missing();
  pass->queue_missing(FileClass::kKeys);
  return pass;
}

Result<void> Pass::list_what_is_here() {
  const StoreFiles files = VARVE_TRY(list_store_files(route_.from));
  VARVE_TRY(history_.refresh(route_.from, config_, files));
  if (const std::optional<WriterHead> head = VARVE_TRY(read_writer_head(route_.from))) {
    own_.insert(head->succeeded.begin(), head->succeeded.end());
    own_.insert(head->writer);
  }
  // A superseded generation of access opens nothing any more, and does not travel.
  std::set<FileHash> generations;
  for (const FoundGeneration& found : VARVE_TRY(read_generations_in_force(route_.from, config_)))
    generations.insert(found.hash);
  for (const StoreFile& file : files.files) {
    if (file.file_class == FileClass::kKeys && !generations.contains(file.hash)) continue;
    here_.push_back(file);
  }
  here_set_.insert(here_.begin(), here_.end());
  for (const auto& [file, problem] : history_.problems()) {
    failed_.insert(file);
    problems_[path_of(file)] = problem;
  }
  return {};
}

void Pass::count_what_is_missing() {
  for (const CarriedSnapshot& snapshot : history_.snapshots()) {
    if (history_.is_superseded(snapshot) || history_.was_replaced(snapshot.hash)) {
      superseded_.insert(snapshot.hash);
      continue;
    }
    for (const FileHash& list : history_.lists_of(snapshot)) {
      if (!wanted_lists_.insert(list).second) continue;
      for (const PackInfo& pack : history_.rows_of(list)) pack_lengths_[pack.hash] = pack.length;
    }
  }
  for (const StoreFile& file : here_) {
    if (is_there(file) || !may_go(file) || !travels(file)) continue;
    figures_.files_left++;
    if (!is_pack(file)) continue;
    uint64_t& length = pack_lengths_[file.hash];
    if (length == 0) length = length_here(route_.from, file);
    figures_.packs_left++;
    figures_.bytes_left += length;
  }
}

/// Checkpoints that are superseded stay, and the lists that they alone name.
bool Pass::travels(const StoreFile& file) const {
  if (stays(file)) return false;
  if (file.file_class == FileClass::kSnapshot) return !superseded_.contains(file.hash);
  return file.file_class != FileClass::kList || wanted_lists_.contains(file.hash);
}

bool Pass::may_go(const StoreFile& file) const {
  return here_set_.contains(file) && !failed_.contains(file);
}

Result<void> Pass::look_at_remote() {
  if (there_by_list_ || figures_.files_left < kMissingWorthListing) return {};
  const StoreFiles files = VARVE_TRY(list_store_files(route_.to));
  there_by_list_.emplace(files.files.begin(), files.files.end());
  return {};
}

/// A checkpoint that came here from another site is out of date, most often: that site has sent
/// newer ones, and removed this one there.
Result<void> Pass::look_for_newer_checkpoints() {
  if (std::exchange(looked_for_newer_checkpoints_, true)) return {};
  std::vector<const CarriedSnapshot*> of_others;
  for (const CarriedSnapshot& snapshot : history_.snapshots()) {
    const bool goes = snapshot.is_checkpoint() && !superseded_.contains(snapshot.hash);
    if (goes && !is_own(snapshot.writer) && !is_there(snapshot.file()))
      of_others.push_back(&snapshot);
  }
  if (of_others.empty()) return {};
  std::vector<StoreFile> strange;
  for (const StoreFile& file : VARVE_TRY(list_files_of(route_.to, FileClass::kSnapshot))) {
    if (!here_set_.contains(file)) strange.push_back(file);
  }
  CarriedHistory there;
  VARVE_TRY(there.refresh(route_.from, config_, {}));
  VARVE_TRY(there.add_snapshots(route_.to, config_, strange));
  for (const CarriedSnapshot* snapshot : of_others) {
    if (!there.has_newer_checkpoint(*snapshot)) continue;
    superseded_.insert(snapshot->hash);
    history_.note_replaced(snapshot->hash);
    std::lock_guard lock(figures_mutex_);
    figures_.files_left -= std::min<uint64_t>(figures_.files_left, 1);
  }
  return {};
}

void Pass::enqueue(const StoreFile& file) {
  if (!is_settled(file) && may_go(file)) queue_.push_back(file);
}

void Pass::queue_missing(FileClass file_class) {
  for (const StoreFile& file : here_) {
    if (file.file_class != file_class) continue;
    if (is_pack(file) && !last_round_ && !round_packs_.contains(file)) continue;
    enqueue(file);
  }
}

/// The next snapshots that are not there, with the packs and lists that they need.
void Pass::begin_round() {
  round_.clear();
  round_packs_.clear();
  round_lists_.clear();
  uint64_t bytes = 0;
  const std::vector<CarriedSnapshot>& snapshots = history_.snapshots();
  for (; next_snapshot_ < snapshots.size() && bytes < kRoundBytes; next_snapshot_++) {
    const CarriedSnapshot& snapshot = snapshots[next_snapshot_];
    if (is_there(snapshot.file()) || superseded_.contains(snapshot.hash)) continue;
    round_.push_back(&snapshot);
    for (const FileHash& list : history_.lists_of(snapshot)) {
      if (!round_lists_.insert({FileClass::kList, list}).second) continue;
      for (const PackInfo& pack : history_.rows_of(list)) {
        const StoreFile file = file_of_pack(pack);
        if (!is_settled(file) && may_go(file) && round_packs_.insert(file).second)
          bytes += pack.length;
      }
    }
  }
  last_round_ = next_snapshot_ == snapshots.size();
}

bool Pass::list_may_go(const FileHash& list) const {
  const std::vector<PackInfo>& rows = history_.rows_of(list);
  return std::all_of(rows.begin(), rows.end(), [&](const PackInfo& row) {
    const StoreFile pack = file_of_pack(row);
    return is_settled(pack) || !here_set_.contains(pack);
  });
}

void Pass::queue_lists() {
  std::set<FileHash> queued;
  const auto offer = [&](const FileHash& list) {
    if (queued.insert(list).second && list_may_go(list)) enqueue({FileClass::kList, list});
  };
  for (const CarriedSnapshot* snapshot : round_) {
    for (const FileHash& list : history_.lists_of(*snapshot)) offer(list);
  }
  if (!last_round_) return;
  for (const FileHash& list : wanted_lists_) offer(list);
}

void Pass::queue_snapshots() {
  const auto there = [&](const StoreFile& file) { return is_settled(file); };
  for (const CarriedSnapshot* snapshot : round_) {
    const StoreFile born{FileClass::kList, snapshot->header.list};
    const bool born_settled = is_there(born) || !here_set_.contains(born);
    if (born_settled && history_.lacking(*snapshot, there).nothing()) enqueue(snapshot->file());
  }
}

void Pass::add_problem(const std::string& path, std::string problem) {
  std::lock_guard lock(figures_mutex_);
  problems_[path] = std::move(problem);
}

void Pass::note_waiting() {
  const auto there = [&](const StoreFile& file) { return is_settled(file); };
  for (const CarriedSnapshot* snapshot : round_) {
    if (is_there(snapshot->file()) || failed_.contains(snapshot->file())) continue;
    const Lacking lacking = history_.lacking(*snapshot, there);
    std::string why = "its list";
    if (!lacking.packs.empty()) {
      why = path_of(file_of_pack(lacking.packs.front()));
      if (lacking.packs.size() > 1)
        why += fmt::format(" and {} more packs", lacking.packs.size() - 1);
    } else if (!lacking.lists.empty()) {
      why = path_of({FileClass::kList, lacking.lists.front()});
    }
    const std::string path = path_of(snapshot->file());
    add_problem(path, fmt::format("{}: waits, because {} cannot be sent", path, why));
    std::lock_guard lock(figures_mutex_);
    figures_.snapshots_waiting++;
  }
}

Result<void> Pass::retire_checkpoints() {
  // The newest that is both here and there, of each writer; and of all who live here, or did.
  std::map<WriterId, uint64_t> arrived;
  uint64_t newest = 0;
  for (const CarriedSnapshot& snapshot : history_.snapshots()) {
    if (!snapshot.is_checkpoint() || history_.is_superseded(snapshot) || !is_there(snapshot.file()))
      continue;
    arrived[snapshot.writer] = snapshot.sequence;
    if (is_own(snapshot.writer)) newest = std::max(newest, snapshot.sequence);
  }
  bool any = false;
  for (const auto& [file, entry] : route_.ledger->checkpoints_there()) {
    const auto of_writer = arrived.find(entry.checkpoint->writer);
    const bool older = of_writer != arrived.end() && entry.checkpoint->sequence < of_writer->second;
    // A writer that was succeeded here: its checkpoints went when the successor's took their place.
    const bool succeeded = is_own(entry.checkpoint->writer) && of_writer == arrived.end() &&
                           !here_set_.contains(file) && entry.checkpoint->sequence < newest;
    if (!older && !succeeded) continue;
    // First the claim, then the file: the ledger never claims what is gone.
    route_.ledger->note_gone(file);
    VARVE_TRY(route_.ledger->save());
    Result<void> removed = route_.to.unlink(path_of(file));
    if (!removed.ok() && removed.error().code() != Errc::kNotFound) return removed;
    any = true;
  }
  if (any) VARVE_TRY(route_.to.sync_dir("snapshots"));
  return {};
}

/// Nothing goes before the keys that open it; the next pass tries them again.
bool Pass::keys_are_there() const {
  return std::all_of(here_.begin(), here_.end(), [&](const StoreFile& file) {
    return file.file_class != FileClass::kKeys || is_there(file);
  });
}

/// The stage is empty, and nothing of it in flight: on to the next one.
Result<void> Pass::advance() {
  switch (stage_) {
    case Stage::kKeys:
    case Stage::kRetire:
      if (stage_ == Stage::kKeys && !keys_are_there()) {
        stage_ = Stage::kOver;
        return {};
      }
      if (stage_ == Stage::kRetire) {
        VARVE_TRY(retire_checkpoints());
        note_waiting();
      }
      if (last_round_) {
        stage_ = Stage::kRecords;
        queue_missing(FileClass::kRecord);
        return {};
      }
      begin_round();
      stage_ = Stage::kPacks;
      queue_missing(FileClass::kPack);
      return {};
    case Stage::kPacks:
      stage_ = Stage::kCatalogPacks;
      queue_missing(FileClass::kCatalogPack);
      return {};
    case Stage::kCatalogPacks:
      stage_ = Stage::kLists;
      queue_lists();
      return {};
    case Stage::kLists:
      stage_ = Stage::kSnapshots;
      queue_snapshots();
      return {};
    case Stage::kSnapshots:
      stage_ = Stage::kRetire;
      return {};
    case Stage::kRecords:
    case Stage::kOver:
      stage_ = Stage::kOver;
      return {};
  }
  return {};
}

/// Without the lock: on a long line folders are made side by side.
Result<void> Pass::make_folder_of(const StoreFile& file) {
  const std::string folder = folder_of_file(file);
  {
    std::lock_guard lock(mutex_);
    if (folders_made_.contains(folder)) return {};
  }
  VARVE_TRY(route_.to.make_directories(folder));
  std::lock_guard lock(mutex_);
  folders_made_.insert(folder);
  return {};
}

Result<Pass::Next> Pass::next() {
  Next next = VARVE_TRY(take_from_queue());
  if (next.ask == Ask::kWork) VARVE_TRY(make_folder_of(next.shipment->file()));
  return next;
}

Result<Pass::Next> Pass::take_from_queue() {
  std::lock_guard lock(mutex_);
  VARVE_TRY(look_at_remote());
  VARVE_TRY(look_for_newer_checkpoints());
  while (queue_.empty()) {
    if (in_flight_ > 0) return Next{Ask::kWait, nullptr};
    if (stage_ == Stage::kOver) return Next{Ask::kOver, nullptr};
    VARVE_TRY(advance());
  }
  const StoreFile file = queue_.front();
  queue_.pop_front();
  const bool may_be_there = !there_by_list_ || there_by_list_->contains(file);
  in_flight_++;
  return Next{Ask::kWork, std::make_unique<Shipment>(route_, file, may_be_there)};
}

Result<void> Pass::finished(const Shipment& shipment, Shipment::Outcome outcome) {
  const StoreFile file = shipment.file();
  if (outcome == Shipment::Outcome::kSent || outcome == Shipment::Outcome::kWasThere) {
    ReplicationLedger::Entry entry{shipment.length(), std::nullopt};
    if (file.file_class == FileClass::kSnapshot) {
      std::lock_guard lock(mutex_);
      for (const CarriedSnapshot* snapshot : round_) {
        if (snapshot->hash == file.hash && snapshot->is_checkpoint())
          entry.checkpoint = CheckpointOf{snapshot->writer, snapshot->sequence};
      }
    }
    route_.ledger->note_there(file, entry);
    VARVE_TRY(route_.ledger->save());
  }
  std::lock_guard lock(mutex_);
  in_flight_--;
  if (outcome == Shipment::Outcome::kSourceGone || outcome == Shipment::Outcome::kSourceDamaged) {
    failed_.insert(file);
    if (outcome == Shipment::Outcome::kSourceDamaged)
      add_problem(path_of(file), shipment.problem() + "; it is not sent");
    return {};
  }
  std::lock_guard figures_lock(figures_mutex_);
  if (outcome == Shipment::Outcome::kWasThere) {
    figures_.files_were_there++;
  } else {
    figures_.files_sent++;
    figures_.bytes_sent += shipment.written();
    if (file.file_class == FileClass::kSnapshot) figures_.snapshots_sent++;
  }
  figures_.files_left -= std::min<uint64_t>(figures_.files_left, 1);
  if (!is_pack(file)) return {};
  figures_.packs_left -= std::min<uint64_t>(figures_.packs_left, 1);
  const auto length = pack_lengths_.find(file.hash);
  if (length != pack_lengths_.end())
    figures_.bytes_left -= std::min(figures_.bytes_left, length->second);
  return {};
}

PassFigures Pass::figures() const {
  std::lock_guard lock(figures_mutex_);
  return figures_;
}

std::vector<std::string> Pass::problems() const {
  std::lock_guard lock(figures_mutex_);
  std::vector<std::string> lines;
  for (const auto& [path, problem] : problems_) lines.push_back(problem);
  return lines;
}

}  // namespace varve
