// Which packs a snapshot needs, as one list: what its set's newest list names, and what has come
// since.
//
// What holds between snapshots, for each set: its b rows name every pack that its live tree's tree
// objects (r and t rows, link table) need; and where SetRow::newest_list is set, that list and its
// bases name every pack of the b rows. Whoever gives a set another tree keeps that: the packs of
// that tree's list are added to the b rows, and newest_list becomes a list that names them all, or
// nothing. The next list is then written out flat, from the b rows.
#pragma once

#include <vector>

#include "catalog/history.h"
#include "catalog/snapshot_walk.h"
#include "catalog/staged_kv.h"

namespace varve {

struct PlannedList {
  std::vector<FileHash> bases;
  std::vector<PackInfo> rows;
};

/// Gives everything that was referred to before it had a place its pack. What the index does not
/// know is damage: logged, left out.
Result<void> place_references(ChunkIndex& index, WalkedSet& set);

/// Whether the set's newest list is what it was at the snapshot's moment: else somebody gave the
/// set another tree.
Result<bool> builds_on_the_same(const StagedKv& kv, const WalkedSet& set);

/// The list of a snapshot of these sets. kCorrupt if an object or chunk lies in a pack that is not
/// sealed; kBusy if a set is being given another tree.
Result<PlannedList> plan_list(const StagedKv& kv, const History& history, const PackStore& packs,
                              const std::vector<WalkedSet>& sets);

/// The b rows of the set that its references add.
void list_references(const WalkedSet& set, KvBatch& batch);

}  // namespace varve
