// Packs and chunks that are found as they are asked for: a store is read without knowing all of it.
//
// A pack that a hint names is looked for in the lists of what is looked into, newest first, and at
// last in every list that is here. Where a hint is missing or leads nowhere, indexes are read until
// one has the chunk: catalog packs' own, then the bundles in them, then data packs' own. So with
// good hints no index is read at all. A place that turned out wrong counts no more while another
// one can be found. What the storage does not give now is asked for again by the next call; its
// error is the caller's. Any thread; who reads indexes holds up nobody who is led by hints.
#pragma once

#include <chrono>
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
  /// A find that has read indexes for `patience` is kIo, so that nobody waits for all of a large
  /// store's; the next one goes on from there.
  /// `readers` read many lists at a time.
  LazyPacks(const History& history, PackStore& packs, Executor& readers,
            std::unique_ptr<ChunkIndex> read, std::chrono::milliseconds patience);

  /// What is looked into needs the packs of this list and its bases, which are most often lists of
  /// the same set (zeros: of any).
  void expect(const FileHash& list, const SetId& set);
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
  using Clock = std::chrono::steady_clock;

  std::optional<ChunkPlace> noted(const ChunkId& id);
  bool is_misleading(const ChunkId& id, const ChunkPlace& place);
  // Under lists_mutex_:
  Result<void> find_pack(const PackId& pack);
  /// False if there is no list left.
  Result<bool> read_next_lists();
  /// Those to read together: one that is expected, then more and more.
  std::vector<FileHash> next_lists();
  void add_rows(const std::vector<PackInfo>& rows);
  // Under index_mutex_:
  Result<std::optional<ChunkPlace>> find_in_indexes(const ChunkId& id, Clock::time_point end);
  Result<bool> read_more_lists();
  Result<void> read_met_lists();
  /// False if every index that is expected was read.
  Result<bool> read_next_index();
  std::optional<PackInfo> front_of(const std::deque<PackInfo>& packs);
  void pop_front_of(std::deque<PackInfo>& packs);
  Result<void> read_bundles(const PackInfo& info);
  Result<void> read_index(const PackInfo& info);

  const History& history_;
  PackStore& packs_;
  Executor& readers_;
  const std::unique_ptr<ChunkIndex> read_;
  const std::chrono::milliseconds patience_;

  std::mutex notes_mutex_;  // a leaf
  Notes notes_, older_notes_;
  std::set<std::pair<ChunkId, PackId>> misleading_;

  std::timed_mutex index_mutex_;  // held over reads of indexes; taken before lists_mutex_
  std::set<PackId> indexed_;
  std::deque<PackInfo> bundles_;  // catalog packs whose bundles are to be read

  std::mutex lists_mutex_;  // held over reads of lists
  std::deque<FileHash> lists_;
  std::set<FileHash> met_;
  SetId expected_set_;
  size_t lists_at_once_ = 1;  // grows as long as those that were read do not do
  std::set<PackId> known_;
  std::deque<PackInfo> catalogs_, data_;  // whose index is to be read
};

}  // namespace varve
