// What the packs of a store hold that can be read, and what of it cannot: what the checker asks
// about every chunk that something names.
//
// Packs are scrubbed on several threads; afterwards it is only asked, by one.
#pragma once

#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "catalog/checker.h"
#include "dedup/chunk_index.h"
#include "dedup/chunk_inventory.h"
#include "dedup/pack_store.h"

namespace varve {

class CheckedPacks {
 public:
  CheckedPacks(const CheckedStore& store, const CheckOptions& options, CheckReport& report);

  /// Scrubs the packs among `files`; `expected` is what lists and tables say of them, by file.
  Result<void> scrub(const StoreFiles& files, const std::map<FileHash, PackInfo>& expected);
  /// A pack in local/open/ that is whole up to `committed_length`, else reported.
  void scrub_open(const PackId& pack, uint64_t committed_length);
  /// Packs that are not here, and count as whole: what lies in them is what bundles of the others
  /// say.
  void add_evicted(const std::vector<PackInfo>& packs);
  /// Everything was added: from now on it is asked. Packs that cannot say themselves what they held
  /// are looked up in the bundles of the others.
  void settle(const std::map<FileHash, PackInfo>& expected);

  bool is_here(const PackInfo& info) const;
  /// The pack, if it is here: by id.
  std::optional<PackInfo> find(const PackId& pack) const;
  const std::vector<PackInfo>& packs() const { return packs_; }
  std::optional<uint32_t> number_of(const PackInfo& info) const;
  /// Where tree objects lie: for a Fetch.
  ChunkIndex& objects() { return *objects_; }

  struct Chunk {
    uint32_t length = 0;
    std::span<const ChunkInventory::Row> places;  // packs by number: packs()[row.pack]
  };
  /// nullopt if no whole copy of it is here.
  std::optional<Chunk> chunk(const ChunkId& id) const;
  /// Where a chunk was that is not here, as far as anything tells.
  std::optional<ChunkPlace> lost_place(const ChunkId& id,
                                       const std::optional<ChunkPlace>& hint) const;
  /// "in segment 3 of pack <id>, which is missing".
  std::string where(const std::optional<ChunkPlace>& place) const;

  /// The packs that are here, with the segments that cannot be read.
  std::vector<CheckReport::ReadablePack> readable_packs() const;
  uint64_t chunks() const { return inventory_.size(); }

 private:
  void scrub_one(const StoreFile& file, const PackInfo* expected);
  void take(const StoreFile& file, ScrubbedPack& scrubbed);
  using VisitChunk = std::function<void(const PackId&, uint32_t segment, const IndexedChunk&)>;
  void read_bundles(const std::unordered_set<PackId, IdHash>& wanted, const VisitChunk& visit);

  const CheckedStore& store_;
  const CheckOptions& options_;
  CheckReport& report_;
  const Hasher hasher_;

  std::mutex mutex_;  // of all that follows while packs are scrubbed
  std::vector<PackInfo> packs_;
  std::unordered_map<PackId, uint32_t, IdHash> numbers_;
  std::unordered_map<FileHash, uint32_t, IdHash> numbers_by_file_;
  std::unordered_map<PackId, std::set<uint32_t>, IdHash> damaged_;
  std::unordered_set<PackId, IdHash> evicted_;
  std::unordered_map<ChunkId, ChunkPlace, IdHash> lost_;
  ChunkInventory inventory_;
  std::unique_ptr<ChunkIndex> objects_ = make_memory_chunk_index();
  uint64_t bytes_done_ = 0, bytes_total_ = 0;
};

}  // namespace varve
