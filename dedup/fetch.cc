#include "dedup/fetch.h"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>

#include "dedup/base/limits.h"
#include "dedup/segment_cache.h"

namespace varve {
namespace {

constexpr size_t kReadAheadTasksMax = 8;  // more are dropped, not queued
// A chunk may move, by collection, between the index's answer and the read.
constexpr int kLooksMax = 3;
// Fewer chunks than this are as soon named one by one (hmac_lanes.h).
constexpr size_t kNamedTogetherMin = 12;
// Of segments that are held for it beside the cache; what lies in further ones is named one by one.
constexpr size_t kReadyBytesMax = 4 * kMiB;

}  // namespace

struct Fetch::State {
  State(PackStore& packs_in, ChunkIndex& index_in, Ingest* ingest_in, Executor* read_ahead_in,
        Metrics& metrics, size_t cache_bytes)
      : packs(packs_in),
        index(index_in),
        ingest(ingest_in),
        read_ahead(read_ahead_in),
        cache(cache_bytes, metrics) {}

  Result<SegmentCache::Segment> segment(const ChunkPlace& place, const SegmentRead& how) {
    // What somebody else decodes may be on its way from a remote.
    const auto others =
        how.reach == Reach::kHere ? SegmentCache::Others::kLeave : SegmentCache::Others::kJoin;
    return cache.get(
        place, [&] { return packs.read_segment(place.pack, place.segment, how); }, others);
  }
  /// The chunk at that place; nullopt if the segment is whole and does not have it.
  Result<std::optional<ChunkBytes>> at(const ChunkId& id, const ChunkPlace& place,
                                       const Wish& wish);
  Result<ChunkBytes> by_index(const ChunkId& id, const Wish& wish, std::optional<Error> reason);

  PackStore& packs;
  ChunkIndex& index;
  Ingest* const ingest;
  Executor* const read_ahead;
  SegmentCache cache;

  std::mutex mutex;
  std::condition_variable idle;
  size_t tasks = 0;
};

Result<std::optional<ChunkBytes>> Fetch::State::at(const ChunkId& id, const ChunkPlace& place,
                                                   const Wish& wish) {
  SegmentCache::Segment decoded = VARVE_TRY(segment(place, {Naming::kWhenLookedFor, wish.reach}));
  const std::optional<ByteView> bytes = decoded->find(id, wish.length_min);
  if (!bytes) return std::optional<ChunkBytes>();
  return std::optional<ChunkBytes>(ChunkBytes{std::move(decoded), *bytes});
}

/// `reason` is why the hint's place did not give the chunk; it is what is said if there is no other
/// place.
Result<ChunkBytes> Fetch::State::by_index(const ChunkId& id, const Wish& wish,
                                          std::optional<Error> reason) {
  std::optional<ChunkPlace> last;
  for (int look = 0; look < kLooksMax; look++) {
    if (ingest != nullptr) {
      if (std::optional<Bytes> pending = ingest->find_pending(id)) {
        auto owner = std::make_shared<const Bytes>(std::move(*pending));
        return ChunkBytes{owner, *owner};
      }
    }
    const std::optional<ChunkPlace> place = VARVE_TRY(index.find(id));
    if (!place || place == last) break;
    last = place;
    auto found = at(id, *place, wish);
    if (found.ok() && *found) return std::move(**found);
    if (found.ok()) {
      reason = Error(Errc::kCorrupt, fmt::format("segment {} of pack {} does not have it",
                                                 place->segment, place->pack.hex()));
      index.disappointed(id, *place);
    } else {
      reason = std::move(found).error();
      // Another copy may be known, but what a remote may still give is not forgotten.
      if (reason->code() == Errc::kIo && packs.looks_elsewhere()) break;
      if (reason->code() != Errc::kIo) index.disappointed(id, *place);
      // Else what is written anew would be taken for known, and be nowhere.
      if (packs.is_missing(place->pack)) index.remove_pack(place->pack);
    }
  }
  const Errc code = reason && reason->code() == Errc::kIo ? Errc::kIo : Errc::kCorrupt;
  return Error(code, fmt::format("chunk {}: {}", id.hex(),
                                 reason ? reason->message() : "is in no pack that is here"));
}

Fetch::Fetch(PackStore& packs, ChunkIndex& index, Ingest* ingest, Executor* read_ahead,
             Metrics& metrics, size_t cache_bytes)
    : state_(std::make_unique<State>(packs, index, ingest, read_ahead, metrics, cache_bytes)) {}

Fetch::~Fetch() {
  std::unique_lock lock(state_->mutex);
  state_->idle.wait(lock, [this] { return state_->tasks == 0; });
}

Result<ChunkBytes> Fetch::chunk(const ChunkId& id, const Wish& wish) {
  std::optional<Error> reason;
  if (wish.hint) {
    auto found = state_->at(id, *wish.hint, wish);
    if (found.ok() && *found) return std::move(**found);
    if (!found.ok()) reason = std::move(found).error();
  }
  return state_->by_index(id, wish, std::move(reason));
}

NamesAhead Fetch::make_ready(std::span<const Asked> chunks) {
  NamesAhead names;
  if (chunks.size() < kNamedTogetherMin) return names;
  const DecodedSegment* last = nullptr;
  size_t held = 0;
  for (const Asked& asked : chunks) {
    std::optional<ChunkPlace> place = asked.wish.hint;
    if (!place) {
      const auto found = state_->index.find(asked.id);
      if (!found.ok() || !*found) continue;
      place = *found;
    }
    auto segment = state_->segment(*place, {Naming::kWhenLookedFor, asked.wish.reach});
    if (!segment.ok() || (*segment)->type() != SegmentType::kChunks) continue;
    if (segment->get() != last) held += (*segment)->memory_bytes();
    if (held > kReadyBytesMax) break;
    last = segment->get();
    names.add(std::move(*segment), asked.id, asked.wish.length_min);
  }
  names.name();
  return names;
}

void Fetch::prefetch(const ChunkId& id, const std::optional<ChunkPlace>& hint) {
  if (state_->read_ahead == nullptr) return;
  std::optional<ChunkPlace> place = hint;
  if (!place) {
    auto found = state_->index.find(id);
    if (!found.ok() || !*found) return;
    place = **found;
  }
  if (state_->cache.has(*place)) return;
  {
    std::lock_guard lock(state_->mutex);
    if (state_->tasks >= kReadAheadTasksMax) return;
    state_->tasks++;
  }
  state_->read_ahead->run([state = state_.get(), where = *place] {
    // All is named here, on another processor than who reads it in order. A failure is met again,
    // and told, by that one.
    (void)state->segment(where, {Naming::kAtOnce, Reach::kAnywhere}).ok();
    std::lock_guard lock(state->mutex);
    state->tasks--;
    state->idle.notify_all();
  });
}

void Fetch::drop_cache() {
  state_->cache.clear();
}

}  // namespace varve
