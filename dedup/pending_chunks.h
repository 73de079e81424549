// Chunks that are accepted and in no pack yet, by id, and the segments that hold their bytes.
#pragma once

#include <mutex>
#include <optional>
#include <unordered_map>

#include "dedup/pack_store.h"

namespace varve {

/// A segment on its way into a pack. Who may change what: raw's bytes below `used` never change
/// once their chunk is in PendingChunks; the rest belongs to whoever holds the segment (its
/// builder; then one compressing task; then its lane).
struct PendingSegment {
  PendingSegment(SegmentType type_in, size_t capacity) : type(type_in), raw(capacity) {}

  bool has_room(size_t length) const {
    return length <= raw.size() - used && chunks.size() < kSegmentChunksMax;
  }
  PreparedSegment prepared() const;

  const SegmentType type;
  Buffer raw;
  size_t used = 0;
  std::vector<IndexedChunk> chunks;
  Buffer encoded;  // the payload, unless it is stored as it is
  Codec codec = Codec::kStored;
  bool is_ready = false;  // compressed; under the pipeline's lock
};

/// Any thread; a leaf lock.
class PendingChunks {
 public:
  /// Changes whenever chunks left, having come to be in the index: who looked into the index before
  /// has to look again.
  uint64_t generation() const;
  bool contains(const ChunkId& id) const;
  std::optional<Bytes> find(const ChunkId& id) const;

  enum class Outcome { kInserted, kKnown, kLookAgain };
  /// The chunk's bytes are at `offset` of `segment` already. kLookAgain if the generation is
  /// another.
  Outcome insert(const IndexedChunk& chunk, const std::shared_ptr<PendingSegment>& segment,
                 size_t offset, uint64_t generation);
  /// The segment's chunks are in a pack and in the index.
  void erase(const PendingSegment& segment);

  size_t count() const;

 private:
  struct Place {
    std::shared_ptr<const PendingSegment> segment;
    size_t offset, length;
  };
  mutable std::mutex mutex_;
  uint64_t generation_ = 0;
  std::unordered_map<ChunkId, Place, IdHash> places_;
};

}  // namespace varve
