// What a pass removes at a remote: what something newer there stands for.
#include <algorithm>

#include "dedup/access_folder.h"
#include "dedup/keyring.h"
#include "dedup/replaced_keys.h"
#include "replicator/pass.h"

namespace varve {

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
    VARVE_TRY(remove_there(file));
    any = true;
  }
  if (any) VARVE_TRY(route_.to.sync_dir("snapshots"));
  return {};
}

/// Generations of access that others supersede which lie there whole, oldest first, each durably:
/// one whose child is gone would count again. Behind them what was replaced here: where the remote
/// missed a change, nothing there names that.
Result<void> Pass::retire_keys() {
  if (!was_rotated_) return {};
  std::set<FileHash> there;
  for (const StorageEntry& entry : VARVE_TRY(list_if_there(route_.to, kKeysDirectory))) {
    if (const auto hash = FileHash::from_hex(entry.name); hash && !entry.is_directory)
      there.insert(*hash);
  }
  if (std::includes(keys_in_force_.begin(), keys_in_force_.end(), there.begin(), there.end()))
    return {};
  std::vector<FileHash> replaced = VARVE_TRY(read_superseded_generations(route_.to, config_));
  // Never the last that opens: only where what stands for them lies there whole.
  std::set<FileHash> open_there;
  for (const FoundGeneration& found : VARVE_TRY(read_generations_in_force(route_.to, config_)))
    open_there.insert(found.hash);
  if (std::includes(open_there.begin(), open_there.end(), keys_in_force_.begin(),
                    keys_in_force_.end())) {
    const std::vector<FileHash> replaced_here = VARVE_TRY(read_replaced_keys(route_.from));
    replaced.insert(replaced.end(), replaced_here.begin(), replaced_here.end());
  }
  for (const FileHash& hash : replaced) {
    if (keys_in_force_.contains(hash) || there.erase(hash) == 0) continue;
    VARVE_TRY(remove_there({FileClass::kKeys, hash}));
    VARVE_TRY(route_.to.sync_dir(kKeysDirectory));
  }
  return {};
}

/// Records that were removed here because a base record stands for them. What another writer's
/// record says is removed with it only if that base says it too.
Result<void> Pass::retire_records() {
  if (!record_came_) return {};
  std::vector<FileHash> gone_here;
  for (const StoreFile& file : route_.ledger->records_there()) {
    if (!here_set_.contains(file)) gone_here.push_back(file.hash);
  }
  if (gone_here.empty()) return {};
  const auto keys = VARVE_TRY(read_epoch_keys(route_.from, config_));
  const std::optional<FileHash> base = records_.newest_base();
  if (!base || !is_there({FileClass::kRecord, *base})) return {};
  bool any = false;
  for (const FileHash& hash : gone_here) {
    const Result<CarriedRecord> record = read_carried_record(route_.to, config_, keys, hash);
    if (!record.ok() && record.error().code() == Errc::kIo) return record.error();
    if (!record.ok() || !records_.covers(*base, *record)) continue;
    VARVE_TRY(remove_there({FileClass::kRecord, hash}));
    any = true;
  }
  return any ? route_.to.sync_dir("records") : Result<void>();
}

/// First the claim, then the file: the ledger never claims what is gone.
Result<void> Pass::remove_there(const StoreFile& file) {
  if (is_there(file)) {
    route_.ledger->note_gone(file);
    VARVE_TRY(route_.ledger->save());
  }
  Result<void> removed = route_.to.unlink(path_of(file));
  if (!removed.ok() && removed.error().code() != Errc::kNotFound) return removed;
  return {};
}

}  // namespace varve
