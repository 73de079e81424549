#include "dedup/cut_ahead.h"

namespace varve {
namespace {

constexpr size_t kPlannedMax = 64;
// Behind data that nobody expected: enough to hash side by side (hasher.h), and when these are
// known there may be something to follow again.
constexpr size_t kPlannedUnexpectedMax = 32;

/// The chunks that are expected, each at its place if all of them come.
class Trail {
 public:
  explicit Trail(const StreamMemory& memory) : memory_(memory) {}

  /// The one that begins at `place`, if any does. Places are asked for in order.
  const IndexedChunk* at(size_t place) {
    const IndexedChunk* next = memory_.expected(ahead_);
    for (; next != nullptr && begin_ < place; next = memory_.expected(ahead_)) {
      begin_ += next->length;
      ahead_++;
    }
    return begin_ == place ? next : nullptr;
  }

 private:
  const StreamMemory& memory_;
  size_t ahead_ = 0, begin_ = 0;
};

/// Whether `guess` may lie at the front of `rest`: cheap, and where something else comes it says so
/// most often.
bool is_likely(const IndexedChunk& guess, ByteView rest, const Chunker& chunker) {
  return guess.length <= rest.size() && chunker.is_cut_by_content(rest.first(guess.length));
}

std::vector<PlannedChunk> cut(ByteView window, size_t begins_before, const Chunker& chunker,
                              const StreamMemory& memory) {
  std::vector<PlannedChunk> plan;
  Trail trail(memory);
  size_t at = 0;
  const auto goes_on = [&] {
    if (plan.empty()) return !window.empty();
    const size_t most = plan.back().guess ? kPlannedMax : kPlannedUnexpectedMax;
    return at < begins_before && window.size() - at >= chunker.sizes().maximum &&
           plan.size() < most;
  };
  while (goes_on()) {
    const ByteView rest = window.subspan(at);
    PlannedChunk next{at, {}, {}};
    const IndexedChunk* guess = trail.at(at);
    if (guess != nullptr && is_likely(*guess, rest, chunker)) {
      next.chunk.length = guess->length;
      next.guess = guess->id;
    } else {
      next.chunk.length = static_cast<uint32_t>(chunker.cut(rest));
    }
    at += next.chunk.length;
    plan.push_back(next);
  }
  return plan;
}

}  // namespace

Result<std::vector<PlannedChunk>> plan_chunks(ByteView window, size_t begins_before,
                                              SegmentType type, const Chunker& chunker,
                                              const StreamMemory& memory, const Hasher& hasher) {
  std::vector<PlannedChunk> plan = cut(window, begins_before, chunker, memory);
  std::vector<ByteView> items;
  items.reserve(plan.size());
  for (const PlannedChunk& planned : plan)
    items.push_back(window.subspan(planned.begin, planned.chunk.length));
  std::vector<ChunkId> ids(plan.size());
  VARVE_TRY(hasher.item_ids(type, items, ids));
  for (size_t i = 0; i < plan.size(); i++) plan[i].chunk.id = ids[i];
  return plan;
}

}  // namespace varve
