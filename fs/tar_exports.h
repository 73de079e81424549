// Snapshots as archives: which are open or were lately, and how large they are. Any thread.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "catalog/tar_archive.h"
#include "catalog/working_copy.h"

namespace varve {

class TarExports {
 public:
  explicit TarExports(WorkingCopy& working_copy) : working_copy_(working_copy) {}

  /// Of a set's snapshot, or the whole mount's. The first time it walks the snapshot, which takes
  /// microseconds a file; who comes meanwhile waits.
  Result<std::shared_ptr<TarArchive>> of_snapshot(const SnapshotInfo& snapshot);
  /// Of one set (zeros: all) in a checkpoint; kNotFound if it is not in it. Not kept here.
  Result<std::shared_ptr<TarArchive>> of_checkpoint(const SnapshotInfo& checkpoint,
                                                    const SetId& set);
  /// The size of the snapshot's archive, if it is known without a walk.
  std::optional<uint64_t> known_size(const FileHash& snapshot) const;

  /// live.tar has no size but that of what was opened last.
  void opened_live(const SetId& set, uint64_t size);
  uint64_t live_size(const SetId& set) const;

 private:
  struct Slot {
    std::mutex mutex;  // held while it is made
    std::shared_ptr<TarArchive> archive;
  };

  WorkingCopy& working_copy_;
  mutable std::mutex mutex_;                                     // guards what follows
  std::list<std::pair<FileHash, std::shared_ptr<Slot>>> slots_;  // used last first
  std::unordered_map<FileHash, uint64_t, IdHash> sizes_;
  std::unordered_map<SetId, uint64_t, IdHash> live_sizes_;
};

}  // namespace varve
