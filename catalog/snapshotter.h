// Takes snapshots: tree objects for what changed, the list, the snapshot.
//
// take() is for one thread at a time per Snapshotter (it locks). Cost follows the directories that
// changed since the last one.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "catalog/committer.h"
#include "catalog/history.h"
#include "catalog/tree.h"

namespace varve {

class Snapshotter {
 public:
  Snapshotter(StagedKv& kv, LiveTree& tree, Committer& committer, Ingest& ingest, ChunkIndex& index,
              PackStore& packs, Fetch& fetch, History& history, Storage& storage);
  ~Snapshotter();

  struct Request {
    SnapshotClass snapshot_class = SnapshotClass::kSet;
    uint32_t set = 0;  // for kSet
    std::string name;  // empty for a checkpoint
  };
  /// Durable on return. kExists if this writer has a snapshot of that name of the set, kNotFound if
  /// there is no such set, kInvalid and kNameTooLong for names that cannot be. `quiesce` is called
  /// with a function that it must call exactly once, at a moment when every write that was answered
  /// has reached the tree and Ingest and none comes in between: that moment is what the snapshot
  /// shows.
  using Moment = std::function<Result<void>()>;
  Result<SnapshotInfo> take(const Request& request,
                            const std::function<Result<void>(const Moment&)>& quiesce);

  /// Something changed since the last checkpoint. Any thread.
  bool checkpoint_due() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace varve
