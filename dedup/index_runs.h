// The runs of a chunk index in their directory, newest first: opened, asked, added to, merged in
// tiers, and dropped when damaged.
//
// find may be called from any thread at any time; add and merge are for one thread at a time.
// Files: run-<last><first>, and `removed`: which packs' rows in which run count for nothing until a
// merge leaves them out. After a crash between a merged run's rename and the removal of what it was
// made of, opening removes those.
#pragma once

#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dedup/chunk_index.h"
#include "dedup/index_merge.h"
#include "dedup/pack_numbers.h"

namespace varve {

class IndexRuns {
 public:
  static Result<std::unique_ptr<IndexRuns>> open(Storage& storage, const std::string& directory,
                                                 PackNumbers& numbers);

  Result<std::optional<ChunkPlace>> find(const ChunkKey& key);
  /// A new run of `rows` (packs by number; any order, a key's newer rows later), covering the packs
  /// of `numbers`.
  Result<void> add(std::vector<ChunkRow> rows, const std::vector<uint32_t>& numbers);
  /// Merges where a tier is full.
  Result<void> merge();
  /// Stores which packs are gone from which runs.
  Result<void> save_removed();

  /// Packs whose run was found damaged since the last call.
  std::vector<PackId> take_lost_packs();
  std::vector<PackId> packs() const;

  struct Figures {
    uint64_t rows = 0, runs = 0, memory_bytes = 0;
  };
  Figures figures() const;

 private:
  /// A run, and the numbers of its packs.
  struct Held {
    std::shared_ptr<IndexRun> run;
    std::vector<uint32_t> numbers;
  };
  using HeldPtr = std::shared_ptr<const Held>;
  using List = std::vector<HeldPtr>;
  using RemovedPacks = std::set<std::pair<uint64_t, PackId>>;  // a run's last, and a pack

  IndexRuns(Storage& storage, std::string directory, PackNumbers& numbers);
  Result<void> load();
  Result<void> load_runs(std::vector<std::shared_ptr<IndexRun>>& out);
  Result<void> load_removed(RemovedPacks& out);
  void hold_all(std::vector<std::shared_ptr<IndexRun>> runs, const RemovedPacks& removed);
  std::shared_ptr<const List> list() const;
  size_t runs_to_merge(const List& runs) const;
  Result<void> drop_empty();
  Result<void> merge_newest(const List& runs, size_t count);
  Result<std::shared_ptr<IndexRun>> write_merged(const List& old,
                                                 const std::vector<MergedPart>& parts,
                                                 const std::vector<uint32_t>& numbers);
  void replace(const List& old, HeldPtr merged);
  void lose(const HeldPtr& held, const Error& error);

  Storage& storage_;
  const std::string directory_;
  PackNumbers& numbers_;
  Bytes removed_on_disk_;
  mutable std::mutex mutex_;
  std::shared_ptr<const List> list_ = std::make_shared<const List>();
  std::vector<PackId> lost_;
};

}  // namespace varve
