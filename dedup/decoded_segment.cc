#include <numeric>

#include "dedup/pack_store.h"

namespace varve {

// offsets_ holds each chunk's place in raw_, then the chunks' numbers in the order of their ids,
// for find.
DecodedSegment::DecodedSegment(SegmentType type, Buffer raw, std::vector<IndexedChunk> chunks)
    : type_(type), raw_(std::move(raw)), chunks_(std::move(chunks)) {
  const size_t count = chunks_.size();
  offsets_.resize(2 * count);
  uint32_t offset = 0;
  for (size_t i = 0; i < count; i++) {
    offsets_[i] = offset;
    offset += chunks_[i].length;
  }
  const auto order = offsets_.begin() + static_cast<ptrdiff_t>(count);
  std::iota(order, offsets_.end(), 0);
  std::sort(order, offsets_.end(),
            [this](uint32_t a, uint32_t b) { return chunks_[a].id < chunks_[b].id; });
}

std::optional<ByteView> DecodedSegment::find(const ChunkId& id) const {
  const auto order = offsets_.begin() + static_cast<ptrdiff_t>(chunks_.size());
  const auto found = std::lower_bound(
      order, offsets_.end(), id,
      [this](uint32_t number, const ChunkId& sought) { return chunks_[number].id < sought; });
  if (found == offsets_.end() || chunks_[*found].id != id) return std::nullopt;
  return raw_.view().subspan(offsets_[*found], chunks_[*found].length);
}

size_t DecodedSegment::memory_bytes() const {
  return sizeof *this + raw_.size() + chunks_.capacity() * sizeof(IndexedChunk) +
         offsets_.capacity() * sizeof(uint32_t);
}

}  // namespace varve
