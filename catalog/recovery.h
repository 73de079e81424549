// After a crash, and after the loss of local/: what the working copy knows of packs, and its live
// tree, made from the store's files.
//
// Used by WorkingCopy::open alone, in one thread, before anything else runs. Nothing here commits:
// the rows come back as a batch.
#pragma once

#include <optional>

#include "catalog/history.h"
#include "catalog/live_tree.h"
#include "catalog/staged_kv.h"
#include "dedup/base/kv.h"
#include "dedup/chunk_index.h"
#include "dedup/pack_store.h"

namespace varve {

/// Tells `packs` of the sealed packs in the table, and seals what a crash left open:
///   row and open file           authenticated from the front, cut, sealed; on a full disk it
///                               stays open and readable, and is sealed with the next snapshot
///   open file without a row     nothing refers to it: removed
///   row without an open file    sealed already, but not written down: found by the pack id in its
///                               header
///   sealed file without a row   of the present writer: adopted, for a snapshot that was published
///                               just before the crash may need it; of others: left alone
/// Damage is logged and kept, and the rest goes on. Returns the changes of the table.
struct PackRecovery {
  const History& history;
  PackStore& packs;
  ChunkIndex& index;
  bool closed = false;  // the working copy was closed in order: no sealed file is without its row
};
Result<KvBatch> recover_packs(KvView& view, const PackRecovery& recovery);

/// Adds the indexes of the sealed packs that the runs on disk do not have; forgets packs that are
/// not here, unless there are remotes that may have them. A pack whose index cannot be read is
/// logged, and its chunks are stored anew when they come again.
void complete_index(Storage& storage, PackStore& packs, ChunkIndex& index);

/// Adds the indexes of packs that the pack store knows since a moment ago. Any thread.
void index_packs(const std::vector<PackInfo>& added, PackStore& packs, ChunkIndex& index);

/// Indexes anew the packs whose run was found damaged while it was read, and those that were
/// missing and are here again. What cannot be read is logged, and known again after the next
/// opening. Any thread.
void reindex_lost_packs(PackStore& packs, ChunkIndex& index);

/// For a rebuild: tells `packs` of every listed pack, logs how many of them are missing, and
/// returns their rows. Index bundles in catalog packs, of packs that are here, go into the index,
/// so that complete_index, which comes next, reads only what no bundle has.
Result<KvBatch> rebuild_packs(const History& history, PackStore& packs, ChunkIndex& index);

/// The live tree that a rebuild gives a set.
struct RebuiltTree {
  SnapshotTree tree;
  FileHash list;
  SnapshotInfo from;
};
struct RebuiltTrees {
  std::optional<WriterId>
      writer;             // whose live trees these are; nullopt: there is nothing to rebuild from
  bool by_guard = false;  // the writer was named by the guard
  std::vector<RebuiltTree> trees;  // the root's own first
};
/// Of each set the newer, by sequence, of the last checkpoint and the last snapshot of the writer
/// that the guard names; without a guard, or where that writer has published nothing at all, of the
/// writer with the newest checkpoint. A snapshot that cannot be read gives way to the one before.
Result<RebuiltTrees> choose_live_trees(const History& history,
                                       const std::optional<WriterId>& guarded);

/// Makes one the live tree of its set, as a stub; the set's number here.
Result<uint32_t> adopt_tree(const SnapshotTree& from, LiveTree& tree);

/// Puts them into the tree, and what the next lists build on into the rows; sets of that writer
/// that have snapshots and no live tree become removed sets, so that mkdir of their name takes up
/// their id.
Result<void> adopt_live_trees(const RebuiltTrees& trees, const History& history, Storage& storage,
                              LiveTree& tree, StagedKv& kv);

/// What the set's next list builds on from now on: `list`, or nothing (then it is written out
/// flat); and rows for `packs`, which are added.
Result<void> build_next_list_on(uint32_t set, const std::optional<FileHash>& list,
                                const std::vector<PackInfo>& packs, LiveTree& tree, StagedKv& kv);

}  // namespace varve
