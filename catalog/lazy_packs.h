// Packs and chunks that are found as they are asked for: a store is read without knowing all of it.
//
// A pack that a hint names is looked for in the lists of what is looked into, newest first, and at
// last in every list that is here. Where a hint is missing or leads nowhere, indexes are read until
// one has the chunk: catalog packs' own, then the bundles in them, then data packs' own. So with
// good hints no index is read at all. What the storage does not give now is asked for again by the
// next call; its error is the caller's. Any thread; a place that was noted is found without waiting
// for others.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>

#include "catalog/history.h"
#include "dedup/chunk_index.h"
#include "dedup/pack_store.h"

namespace varve {

class LazyPacks final : public ChunkIndex {
 public:
  /// `read` takes what is read of indexes, and may have some of it already. Becomes the finder of
  /// `packs`, so both must outlive what reads from them.
  LazyPacks(const History& history, PackStore& packs, std::unique_ptr<ChunkIndex> read);

  /// What is looked into needs the packs of this list and its bases.
  void expect(const FileHash& list);
  /// Where the chunk lies, as a tree object says. Many are kept, not all.
  void note(const ChunkId& id, const ChunkPlace& place);

  Result<std::optional<ChunkPlace>> find(const ChunkId& id) override;
  void disappointed(const ChunkId& id, const ChunkPlace& place) override;
  /// Nothing is written here.
  void add(const PackId&, uint32_t, const std::vector<IndexedChunk>&) override {}
  void add_pack(const PackId& pack, const PackIndex& index) override;
  Result<void> add_packs(const std::vector<SealedPack>& packs) override;
  void remove_pack(const PackId& pack) override;
  std::vector<PackId> packs_on_disk() override { return read_->packs_on_disk(); }
  std::vector<PackId> take_lost_packs() override { return read_->take_lost_packs(); }
  Result<void> settle() override { return read_->settle(); }
  Figures figures() override { return read_->figures(); }

 private:
  using Notes = std::unordered_map<ChunkId, ChunkPlace, IdHash>;

  std::optional<ChunkPlace> noted(const ChunkId& id);
  // Under mutex_:
  Result<void> find_pack(const PackId& pack);
  /// False if there is no list left.
  Result<bool> read_next_list();
  void add_rows(const std::vector<PackInfo>& rows);
  /// False if every index that is expected was read.
  Result<bool> read_next_index();
  Result<void> read_bundles(const PackInfo& info);
  Result<void> read_index(const PackInfo& info);

  const History& history_;
  PackStore& packs_;
  const std::unique_ptr<ChunkIndex> read_;

  std::mutex notes_mutex_;  // a leaf
  Notes notes_, older_notes_;

  std::mutex mutex_;  // held over reads of lists and indexes
  std::deque<FileHash> lists_;
  std::set<FileHash> met_;
  bool all_lists_ = false;
  std::set<PackId> known_, indexed_;
  std::deque<PackInfo> catalogs_, bundles_, data_;  // whose index, bundles, index to read
};

}  // namespace varve
