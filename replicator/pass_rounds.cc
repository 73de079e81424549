// The stages of a pass: what goes, in which order.
#include <fmt/format.h>

#include <algorithm>

#include "replicator/expiry_log.h"
#include "replicator/pass.h"

namespace varve {
namespace {

/// Snapshots go together until what they need comes to that much: then they are seen before the
/// next ones are sent.
constexpr uint64_t kRoundBytes = 256 * kMiB;
/// From so many snapshots of a round on their folder is listed, in place of looking for each.
constexpr size_t kSnapshotsWorthListing = 32;
/// So often a round is done again, before its snapshots go and after, while expiry is at work
/// there: it looks once more itself when it is through.
constexpr int kRepeatsMax = 3;

}  // namespace

/// The stage is empty, and nothing of it in flight: on to the next one.
Result<void> Pass::advance() {
  switch (stage_) {
    case Stage::kKeys:
      if (!keys_are_there()) {
        stage_ = Stage::kOver;
        return {};
      }
      VARVE_TRY(retire_keys());
      return begin_next_round();
    case Stage::kRetire:
      VARVE_TRY(retire_checkpoints());
      note_waiting();
      return begin_next_round();
    case Stage::kPacks:
      stage_ = Stage::kCatalogPacks;
      queue_missing(FileClass::kCatalogPack);
      return {};
    case Stage::kCatalogPacks:
      stage_ = Stage::kLists;
      queue_lists();
      return {};
    case Stage::kLists:
      VARVE_TRY(look_for_snapshots());
      if (VARVE_TRY(repeat_round(repeats_before_))) return {};
      stage_ = Stage::kSnapshots;
      queue_snapshots();
      return {};
    case Stage::kSnapshots:
      if (VARVE_TRY(repeat_round(repeats_after_))) return {};
      if (std::any_of(round_.begin(), round_.end(), [&](const auto* snapshot) {
            return route_.ledger->is_condemned(snapshot->file());
          }))
        count_what_is_missing();  // without what has expired there meanwhile
      stage_ = Stage::kRetire;
      return {};
    case Stage::kRecords:
      VARVE_TRY(retire_records());
      VARVE_TRY(look_after_holds());
      stage_ = Stage::kOver;
      return {};
    case Stage::kOver:
      return {};
  }
  return {};
}

Result<void> Pass::begin_next_round() {
  if (last_round_) {
    stage_ = Stage::kRecords;
    queue_missing(FileClass::kRecord);
    return {};
  }
  begin_round();
  stage_ = Stage::kPacks;
  queue_missing(FileClass::kPack);
  return {};
}

/// Nothing goes before the keys that open it; the next pass tries them again.
bool Pass::keys_are_there() const {
  return std::all_of(here_.begin(), here_.end(), [&](const StoreFile& file) {
    return file.file_class != FileClass::kKeys || is_there(file);
  });
}

/// The next snapshots that are not there, with the packs and lists that they need.
void Pass::begin_round() {
  round_.clear();
  repeats_before_ = repeats_after_ = 0;
  uint64_t bytes = 0;
  std::set<FileHash> met, packs;
  const std::vector<CarriedSnapshot>& snapshots = history_.snapshots();
  for (; next_snapshot_ < snapshots.size() && bytes < kRoundBytes; next_snapshot_++) {
    const CarriedSnapshot& snapshot = snapshots[next_snapshot_];
    if (is_there(snapshot.file()) || left_out_.contains(snapshot.hash)) continue;
    round_.push_back(&snapshot);
    for (const FileHash& list : history_.lists_of(snapshot)) {
      if (!met.insert(list).second) continue;
      for (const PackInfo& pack : history_.rows_of(list)) {
        const StoreFile file = file_of_pack(pack);
        if (!is_there(file) && may_go(file) && travels(file) && packs.insert(file.hash).second)
          bytes += pack.length;
      }
    }
  }
  last_round_ = next_snapshot_ == snapshots.size();
  collect_round();
}

void Pass::collect_round() {
  round_packs_.clear();
  std::set<FileHash> met;
  for (const CarriedSnapshot* snapshot : round_) {
    for (const FileHash& list : history_.lists_of(*snapshot)) {
      if (!met.insert(list).second) continue;
      for (const PackInfo& pack : history_.rows_of(list)) round_packs_.insert(file_of_pack(pack));
    }
  }
}

/// Reads the log: true if what went there is to be sent again first.
Result<bool> Pass::repeat_round(int& repeats) {
  if (round_.empty() || repeats >= kRepeatsMax) return false;
  if (!VARVE_TRY(follow_expiry_log(route_.to, *route_.ledger))) return false;
  repeats++;
  count_what_is_missing();
  there_by_list_.reset();  // it is older than the log
  std::erase_if(round_, [&](const auto* one) { return left_out_.contains(one->hash); });
  collect_round();
  stage_ = Stage::kPacks;
  queue_missing(FileClass::kPack);
  return true;
}

void Pass::queue_missing(FileClass file_class) {
  for (const StoreFile& file : here_) {
    if (file.file_class != file_class) continue;
    if (is_pack(file) && !last_round_ && !round_packs_.contains(file)) continue;
    enqueue(file);
  }
}

bool Pass::list_may_go(const FileHash& list) const {
  const std::vector<PackInfo>& rows = history_.rows_of(list);
  return std::all_of(rows.begin(), rows.end(), [&](const PackInfo& row) {
    const StoreFile pack = file_of_pack(row);
    return is_there(pack) || !here_set_.contains(pack) || !travels(pack);
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

bool Pass::is_ready(const CarriedSnapshot& snapshot) const {
  const StoreFile born{FileClass::kList, snapshot.header.list};
  const bool born_settled = is_there(born) || !here_set_.contains(born);
  return born_settled &&
         history_.lacking(snapshot, [&](const StoreFile& file) { return is_settled(file); })
             .nothing();
}

/// Before the log is read: one that is missing and that the log does not say to have gone was not
/// moved away. If it were looked for later, a run of expiry could have taken it, its list and its
/// packs in between, and it would be sent again alone.
Result<void> Pass::look_for_snapshots() {
  snapshots_seen_.clear();
  std::vector<FileHash> ready;
  for (const CarriedSnapshot* snapshot : round_) {
    if (!is_there(snapshot->file()) && is_ready(*snapshot)) ready.push_back(snapshot->hash);
  }
  if (ready.size() < kSnapshotsWorthListing) {
    for (const FileHash& hash : ready) {
      if (VARVE_TRY(route_.to.exists(path_of({FileClass::kSnapshot, hash}))))
        snapshots_seen_.insert(hash);
    }
    return {};
  }
  for (const StorageEntry& entry : VARVE_TRY(list_if_there(route_.to, "snapshots"))) {
    if (const auto hash = FileHash::from_hex(entry.name)) snapshots_seen_.insert(*hash);
  }
  return {};
}

void Pass::queue_snapshots() {
  for (const CarriedSnapshot* snapshot : round_) {
    if (!route_.ledger->is_condemned(snapshot->file()) && is_ready(*snapshot))
      enqueue(snapshot->file());
  }
}

void Pass::note_waiting() {
  const auto there = [&](const StoreFile& file) { return is_settled(file); };
  for (const CarriedSnapshot* snapshot : round_) {
    if (is_there(snapshot->file()) || failed_.contains(snapshot->file()) ||
        left_out_.contains(snapshot->hash))
      continue;
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

}  // namespace varve
