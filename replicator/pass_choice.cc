// What of a store travels: not all that is here goes to a remote.
#include <algorithm>
#include <utility>

#include "replicator/pass.h"
#include "replicator/whole_lists.h"

namespace varve {

/// Which travel, and the lists that they, and holds, name.
void Pass::choose_snapshots() {
  left_out_.clear();
  wanted_lists_.clear();
  for (const CarriedSnapshot& snapshot : history_.snapshots()) {
    if (history_.is_superseded(snapshot) || history_.was_replaced(snapshot.hash) ||
        route_.ledger->is_condemned(snapshot.file())) {
      left_out_.insert(snapshot.hash);
      continue;
    }
    want_lists(history_.lists_of(snapshot));
  }
  for (const FileHash& list : records_.held_lists()) want_lists(history_.with_bases(list));
}

void Pass::want_lists(const std::vector<FileHash>& lists) {
  for (const FileHash& list : lists) {
    if (!wanted_lists_.insert(list).second) continue;
    for (const PackInfo& pack : history_.rows_of(list)) pack_lengths_[pack.hash] = pack.length;
  }
}

/// What an exact list says, all of which is to be had here, is all that the snapshot needs. False:
/// there is no such list.
bool Pass::want_by_exact_list(const CarriedSnapshot& snapshot) {
  for (const FileHash& exact : history_.exact_lists_of(snapshot.hash)) {
    const auto rows = rows_needed_by(history_.lists().at(exact).content, snapshot.hash);
    const bool to_be_had = std::all_of(rows.begin(), rows.end(), [&](const PackInfo& row) {
      return is_settled(file_of_pack(row)) || may_go(file_of_pack(row));
    });
    if (!to_be_had) continue;
    for (const PackInfo& row : rows) wanted_again_.insert(row.hash);
    return true;
  }
  return false;
}

/// What was condemned there goes again for snapshots, and holds, that lack it.
void Pass::choose_condemned_packs() {
  wanted_again_.clear();
  if (!route_.ledger->any_condemned()) return;
  WholeLists there(history_, [&](const StoreFile& file) { return is_settled(file); });
  std::set<FileHash> met;
  const auto want = [&](const std::vector<FileHash>& lists) {
    for (const FileHash& list : lists) {
      if (!met.insert(list).second) continue;
      for (const PackInfo& pack : history_.rows_of(list)) wanted_again_.insert(pack.hash);
    }
  };
  for (const CarriedSnapshot& snapshot : history_.snapshots()) {
    if (left_out_.contains(snapshot.hash) || there.newest_whole_list(snapshot)) continue;
    if (!want_by_exact_list(snapshot)) want(history_.lists_of(snapshot));
  }
  for (const FileHash& list : records_.held_lists()) {
    if (!there.is_whole(list)) want(history_.with_bases(list));
  }
}

/// Checkpoints that are superseded stay, what has expired there, and the lists that they alone
/// name; and catalog packs, where the mode says so.
bool Pass::travels(const StoreFile& file) const {
  if (stays(file)) return false;
  if (file.file_class == FileClass::kSnapshot) return !left_out_.contains(file.hash);
  if (file.file_class == FileClass::kList) return wanted_lists_.contains(file.hash);
  return !is_pack(file) || !route_.ledger->is_condemned(file) || wanted_again_.contains(file.hash);
}

/// A checkpoint that came here from another site is out of date, most often: that site has sent
/// newer ones, and removed this one there.
Result<void> Pass::look_for_newer_checkpoints() {
  if (std::exchange(looked_for_newer_checkpoints_, true)) return {};
  std::vector<const CarriedSnapshot*> of_others;
  for (const CarriedSnapshot& snapshot : history_.snapshots()) {
    const bool goes = snapshot.is_checkpoint() && !left_out_.contains(snapshot.hash);
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
  VARVE_TRY(there.add(route_.to, config_, strange));
  for (const CarriedSnapshot* snapshot : of_others) {
    if (!there.has_newer_checkpoint(*snapshot)) continue;
    left_out_.insert(snapshot->hash);
    history_.note_replaced(snapshot->hash);
    std::lock_guard lock(figures_mutex_);
    figures_.files_left -= std::min<uint64_t>(figures_.files_left, 1);
  }
  return {};
}

}  // namespace varve
