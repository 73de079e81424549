// Collection: packs that nothing needs any more are removed (docs/collection.md has the rules).
//
// Nobody is kept waiting but for two moments; no reference counts, no clock. What is needed is
// found by following the live tree, checkpoints and snapshots, and found once more, after hits in
// what is about to go have become misses; an exact list is published; files are unlinked last.
// After a crash at any place all that is needed is there, and the next collection removes what is
// not.
#pragma once

#include <functional>
#include <string>

#include "catalog/snapshotter.h"

namespace varve {

struct CollectRequest {
  bool dry_run = false;  // nothing is changed
  /// As Snapshotter::take asks for it.
  std::function<Result<void>(const Snapshotter::Moment&)> quiesce;
  /// Runs what it is given while no snapshot, checkpoint or revert is under way.
  std::function<Result<void>(const std::function<Result<void>()>&)> alone;
  /// What is being done, and how much of it is done.
  std::function<void(const std::string& what, uint64_t done)> progress;
};

struct CollectFigures {
  uint64_t packs = 0, bytes = 0;                  // removed, or that would be
  uint64_t catalog_packs = 0;                     // of those
  uint64_t kept_packs = 0, kept_bytes = 0;        // needed
  uint64_t spared_packs = 0, spared_bytes = 0;    // not needed, and not to be removed now
  uint64_t strange_packs = 0, strange_bytes = 0;  // here, and not this working copy's
  uint64_t snapshots = 0;                         // that were followed, checkpoints too
  uint64_t unknown_snapshots = 0;                 // that cannot be followed: all of theirs stays
  uint64_t objects = 0;                           // that were read
};

}  // namespace varve
