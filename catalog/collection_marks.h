// What a collection must leave alone: what live trees, snapshots, checkpoints and holds need.
//
// Marks are only added; what was followed before costs nothing when it is marked again. One thread.
#pragma once

#include <map>
#include <unordered_set>

#include "catalog/marking.h"
#include "catalog/snapshot_needs.h"
#include "dedup/base/kv.h"

namespace varve {

using PackIds = std::unordered_set<PackId, IdHash>;

class CollectionMarks {
 public:
  struct Parts {
    const History& history;
    ChunkIndex& index;
    Fetch& fetch;
    PackStore& packs;
    Storage& storage;
    ReplicaId replica;  // this place's
  };
  CollectionMarks(const Parts& parts, Marking::Progress progress);

  /// What the view's live trees and these snapshots need, and what others rely on finding here. An
  /// error where that is not known for certain: then nothing may be removed.
  Result<void> mark(KvView& view, const std::vector<SnapshotInfo>& snapshots);
  bool is_needed(const PackId& pack) const { return marking_.is_needed(pack); }
  /// kCorrupt if a pack that is needed is nowhere: another copy of what lies in it may be in one
  /// that is not.
  Result<void> check_needed_are_here();
  /// What snapshots need that came since the last mark(), and holds; but not those that this writer
  /// took after `sequence`.
  Result<std::vector<PackId>> arrived(uint64_t sequence) const;
  /// For all snapshots that were followed, and those that this writer took after `sequence`; once
  /// check_needed_are_here was called.
  Result<PackList> exact_list(const PackIds& goes, uint64_t sequence) const;
  /// Snapshots in force, and checkpoints.
  std::vector<SnapshotInfo> all_snapshots() const;

  uint64_t objects() const { return marking_.objects(); }
  uint64_t snapshots() const { return followed_.size(); }
  /// Those that cannot be followed, and other writers'.
  uint64_t unknown_snapshots() const;

 private:
  struct Followed {
    SnapshotInfo info;
    Marking::Owner owner = 0;
    bool is_known = true;  // what it needs was found by following it
  };

  Result<void> check_all_are_read() const;
  Result<void> mark_live(KvView& view);
  Result<void> mark_ref(std::string_view value);
  Result<void> mark_snapshot(const SnapshotInfo& info, SnapshotNeeds& needs);
  Result<void> follow(const Followed& one);
  Result<void> keep_listed(Followed& one, SnapshotNeeds& needs);
  Result<void> doubt_incomplete(SnapshotNeeds& needs);
  Result<void> visit_held(const std::function<void(const PackId&)>& visit) const;
  PackIsHere is_here() const;
  bool is_mine(const WriterId& writer) const;
  bool is_since(const SnapshotInfo& info, uint64_t sequence) const;

  const Parts parts_;
  Marking marking_;
  const Marking::Owner rows_owner_;  // of the live trees, and of holds
  std::map<FileHash, Followed> followed_;
  std::vector<std::vector<PackId>> needed_;  // by owner
};

}  // namespace varve
