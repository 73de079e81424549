// What of a run of the chunk index is in memory: the range of keys cut into equal buckets of some
// 32 rows, and of each bucket one cache line, which tells all that a lookup needs: whether a chunk
// may be there, where the bucket's rows are, and their hash.
//
// So a chunk that is not in a run costs one access of memory, whatever its size, and a look at many
// runs can ask for all their lines before it waits for the first. The line's filter is a blocked
// Bloom filter (Putze, Sanders, Singler: "Cache-, Hash- and Space-Efficient Bloom Filters", 2007)
// of one bit in each of six words: one in 250 absent chunks passes. Buckets ascend with the keys,
// so whoever adds in the order of keys fills one line after the other.
#pragma once

#include "dedup/base/bytes.h"
#include "dedup/chunk_table.h"

namespace varve {

class BucketTable {
 public:
  static constexpr size_t kLineBytes = 64;
  static constexpr uint64_t kRowsPerBucket = 32;  // on average
  static constexpr uint64_t kRowsMax = uint64_t{1} << 48;

  static uint64_t buckets_for(uint64_t rows) {
    return std::max<uint64_t>(1, (rows + kRowsPerBucket - 1) / kRowsPerBucket);
  }
  /// At least one bucket; all are empty.
  explicit BucketTable(uint64_t buckets);

  uint64_t buckets() const { return buckets_; }
  uint64_t bucket_of(const ChunkKey& key) const {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(key.high) * buckets_) >> 64);
  }
  /// Asks for the key's line: look at it later.
  void prefetch(const ChunkKey& key) const { __builtin_prefetch(&lines_[bucket_of(key)]); }
  bool may_hold(const ChunkKey& key) const;

  struct Rows {
    uint64_t first = 0, count = 0, hash = 0;
  };
  Rows rows_of(uint64_t bucket) const;

  /// Sets the key's bits in its bucket.
  void add(const ChunkKey& key);
  /// The bucket's rows: buckets in ascending order and none left out, each where the one before
  /// ends.
  void set_rows(uint64_t bucket, const Rows& rows);

  /// The lines as they are stored. Whoever writes into them calls accept before anything else.
  ByteSpan bytes() { return {reinterpret_cast<uint8_t*>(lines_.get()), memory_bytes()}; }
  /// Whether the buckets' rows are `rows` in all, one bucket's behind the other's.
  bool accept(uint64_t rows);
  uint64_t memory_bytes() const { return buckets_ * kLineBytes; }

 private:
  static constexpr size_t kFilterWords = 6;
  static constexpr uint64_t kCountMax = 0xffff;  // and more: up to where the next bucket begins

  /// Little-endian, as it is stored.
  struct alignas(kLineBytes) Line {
    uint64_t filter[kFilterWords];
    uint64_t place;  // first row, and the count in the lowest 16 bits
    uint64_t hash;
  };
  static_assert(sizeof(Line) == kLineBytes);
  struct Free {
    uint64_t bytes = 0;
    void operator()(Line* lines) const;
  };

  uint64_t first_of(uint64_t bucket) const;

  uint64_t buckets_;
  uint64_t rows_ = 0;  // of all buckets that have theirs
  std::unique_ptr<Line[], Free> lines_;
};

}  // namespace varve
