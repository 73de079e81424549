// What a snapshot leaves in the working copy, so that the next one need not do the same again.
//
// A crash before all of it is committed costs work, never data: marks that stay make their
// directories be written again, to the same objects. What the next list builds on is applied before
// the r rows that rely on it, never behind them.
#pragma once

#include <string_view>
#include <vector>

#include "catalog/live_tree.h"
#include "catalog/snapshot_body.h"
#include "catalog/snapshot_walk.h"

namespace varve {

/// A meta row: something was snapshotted, and its marks are gone, that no checkpoint has.
inline constexpr std::string_view kNotCheckpointed = "not_checkpointed";

class SnapshotResults {
 public:
  /// `generation` is the last one that the snapshot shows.
  SnapshotResults(StagedKv& kv, LiveTree& tree, uint64_t generation)
      : kv_(kv), tree_(tree), generation_(generation) {}

  Result<void> apply(SnapshotClass snapshot_class, const std::vector<WalkedSet>& sets,
                     const FileHash& list, const std::vector<PackId>& bundled);

 private:
  /// False if the set has another tree than the snapshot's by now: nothing of it holds any more.
  Result<bool> apply_set(const WalkedSet& set, const FileHash& list);
  Result<void> apply_directories(const WalkedSet& set, size_t from, size_t to);
  Result<void> apply_files(const WalkedSet& set, size_t from, size_t to);
  Result<bool> is_newer(const std::string& key);
  Result<bool> is_live(const WalkedSet& set);

  StagedKv& kv_;
  LiveTree& tree_;
  const uint64_t generation_;
};

}  // namespace varve
