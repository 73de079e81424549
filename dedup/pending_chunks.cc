#include "dedup/pending_chunks.h"

namespace varve {

PreparedSegment PendingSegment::prepared() const {
  PreparedSegment segment;
  segment.type = type;
  segment.codec = codec;
  segment.raw_length = static_cast<uint32_t>(used);
  segment.chunks = chunks;
  segment.payload = codec == Codec::kStored ? raw.view().first(used) : encoded.view();
  return segment;
}

uint64_t PendingChunks::generation() const {
  std::lock_guard lock(mutex_);
  return generation_;
}

bool PendingChunks::contains(const ChunkId& id) const {
  std::lock_guard lock(mutex_);
  return places_.contains(id);
}

std::optional<Bytes> PendingChunks::find(const ChunkId& id) const {
  Place place;
  {
    std::lock_guard lock(mutex_);
    auto found = places_.find(id);
    if (found == places_.end()) return std::nullopt;
    place = found->second;
  }
  const ByteView bytes = place.segment->raw.view().subspan(place.offset, place.length);
  return Bytes(bytes.begin(), bytes.end());
}

PendingChunks::Outcome PendingChunks::insert(const IndexedChunk& chunk,
                                             const std::shared_ptr<PendingSegment>& segment,
                                             size_t offset, uint64_t generation) {
  std::lock_guard lock(mutex_);
  if (places_.contains(chunk.id)) return Outcome::kKnown;
  if (generation != generation_) return Outcome::kLookAgain;
  places_.emplace(chunk.id, Place{segment, offset, chunk.length});
  return Outcome::kInserted;
}

void PendingChunks::erase(const PendingSegment& segment) {
  std::lock_guard lock(mutex_);
  generation_++;
  for (const IndexedChunk& chunk : segment.chunks) places_.erase(chunk.id);
}

size_t PendingChunks::count() const {
  std::lock_guard lock(mutex_);
  return places_.size();
}

}  // namespace varve
