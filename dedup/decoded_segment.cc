#include "dedup/decoded_segment.h"

#include <algorithm>
#include <numeric>

namespace varve {

DecodedSegment::DecodedSegment(SegmentType type, Buffer raw, std::vector<IndexedChunk> chunks)
    : type_(type), raw_(std::move(raw)), chunks_(std::move(chunks)) {
  note_offsets();
  order_.resize(chunks_.size());
  std::iota(order_.begin(), order_.end(), 0);
  std::ranges::sort(order_, {}, [this](uint32_t number) { return chunks_[number].id; });
}

DecodedSegment::DecodedSegment(SegmentType type, Buffer raw, std::vector<IndexedChunk> chunks,
                               const Hasher& hasher)
    : type_(type),
      raw_(std::move(raw)),
      hasher_(&hasher),
      chunks_(std::move(chunks)),
      names_(chunks_.size(), Name::kUnknown) {
  note_offsets();
}

void DecodedSegment::note_offsets() {
  offsets_.reserve(chunks_.size());
  uint32_t offset = 0;
  for (const IndexedChunk& chunk : chunks_) {
    offsets_.push_back(offset);
    offset += chunk.length;
  }
}

std::optional<ByteView> DecodedSegment::find(const ChunkId& id, uint64_t length_min) const {
  return hasher_ == nullptr ? find_in_order(id) : find_by_naming(id, length_min);
}

std::optional<ByteView> DecodedSegment::find_in_order(const ChunkId& id) const {
  const auto id_of = [this](uint32_t number) { return chunks_[number].id; };
  const auto found = std::ranges::lower_bound(order_, id, {}, id_of);
  if (found == order_.end() || chunks_[*found].id != id) return std::nullopt;
  return bytes_of(*found);
}

bool DecodedSegment::has_name(size_t number, const ChunkId& id) const {
  if (names_[number] == Name::kUnknown) {
    // What cannot be named is no chunk that anybody looks for.
    const Result<ChunkId> computed = hasher_->item_id(type_, bytes_of(number));
    if (computed.ok()) chunks_[number].id = *computed;
    names_[number] = computed.ok() ? Name::kKnown : Name::kNone;
  }
  return names_[number] == Name::kKnown && chunks_[number].id == id;
}

std::optional<ByteView> DecodedSegment::find_by_naming(const ChunkId& id,
                                                       uint64_t length_min) const {
  const auto found_among = [&](const auto& is_candidate) -> std::optional<ByteView> {
    for (size_t i = 0; i < chunks_.size(); i++) {
      if (is_candidate(i) && has_name(i, id)) return bytes_of(i);
    }
    return std::nullopt;
  };
  std::lock_guard lock(mutex_);
  if (auto known = found_among([&](size_t i) { return names_[i] == Name::kKnown; })) return known;
  if (auto likely = found_among([&](size_t i) { return chunks_[i].length == length_min; }))
    return likely;
  return found_among([&](size_t i) { return chunks_[i].length > length_min; });
}

size_t DecodedSegment::memory_bytes() const {
  return sizeof *this + raw_.size() + chunks_.capacity() * sizeof(IndexedChunk) +
         (offsets_.capacity() + order_.capacity()) * sizeof(uint32_t);
}

void NamesAhead::add(std::shared_ptr<const DecodedSegment> segment, const ChunkId& id,
                     uint64_t length_min) {
  if (segment->hasher_ == nullptr) return;
  std::unique_lock lock(segment->mutex_);
  std::optional<size_t> first;
  for (size_t i = 0; i < segment->chunks_.size(); i++) {
    if (segment->names_[i] == DecodedSegment::Name::kKnown && segment->chunks_[i].id == id) return;
    if (!first && segment->names_[i] == DecodedSegment::Name::kUnknown &&
        segment->chunks_[i].length == length_min)
      first = i;
  }
  lock.unlock();
  if (first) unnamed_.push_back({std::move(segment), *first});
}

void NamesAhead::name() {
  if (unnamed_.empty()) return;
  std::vector<ByteView> items;
  items.reserve(unnamed_.size());
  for (const Unnamed& one : unnamed_) items.push_back(one.segment->bytes_of(one.number));
  std::vector<ChunkId> ids(items.size());
  const DecodedSegment& any = *unnamed_.front().segment;
  // What cannot be named is left to who looks for it.
  if (!any.hasher_->item_ids(any.type_, items, ids).ok()) return;
  for (size_t i = 0; i < ids.size(); i++) {
    const DecodedSegment& segment = *unnamed_[i].segment;
    std::lock_guard lock(segment.mutex_);
    segment.chunks_[unnamed_[i].number].id = ids[i];
    segment.names_[unnamed_[i].number] = DecodedSegment::Name::kKnown;
  }
}

}  // namespace varve
