// Restores a set of a snapshot into a directory, without a mount: every kind of file, hard links,
// holes, owners, modes, extended attributes with ACLs, times.
//
// It resumes: a file that is there with its size and time is compared with the snapshot's bytes and
// kept if it is equal; any other is written under a temporary name, read back, and renamed. Names
// in the directory that the snapshot does not have are left alone. What cannot be restored is
// named, and the rest goes on; a file is never left half written under its own name.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "catalog/store_reader.h"

namespace varve {

struct RestoreFigures {
  uint64_t files = 0;  // names of all kinds, directories too
  uint64_t kept = 0;   // regular files that were there already
  uint64_t written_bytes = 0;
  uint64_t checked_bytes = 0;  // read back and found equal
  uint64_t failures = 0;       // names that are not, or not fully, restored
};

struct RestoreCallbacks {
  /// Now and then.
  std::function<void(const RestoreFigures&)> progress;
  /// Of each name that could not be restored: its path below the set's top ("" is the top), and
  /// why.
  std::function<void(std::string_view path, const Error&)> failed;
};

/// Fails at once only if the snapshot or the target cannot be opened, or the target is full; then
/// what came before is there, and a second run goes on from it. Otherwise RestoreFigures::failures
/// says whether all is there. Synced on return.
Result<RestoreFigures> restore(StoreReader& store, const SnapshotInfo& snapshot, const SetId& set,
                               const std::string& target, const RestoreCallbacks& callbacks);

}  // namespace varve
