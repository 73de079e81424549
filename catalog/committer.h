// The commit: what was written becomes durable, in the one order that a crash cannot break.
//
//   1. the changes so far are frozen (what they refer to has been put into Ingest before)
//   2. Ingest::sync: those chunks are in packs, the packs are synced
//   3. one transaction of the changes, the open packs' durable lengths and the packs sealed since
//
// So a commit never refers to bytes that are not durable. Any thread; callers that come together
// share one commit.
//
// Errors: kNoSpace loses nothing, the next call tries again with what this one had; any other
// failure is final, and every later call gives it.
#pragma once

#include <functional>
#include <memory>

#include "catalog/live_tree.h"
#include "catalog/staged_kv.h"
#include "dedup/ingest.h"

namespace varve {

class Committer {
 public:
  struct Options {
    size_t staged_bytes_max = 64u << 20;  // of rows that are not durable yet; see admit
    /// Called where a commit finds no space; true if there is more now, and it is tried again.
    std::function<bool()> find_space = [] { return false; };
  };
  Committer(StagedKv& kv, LiveTree& tree, Ingest& ingest, Options options);
  Committer(StagedKv& kv, LiveTree& tree, Ingest& ingest)
      : Committer(kv, tree, ingest, Options()) {}
  ~Committer();

  /// Room for the rows of one more change. Waits for a commit where more than staged_bytes_max are
  /// not durable; gives what that commit gave if it brought no room, kNoSpace for one. Removals
  /// have twice the room. Once commits fail for good it gives that error. No lock of the tree's or
  /// of a file's may be held.
  enum class Change { kAddition, kRemoval };
  Result<void> admit(Change change);

  /// Everything applied before the call is durable on return.
  Result<void> commit();
  /// The same, and a view of exactly that state; `at_freeze` runs at the freeze, inside
  /// LiveTree::exclusively (a snapshot's moment). An error of `at_freeze` is given back, and
  /// nothing is committed.
  Result<std::unique_ptr<KvView>> commit_and_view(const std::function<Result<void>()>& at_freeze);

  /// Bytes of rows that are not durable yet.
  size_t staged_bytes() const;

  /// Ingest::seal_open, and the rows of the packs that it gives, staged: both between two commits.
  /// Beside one, a commit could refer to a full pack whose row is only in what comes after it.
  Result<std::vector<PackStore::Recovered>> seal_open(PackClass pack_class);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace varve
