// Decoded segments that were used last, up to a number of bytes; one decode at a time for each.
//
// Any thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <unordered_map>

#include "dedup/chunk_index.h"
#include "dedup/lru.h"
#include "dedup/pack_store.h"

namespace varve {

class SegmentCache {
 public:
  using Segment = std::shared_ptr<const DecodedSegment>;
  SegmentCache(size_t bytes_max, Metrics& metrics);

  /// The segment at `place`: kept, or from `decode`, which is called without a lock. Who asks for
  /// what is being decoded waits for that decode and gets its outcome, unless he must not wait for
  /// others; failures are not kept.
  enum class Others { kJoin, kLeave };
  Result<Segment> get(const ChunkPlace& place, const std::function<Result<Segment>()>& decode,
                      Others others = Others::kJoin);
  /// Kept, or being decoded.
  bool has(const ChunkPlace& place) const;
  void clear();

 private:
  struct PlaceHash {
    size_t operator()(const ChunkPlace& place) const {
      return IdHash()(place.pack) ^ (place.segment * size_t{0x9e3779b97f4a7c15});
    }
  };
  struct Decode {
    std::condition_variable done;
    std::optional<Result<Segment>> outcome;
  };

  Metric& bytes_gauge_;
  Metric& hits_;
  Metric& misses_;
  mutable std::mutex mutex_;
  LruMap<ChunkPlace, Segment, PlaceHash> kept_;
  std::unordered_map<ChunkPlace, std::shared_ptr<Decode>, PlaceHash> decoding_;
  uint64_t clears_ = 0;  // what was begun before a clear is not kept after it
};

}  // namespace varve
