// Whether a run may hold a chunk: a Bloom filter of one cache line's access (Putze, Sanders,
// Singler: "Cache-, Hash- and Space- Efficient Bloom Filters", 2007, in the split form of Apache
// Parquet). About 1 % of absent chunks pass at 10 bits each.
#pragma once

#include "dedup/base/bytes.h"
#include "dedup/chunk_table.h"

namespace varve {

class ChunkFilter {
 public:
  static constexpr size_t kBlockBytes = 32;

  /// For that many keys.
  explicit ChunkFilter(uint64_t keys);
  /// From its stored bytes, a multiple of kBlockBytes and not empty.
  static ChunkFilter from_bytes(ByteView bytes);

  void add(const ChunkKey& key);
  bool may_hold(const ChunkKey& key) const;
  Bytes to_bytes() const;
  uint64_t blocks() const { return words_.size() / kWordsPerBlock; }
  uint64_t memory_bytes() const { return words_.size() * sizeof(uint32_t); }

 private:
  static constexpr size_t kWordsPerBlock = 8;
  size_t first_word(const ChunkKey& key) const {
    return static_cast<size_t>(((key.low >> 32) * blocks()) >> 32) * kWordsPerBlock;
  }

  std::vector<uint32_t> words_;
};

}  // namespace varve
