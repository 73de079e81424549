// The way of a chunk, and why nothing is lost or seen twice on it.
//
//   put ──> gathering ──> queued ──> compressed ──> appended ──> synced ──> sealed
//           (builder)     (lane)     (executor)     (open pack)  (sync)     (finisher)
//            `------------ pending: find_pending ---'`---------- in the index ------->
//
//  1. A chunk is gathered by at most one builder: its id enters PendingChunks under the builder's
//     lock, once, and only where neither PendingChunks nor the index knew it. Between the look into
//     the index and that moment other segments may have left PendingChunks for the index; the
//     generation tells, and put looks again.
//  2. A chunk leaves PendingChunks only after ChunkIndex::add: a reader that asks PendingChunks
//     first and the index then, finds it at any moment.
//  3. Bytes of a pending chunk do not move or change: readers copy them without a lock.
//  4. A segment takes its place in its lane under the builder's lock, so that a stream's chunks lie
//     in packs in their order; it is compressed without any lock, in any order.
//  5. A lane's writer belongs to the one thread that has set `busy`: it appends from the front
//     while the front is compressed. Whoever makes a segment ready tries to become that thread, so
//     that no ready front is left behind; nobody waits to become it but seal, for which it makes
//     way.
//  6. A segment without space (kNoSpace) stays in front of its lane and is appended again as it is:
//     the writer has sealed it under its ordinal. While its lane, or the finisher, is stalled, put
//     answers kNoSpace and tries again every 200 ms; flush and sync always try, and answer kNoSpace
//     if that was in vain. Nobody sleeps on a stall: there is no thread to wake. A stall of the
//     catalog's lane is no reason for sync to fail: what a commit refers to there was sealed
//     before, and seal tells of the stall.
//  7. Any other failure of a write or sync is final: first_error_ is set once, and every call,
//     waiting or later, gives it.
//  8. put waits for memory only while something is queued, which the executor and the lane bring to
//     an end without it. If all memory is in gathering segments, it cuts them; if there is nothing
//     to cut either, it goes ahead: so it never waits for itself.
//  9. A full pack goes to the finisher's thread, and the lane to a new pack at once. sync waits for
//     packs in finishing: what is in them is not durable before. A sealed pack is added to
//     `sealed_` once and taken from there once.
// 10. What put says of a known chunk holds as long as its stream relies on it. put notes the pack
//     first and then looks whether it is condemned; collection condemns first and then asks what is
//     relied on: one of them sees the other.
//
// Locks: a builder's > the pipeline's, or PendingChunks'; these are leaves. None is held over
// compressing, appending, syncing, a call of the index, or Executor::run. Who waits: put for memory
// (8) and for the executor's queue; flush for the lanes; sync and seal_open for the lanes, then the
// finisher; an append for the finisher's queue. The executor's tasks wait for the finisher only,
// the finisher for the disk only: there is no circle.

#include "dedup/ingest.h"

#include "dedup/cut_ahead.h"
#include "dedup/ingest_state.h"

namespace varve {
namespace {

// What sealing and indexing add at most to a pending chunk: its length and its row; its share of
// headers, filler and ends.
constexpr uint64_t kChunkOverheadBytes = 4 + 36 + 64;

class IngestStream final : public Ingest::Stream {
 public:
  IngestStream(Ingest::State& state, SegmentType type, Ingest::Access access)
      : state_(state), type_(type), access_(access), memory_(state.contents) {
    std::lock_guard lock(state_.mutex);
    state_.reliances.insert(&reliance_);
  }
  ~IngestStream() override {
    {
      std::lock_guard lock(state_.mutex);
      state_.reliances.erase(&reliance_);
    }
    if (builder_) state_.return_builder(type_, access_, std::move(builder_));
  }

  SegmentType type() const { return type_; }
  /// Taken when there is something to store: streams of known data hold none.
  SegmentBuilder& builder() {
    if (!builder_) builder_ = state_.take_builder(type_, access_);
    return *builder_;
  }
  StreamMemory& memory() { return memory_; }
  void settle() override { reliance_.clear(); }
  Reliance& reliance() { return reliance_; }

 private:
  Ingest::State& state_;
  const SegmentType type_;
  const Ingest::Access access_;
  std::shared_ptr<SegmentBuilder> builder_;
  StreamMemory memory_;
  Reliance reliance_;
};

/// Puts an item whose id is known.
Result<Ingest::Put> put_chunk(Ingest::State& state, IngestStream& stream, const IndexedChunk& chunk,
                              ByteView item) {
  PendingChunks::Outcome outcome;
  Ingest::State::Known known;
  do {
    const uint64_t generation = state.pending.generation();
    stream.reliance().add_unsealed(state.pipeline.sealed_count());
    known = VARVE_TRY(state.look_up(chunk.id));
    if (known.place) {
      stream.reliance().add(known.place->pack);
      if (state.is_condemned(known.place->pack)) known = {};
    }
    if (known.is_known) {
      outcome = PendingChunks::Outcome::kKnown;
    } else {
      outcome = VARVE_TRY(state.store(stream.builder(), chunk, item, generation));
    }
  } while (outcome == PendingChunks::Outcome::kLookAgain);
  if (stream.type() == SegmentType::kChunks) stream.memory().saw(chunk.id, known.place);
  const bool is_new = outcome == PendingChunks::Outcome::kInserted;
  state.raw_bytes.add(item.size());
  (is_new ? state.chunks_new : state.chunks_known).add();
  if (is_new) state.new_bytes.add(item.size());
  return Ingest::Put{chunk.id, item.size(), is_new};
}

/// The chunk that the chunker cuts off `window`.
Result<IndexedChunk> cut_front(const Ingest::State& state, const IngestStream& stream,
                               ByteView window, const Chunker& chunker) {
  const size_t length = chunker.cut(window);
  return IndexedChunk{VARVE_TRY(state.hasher.item_id(stream.type(), window.first(length))),
                      static_cast<uint32_t>(length)};
}

size_t segment_bytes_for(SegmentType type, Ingest::Access access) {
  if (access == Ingest::Access::kSequential) return kStreamSegmentBytes;
  return type == SegmentType::kChunks ? kImageSegmentBytes : kTreeSegmentBytes;
}

}  // namespace

void Reliance::add(const PackId& pack) {
  std::lock_guard lock(mutex_);
  if (pack == last_) return;
  last_ = pack;
  packs_.insert(pack);
}

void Reliance::add_unsealed(size_t sealed) {
  std::lock_guard lock(mutex_);
  if (!sealed_) sealed_ = sealed;
}

void Reliance::clear() {
  std::lock_guard lock(mutex_);
  last_ = PackId();
  packs_.clear();
  sealed_.reset();
}

void Reliance::visit(const std::vector<PackId>& sealed,
                     std::unordered_set<PackId, IdHash>& out) const {
  std::lock_guard lock(mutex_);
  out.insert(packs_.begin(), packs_.end());
  if (!sealed_) return;
  for (size_t i = *sealed_; i < sealed.size(); i++) out.insert(sealed[i]);
}

const std::shared_ptr<PendingSegment>& SegmentBuilder::segment_for(
    size_t length, std::shared_ptr<PendingSegment>& full) {
  if (segment_ && !segment_->has_room(length)) full = cut();
  if (!segment_) segment_ = std::make_shared<PendingSegment>(type_, std::max(target_, length));
  return segment_;
}

std::shared_ptr<PendingSegment> SegmentBuilder::cut() {
  if (!segment_ || segment_->used == 0) return nullptr;
  return std::exchange(segment_, nullptr);
}

Ingest::State::State(PackStore& packs_in, ChunkIndex& index_in, const Hasher& hasher_in,
                     Executor& compressors, Metrics& metrics, Options options)
    : packs(packs_in),
      index(index_in),
      hasher(hasher_in),
      chunks_new(metrics.counter("varve_chunks_new_total", "Chunks stored")),
      chunks_known(metrics.counter("varve_chunks_known_total", "Chunks that were there already")),
      raw_bytes(metrics.counter("varve_ingest_raw_bytes_total", "Bytes put")),
      new_bytes(metrics.counter("varve_ingest_new_bytes_total",
                                "Bytes of chunks stored, before compression")),
      chunks_expected(metrics.counter("varve_chunks_expected_total",
                                      "Known chunks that were found where they were expected")),
      contents(packs_in),
      pipeline(packs_in, index_in, pending, compressors, metrics, options) {}

std::shared_ptr<SegmentBuilder> Ingest::State::take_builder(SegmentType type, Access access) {
  std::lock_guard lock(mutex);
  auto& unused = idle[{type, access}];
  if (unused.empty()) {
    builders.push_back(std::make_shared<SegmentBuilder>(type, segment_bytes_for(type, access)));
    return builders.back();
  }
  std::shared_ptr<SegmentBuilder> builder = std::move(unused.back());
  unused.pop_back();
  return builder;
}

void Ingest::State::return_builder(SegmentType type, Access access,
                                   std::shared_ptr<SegmentBuilder> builder) {
  std::lock_guard lock(mutex);
  idle[{type, access}].push_back(std::move(builder));
}

size_t Ingest::State::cut_all() {
  std::vector<std::shared_ptr<SegmentBuilder>> all;
  {
    std::lock_guard lock(mutex);
    all = builders;
  }
  std::vector<std::shared_ptr<PendingSegment>> cut;
  for (const auto& builder : all) {
    std::lock_guard lock(builder->mutex());
    std::shared_ptr<PendingSegment> segment = builder->cut();
    if (!segment) continue;
    pipeline.enqueue(segment);
    cut.push_back(std::move(segment));
  }
  for (auto& segment : cut) pipeline.start(std::move(segment));
  return cut.size();
}

Result<void> Ingest::State::admit(SegmentType type, size_t bytes) {
  while (!VARVE_TRY(pipeline.admit(type, bytes))) {
    if (cut_all() > 0) continue;
    pipeline.admit_anyway(bytes);
    break;
  }
  return {};
}

bool Ingest::State::is_condemned(const PackId& pack) const {
  if (!any_condemned) return false;
  std::lock_guard lock(condemned_mutex);
  return condemned.contains(pack);
}

Result<Ingest::State::Known> Ingest::State::look_up(const ChunkId& id) {
  if (pending.contains(id)) return Known{true, {}};
  const Result<std::optional<ChunkPlace>> place = index.find(id);
  // A damaged run of the index costs space: what it may have known is stored once more.
  if (!place.ok() || !*place) return Known{};
  // What is missing here is read from a remote as long as that has it: nothing new depends on it.
  if (packs.is_lost((*place)->pack)) return Known{};
  return Known{true, *place};
}

Result<PendingChunks::Outcome> Ingest::State::store(SegmentBuilder& builder,
                                                    const IndexedChunk& chunk, ByteView item,
                                                    uint64_t generation) {
  VARVE_TRY(admit(builder.type(), item.size()));
  std::shared_ptr<PendingSegment> full;
  PendingChunks::Outcome outcome;
  {
    std::lock_guard lock(builder.mutex());
    const std::shared_ptr<PendingSegment>& segment = builder.segment_for(item.size(), full);
    if (full) pipeline.enqueue(full);
    std::memcpy(segment->raw.data() + segment->used, item.data(), item.size());
    outcome = pending.insert(chunk, segment, segment->used, generation);
    if (outcome == PendingChunks::Outcome::kInserted) {
      segment->used += item.size();
      segment->chunks.push_back(chunk);
    }
  }
  if (outcome != PendingChunks::Outcome::kInserted) pipeline.give_back(item.size());
  if (full) pipeline.start(std::move(full));
  return outcome;
}

Result<void> Ingest::State::flush() {
  VARVE_TRY(pipeline.check());
  cut_all();
  return pipeline.wait_appended();
}

Ingest::Ingest(PackStore& packs, ChunkIndex& index, const Hasher& hasher, Executor& compressors,
               Metrics& metrics, Options options)
    : state_(std::make_unique<State>(packs, index, hasher, compressors, metrics, options)) {}
Ingest::~Ingest() = default;

std::unique_ptr<Ingest::Stream> Ingest::open_stream(SegmentType type, Access access) {
  return std::make_unique<IngestStream>(*state_, type, access);
}

Result<Ingest::Put> Ingest::put(Stream& stream, ByteView item) {
  auto& own = static_cast<IngestStream&>(stream);
  if (item.empty()) return Error(Errc::kInvalid, "a chunk of no bytes");
  if (item.size() > kSegmentRawBytesMax)
    return Error(Errc::kTooLarge, "a chunk greater than a segment may be");
  VARVE_TRY(state_->pipeline.check());
  const IndexedChunk chunk{VARVE_TRY(state_->hasher.item_id(own.type(), item)),
                           static_cast<uint32_t>(item.size())};
  return put_chunk(*state_, own, chunk, item);
}

Result<std::vector<Ingest::Put>> Ingest::put_fronts(Stream& stream, ByteView window,
                                                    const Chunker& chunker, size_t begins_before) {
  auto& own = static_cast<IngestStream&>(stream);
  VARVE_TRY(state_->pipeline.check());
  const std::vector<PlannedChunk> plan = VARVE_TRY(
      plan_chunks(window, begins_before, own.type(), chunker, own.memory(), state_->hasher));
  std::vector<Put> puts;
  puts.reserve(plan.size());
  size_t at = 0;
  const auto put_next = [&](const IndexedChunk& chunk) -> Result<void> {
    const ByteView item = window.subspan(at, chunk.length);
    puts.push_back(VARVE_TRY(put_chunk(*state_, own, chunk, item)));
    at += chunk.length;
    return {};
  };
  for (const PlannedChunk& planned : plan) {
    // Behind a guess that was none, cuts of the chunker's lead to where one was planned, or past
    // it.
    while (at < planned.begin || (at == planned.begin && !planned.is_sure()))
      VARVE_TRY(put_next(VARVE_TRY(cut_front(*state_, own, window.subspan(at), chunker))));
    if (at > planned.begin) continue;
    if (planned.guess) state_->chunks_expected.add();
    VARVE_TRY(put_next(planned.chunk));
  }
  return puts;
}

std::optional<Bytes> Ingest::find_pending(const ChunkId& id) {
  return state_->pending.find(id);
}

Result<void> Ingest::flush() {
  return state_->flush();
}

Result<std::vector<OpenPackLength>> Ingest::sync() {
  VARVE_TRY(state_->flush());
  return state_->pipeline.sync();
}

Result<std::vector<PackStore::Recovered>> Ingest::seal_open(PackClass pack_class) {
  VARVE_TRY(state_->flush());
  VARVE_TRY(state_->pipeline.finish_waiting());
  VARVE_TRY(state_->pipeline.seal(pack_class));
  return state_->pipeline.take_sealed();
}

std::vector<PackStore::Recovered> Ingest::take_sealed() {
  return state_->pipeline.take_sealed();
}

void Ingest::condemn(const std::vector<PackId>& packs) {
  std::lock_guard lock(state_->condemned_mutex);
  state_->condemned.insert(packs.begin(), packs.end());
  state_->any_condemned = !state_->condemned.empty();
}

void Ingest::pardon(const std::vector<PackId>& packs) {
  std::lock_guard lock(state_->condemned_mutex);
  for (const PackId& pack : packs) state_->condemned.erase(pack);
  state_->any_condemned = !state_->condemned.empty();
}

std::vector<PackId> Ingest::relied_on() {
  std::unordered_set<PackId, IdHash> packs;
  const std::vector<PackId> sealed = state_->pipeline.sealed_so_far();
  std::lock_guard lock(state_->mutex);
  for (const Reliance* reliance : state_->reliances) reliance->visit(sealed, packs);
  return {packs.begin(), packs.end()};
}

uint64_t Ingest::outstanding_bytes() const {
  return state_->pipeline.pending_bytes() + kChunkOverheadBytes * state_->pending.count();
}

}  // namespace varve
