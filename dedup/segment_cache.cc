#include "dedup/segment_cache.h"

namespace varve {

SegmentCache::SegmentCache(size_t bytes_max, Metrics& metrics)
    : bytes_gauge_(metrics.gauge("varve_cache_bytes", "Decoded segments kept in memory")),
      hits_(metrics.counter("varve_cache_hits_total",
                            "Reads of segments that were kept, or being decoded")),
      misses_(
          metrics.counter("varve_cache_misses_total", "Reads of segments that had to be decoded")),
      kept_(bytes_max) {}

Result<SegmentCache::Segment> SegmentCache::get(const ChunkPlace& place,
                                                const std::function<Result<Segment>()>& decode,
                                                Others others) {
  std::unique_lock lock(mutex_);
  if (Segment* kept = kept_.find(place)) {
    hits_.add();
    return *kept;
  }
  const auto found = decoding_.find(place);
  if (found != decoding_.end() && others == Others::kLeave) {
    misses_.add();
    lock.unlock();
    return decode();
  }
  if (found != decoding_.end()) {
    hits_.add();
    const std::shared_ptr<Decode> other = found->second;
    other->done.wait(lock, [&] { return other->outcome.has_value(); });
    return *other->outcome;
  }
  misses_.add();
  const auto own = std::make_shared<Decode>();
  decoding_[place] = own;
  const uint64_t clears = clears_;
  lock.unlock();
  Result<Segment> outcome = decode();
  lock.lock();
  decoding_.erase(place);
  if (outcome.ok() && clears == clears_) {
    kept_.put(place, *outcome, (*outcome)->memory_bytes());
    bytes_gauge_.set(kept_.weight());
  }
  own->outcome = outcome;
  own->done.notify_all();
  return outcome;
}

bool SegmentCache::has(const ChunkPlace& place) const {
  std::lock_guard lock(mutex_);
  return kept_.contains(place) || decoding_.contains(place);
}

void SegmentCache::clear() {
  std::lock_guard lock(mutex_);
  kept_.clear();
  clears_++;
  bytes_gauge_.set(0);
}

}  // namespace varve
