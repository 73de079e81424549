#include "dedup/stream_memory.h"

#include <algorithm>

namespace varve {

PackContents::Content PackContents::of(const PackId& pack) {
  {
    std::lock_guard lock(mutex_);
    if (const Content* kept = kept_.find(pack)) return *kept;
  }
  Result<PackIndex> read = packs_.read_index(pack);
  if (!read.ok() && read.error().code() == Errc::kNotFound) return nullptr;  // it may come to be
  Content content;
  if (read.ok()) content = std::make_shared<const PackIndex>(std::move(read).value());
  std::lock_guard lock(mutex_);
  kept_.put(pack, content, content ? content->chunks.size() + 1 : 1);
  return content;
}

const IndexedChunk* StreamMemory::expected(size_t ahead) const {
  return content_ && next_ + ahead < content_->chunks.size() ? &content_->chunks[next_ + ahead]
                                                             : nullptr;
}

void StreamMemory::saw(const ChunkId& id, const std::optional<ChunkPlace>& place) {
  if (const IndexedChunk* guess = expected(); guess != nullptr && guess->id == id) {
    next_++;
    return;
  }
  const bool follows = place && last_ == place->pack;
  if (!follows) content_.reset();
  if (place) last_ = place->pack;
  if (follows) find(id, *place);
}

void StreamMemory::find(const ChunkId& id, const ChunkPlace& place) {
  if (!content_) content_ = contents_.of(place.pack);
  if (!content_ || place.segment >= content_->segments.size()) return content_.reset();
  const IndexedSegment& segment = content_->segments[place.segment];
  const auto first = content_->chunks.begin() + segment.first_chunk;
  const auto at = std::find_if(first, first + segment.chunk_count,
                               [&](const IndexedChunk& chunk) { return chunk.id == id; });
  next_ = static_cast<size_t>(at - content_->chunks.begin()) + 1;
}

}  // namespace varve
