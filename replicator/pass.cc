#include "replicator/pass.h"

#include <algorithm>

#include "dedup/access_folder.h"
#include "dedup/writer_head.h"

namespace varve {
namespace {

/// From so many missing files on the remote is listed, in place of looking for each.
constexpr size_t kMissingWorthListing = 512;

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
  VARVE_TRY(records_.refresh(route_.from, config_, files));
  if (const std::optional<WriterHead> head = VARVE_TRY(read_writer_head(route_.from))) {
    own_.insert(head->succeeded.begin(), head->succeeded.end());
    own_.insert(head->writer);
  }
  // A superseded generation of access opens nothing any more, and does not travel.
  for (const FoundGeneration& found : VARVE_TRY(read_generations_in_force(route_.from, config_)))
    keys_in_force_.insert(found.hash);
  was_rotated_ = !VARVE_TRY(read_superseded_generations(route_.from, config_)).empty();
  for (const StoreFile& file : files.files) {
    if (file.file_class == FileClass::kKeys && !keys_in_force_.contains(file.hash)) continue;
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
  choose_snapshots();
  choose_condemned_packs();
  uint64_t files = 0, packs = 0, bytes = 0;
  for (const StoreFile& file : here_) {
    if (is_there(file) || !may_go(file) || !travels(file)) continue;
    files++;
    if (!is_pack(file)) continue;
    uint64_t& length = pack_lengths_[file.hash];
    if (length == 0) length = length_in(route_.from, file);
    packs++;
    bytes += length;
  }
  std::lock_guard lock(figures_mutex_);
  figures_.files_left = files;
  figures_.packs_left = packs;
  figures_.bytes_left = bytes;
}

/// 0 if it cannot be told.
uint64_t Pass::length_in(Storage& storage, const StoreFile& file) {
  const Result<std::unique_ptr<StorageFile>> opened = storage.open_read(path_of(file));
  if (!opened.ok()) return 0;
  const Result<uint64_t> length = (*opened)->length();
  return length.ok() ? *length : 0;
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

void Pass::enqueue(const StoreFile& file) {
  if (!is_there(file) && may_go(file) && travels(file)) queue_.push_back(file);
}

/// Snapshots were looked for before the log was read: look_for_snapshots().
Shipment::Look Pass::look_for(const StoreFile& file) const {
  using Look = Shipment::Look;
  if (file.file_class == FileClass::kSnapshot)
    return snapshots_seen_.contains(file.hash) ? Look::kMustBeThere : Look::kNone;
  return !there_by_list_ || there_by_list_->contains(file) ? Look::kFirst : Look::kNone;
}

void Pass::add_problem(const std::string& path, std::string problem) {
  std::lock_guard lock(figures_mutex_);
  problems_[path] = std::move(problem);
}

/// Without the lock: on a long line folders are made side by side.
Result<void> Pass::make_folder_of(const StoreFile& file) {
  const std::string folder = folder_of(file);
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
  VARVE_TRY(look_for_evicted());
  while (queue_.empty()) {
    if (in_flight_ > 0) return Next{Ask::kWait, nullptr};
    if (stage_ == Stage::kOver) return Next{Ask::kOver, nullptr};
    VARVE_TRY(advance());
  }
  const StoreFile file = queue_.front();
  queue_.pop_front();
  in_flight_++;
  return Next{Ask::kWork, std::make_unique<Shipment>(route_, file, look_for(file))};
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
  if (outcome == Shipment::Outcome::kNotThere) {
    note_went(file);
    return {};
  }
  if (outcome == Shipment::Outcome::kSourceGone || outcome == Shipment::Outcome::kSourceDamaged) {
    failed_.insert(file);
    if (outcome == Shipment::Outcome::kSourceDamaged)
      add_problem(path_of(file), shipment.problem() + "; it is not sent");
    return {};
  }
  record_came_ = record_came_ || file.file_class == FileClass::kRecord;
  note_figures(shipment, outcome);
  return {};
}

/// A snapshot was there and is no more: it has expired, and the log says so by now; or it is a
/// checkpoint that its site has replaced.
void Pass::note_went(const StoreFile& file) {
  const bool checkpoint = std::any_of(round_.begin(), round_.end(), [&](const auto* snapshot) {
    return snapshot->hash == file.hash && snapshot->is_checkpoint();
  });
  if (!checkpoint) return;
  left_out_.insert(file.hash);
  history_.note_replaced(file.hash);
  std::lock_guard lock(figures_mutex_);
  figures_.files_left -= std::min<uint64_t>(figures_.files_left, 1);
}

void Pass::note_figures(const Shipment& shipment, Shipment::Outcome outcome) {
  const StoreFile file = shipment.file();
  std::lock_guard lock(figures_mutex_);
  if (outcome == Shipment::Outcome::kWasThere) {
    figures_.files_were_there++;
  } else {
    figures_.files_sent++;
    figures_.bytes_sent += shipment.written();
    if (file.file_class == FileClass::kSnapshot) figures_.snapshots_sent++;
  }
  figures_.files_left -= std::min<uint64_t>(figures_.files_left, 1);
  if (!is_pack(file)) return;
  figures_.packs_left -= std::min<uint64_t>(figures_.packs_left, 1);
  const auto length = pack_lengths_.find(file.hash);
  if (length != pack_lengths_.end())
    figures_.bytes_left -= std::min(figures_.bytes_left, length->second);
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
