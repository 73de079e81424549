// Which packs hold which chunks, for one pass over a whole store: every chunk of every pack at 12
// bytes each, so that a terabyte of new data at 32 KiB a chunk takes some 400 MiB.
//
// A chunk is known by 58 bits of its id. Ids are keyed hashes, so a missing chunk would go
// unnoticed only where it shares these with one that is there: among a hundred million, one in
// three thousand million. Add everything, settle, then ask. Adding is for one thread at a time,
// asking for any.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "dedup/base/id.h"
#include "dedup/segment_format.h"

namespace varve {

class ChunkInventory {
 public:
  ChunkInventory() : buckets_(kBuckets) {}

  /// `length` is 1 to kSegmentRawBytesMax; packs are numbered by the caller.
  void add(const ChunkId& id, uint32_t length, uint32_t pack);
  /// Makes what was added ready to be asked.
  void settle();

  struct Row {
    uint32_t high = 0;            // 32 bits of the id
    uint32_t low_and_length = 0;  // 10 more, and the length less one
    uint32_t pack = 0;
    uint32_t length() const { return (low_and_length & kLengthMask) + 1; }
    friend auto operator<=>(const Row&, const Row&) = default;
  };
  /// A chunk's places; none if it is not known.
  std::span<const Row> find(const ChunkId& id) const;
  uint64_t size() const;

 private:
  static constexpr size_t kBuckets = 1 << 16;
  static constexpr int kLengthBits = 22;
  static constexpr uint32_t kLengthMask = (1u << kLengthBits) - 1;
  static_assert(kSegmentRawBytesMax == 1u << kLengthBits);

  static size_t bucket_of(const ChunkId& id);
  static Row row_of(const ChunkId& id, uint32_t length, uint32_t pack);

  std::vector<std::vector<Row>> buckets_;
};
static_assert(sizeof(ChunkInventory::Row) == 12);

}  // namespace varve
