#include "dedup/pack_pipeline.h"

#include <fmt/format.h>

#include "dedup/base/clock.h"
#include "dedup/base/log.h"
#include "dedup/compressor.h"

namespace varve {
namespace {

constexpr int64_t kRetryIntervalNs = 200'000'000;

}  // namespace

PackPipeline::PackPipeline(PackStore& packs, ChunkIndex& index, PendingChunks& pending,
                           Executor& compressors, Metrics& metrics, Ingest::Options options)
    : packs_(packs),
      index_(index),
      pending_(pending),
      compressors_(compressors),
      options_(options),
      pending_gauge_(
          metrics.gauge("varve_pending_bytes", "Chunks in memory that are in no pack yet")),
      compressed_bytes_(
          metrics.counter("varve_ingest_compressed_bytes_total", "New chunks after compression")),
      own_finisher_(options.finisher != nullptr
                        ? nullptr
                        : make_thread_pool("varve-seal", 1, kFinishingPacksMax)),
      finisher_(options.finisher != nullptr ? *options.finisher : *own_finisher_) {
  lanes_[0].pack_class = PackClass::kData;
  lanes_[1].pack_class = PackClass::kCatalog;
}

PackPipeline::~PackPipeline() {
  Lock lock(mutex_);
  changed_.wait(lock, [this] { return tasks_ == 0; });
}

// Errors and stalls.

Result<void> PackPipeline::check() const {
  if (!has_failed_.load(std::memory_order_acquire)) return {};
  std::lock_guard lock(mutex_);
  return *first_error_;
}

void PackPipeline::note(bool& stalled, const Error& error) {
  if (error.code() == Errc::kNoSpace) {
    if (!is_stalled()) {
      log_warning(
          fmt::format("the store's disk is full: {} bytes wait in memory until there is space",
                      pending_bytes_.load()));
    }
    stalled = true;
  } else if (!first_error_) {
    log_error(fmt::format("writing packs has failed and stays so until the next mount: {}",
                          error.message()));
    first_error_ = error;
    has_failed_.store(true, std::memory_order_release);
  }
  changed_.notify_all();
}

void PackPipeline::resumed(bool& stalled) {
  if (!stalled) return;
  stalled = false;
  if (!is_stalled()) log_info("the store's disk has space again: writing goes on");
}

Error PackPipeline::no_space() const {
  return Error(Errc::kNoSpace, "the store's disk is full");
}

void PackPipeline::retry_stalled(Lock& lock) {
  if (!is_stalled()) return;
  last_retry_ns_ = system_clock().monotonic();
  const bool finish = finish_stalled_;
  lock.unlock();
  for (Lane& lane : lanes_) drain(lane, true);
  if (finish) finish_packs();
  lock.lock();
}

void PackPipeline::retry_now_and_then(Lock& lock) {
  if (is_stalled() && system_clock().monotonic() - last_retry_ns_ >= kRetryIntervalNs)
    retry_stalled(lock);
}

// Memory.

Result<bool> PackPipeline::admit(SegmentType type, size_t bytes) {
  Lock lock(mutex_);
  for (;;) {
    retry_now_and_then(lock);
    if (first_error_) return *first_error_;
    if (lane_of(type).stalled || finish_stalled_) return no_space();
    if (pending_bytes_ < options_.pending_bytes_max) break;
    if (is_stalled()) return no_space();  // what waits for space keeps the memory
    if (queued_bytes_ == 0) return false;
    changed_.wait(lock);
  }
  pending_bytes_ += bytes;
  pending_gauge_.set(pending_bytes_);
  return true;
}

void PackPipeline::admit_anyway(size_t bytes) {
  Lock lock(mutex_);
  pending_bytes_ += bytes;
  pending_gauge_.set(pending_bytes_);
}

void PackPipeline::give_back(size_t bytes) {
  Lock lock(mutex_);
  pending_bytes_ -= bytes;
  pending_gauge_.set(pending_bytes_);
  changed_.notify_all();
}

// Segments.

void PackPipeline::enqueue(const std::shared_ptr<PendingSegment>& segment) {
  Lock lock(mutex_);
  Lane& lane = lane_of(segment->type);
  lane.queue.push_back(segment);
  lane.enqueued++;
  queued_bytes_ += segment->used;
  tasks_++;
}

void PackPipeline::start(std::shared_ptr<PendingSegment> segment) {
  compressors_.run([this, segment = std::move(segment)] {
    compress(*segment);
    Lane& lane = lane_of(segment->type);
    {
      Lock lock(mutex_);
      segment->is_ready = true;
    }
    drain(lane, false);
    Lock lock(mutex_);
    tasks_--;
    changed_.notify_all();
  });
}

void PackPipeline::compress(PendingSegment& segment) {
  const auto compressor = idle_compressors_.lease(
      [this] { return std::make_unique<Compressor>(options_.compression_level); });
  Buffer encoded(Compressor::compress_bound(segment.used));
  const Compressor::Outcome outcome =
      compressor->compress(segment.raw.view().first(segment.used), encoded.span());
  segment.codec = outcome.codec;
  if (outcome.codec != Codec::kStored) {
    encoded.shrink(outcome.length);
    segment.encoded = std::move(encoded);
  }
}

void PackPipeline::drain(Lane& lane, bool retry) {
  Lock lock(mutex_);
  if (lane.busy || (lane.stalled && !retry)) return;
  lane.busy = true;
  while (!lane.queue.empty() && lane.queue.front()->is_ready && !first_error_ &&
         lane.sealers == 0) {
    const std::shared_ptr<PendingSegment> segment = lane.queue.front();
    lock.unlock();
    auto appended = append(lane, *segment);
    lock.lock();
    if (!appended.ok()) {
      note(lane.stalled, appended.error());
      break;
    }
    lane.queue.pop_front();
    lane.appended++;
    queued_bytes_ -= segment->used;
    pending_bytes_ -= segment->used;
    pending_gauge_.set(pending_bytes_);
    resumed(lane.stalled);
    changed_.notify_all();
  }
  lane.busy = false;
  changed_.notify_all();
}

Result<void> PackPipeline::append(Lane& lane, const PendingSegment& segment) {
  const PreparedSegment prepared = segment.prepared();
  VARVE_TRY(make_room(lane, prepared));
  const uint32_t ordinal = VARVE_TRY(lane.writer->append(prepared));
  compressed_bytes_.add(prepared.payload.size());
  // First known by its place, then no longer by its bytes: a reader finds it at any moment.
  index_.add(lane.writer->pack(), ordinal, segment.chunks);
  pending_.erase(segment);
  return {};
}

Result<void> PackPipeline::make_room(Lane& lane, const PreparedSegment& segment) {
  if (lane.writer && !lane.writer->fits(segment.payload.size(), segment.chunks.size())) {
    {
      Lock lock(mutex_);
      hand_over(lane, true);
    }
    start_finishing();
  }
  if (lane.writer) return {};
  std::shared_ptr<PackStore::Writer> writer = VARVE_TRY(packs_.create(lane.pack_class));
  Lock lock(mutex_);
  lane.writer = std::move(writer);
  return {};
}

// Packs.

void PackPipeline::hand_over(Lane& lane, bool full) {
  finishing_.push_back({std::move(lane.writer), full});
  lane.writer = nullptr;
  finish_begun_++;
}

void PackPipeline::start_finishing() {
  {
    Lock lock(mutex_);
    tasks_++;
  }
  finisher_.run([this] {
    finish_packs();
    Lock lock(mutex_);
    tasks_--;
    changed_.notify_all();
  });
}

void PackPipeline::note_sealed(PackStore::Recovered sealed) {
  sealed_order_.push_back(sealed.info.pack);
  sealed_count_.store(sealed_order_.size(), std::memory_order_release);
  sealed_.push_back(std::move(sealed));
}

std::vector<PackId> PackPipeline::sealed_so_far() const {
  Lock lock(mutex_);
  return sealed_order_;
}

void PackPipeline::finish_packs() {
  Lock lock(mutex_);
  if (finish_busy_) return;  // that thread takes what was added, too
  finish_busy_ = true;
  while (!finishing_.empty() && !first_error_) {
    const Finishing pack = finishing_.front();
    lock.unlock();
    auto finished = pack.writer->finish(pack.full);
    if (finished.ok()) index_.add_pack(finished->info.pack, finished->index);
    lock.lock();
    if (!finished.ok()) {
      note(finish_stalled_, finished.error());
      break;
    }
    finishing_.pop_front();
    finish_done_++;
    note_sealed(std::move(finished).value());
    resumed(finish_stalled_);
    changed_.notify_all();
  }
  finish_busy_ = false;
  changed_.notify_all();
}

Result<void> PackPipeline::wait_finished(Lock& lock, uint64_t target) {
  changed_.wait(lock, [&] {
    return finish_done_ >= target || first_error_ || (finish_stalled_ && !finish_busy_);
  });
  if (first_error_) return *first_error_;
  if (finish_done_ < target) return no_space();
  return {};
}

Result<void> PackPipeline::wait_appended() {
  Lock lock(mutex_);
  const std::array<uint64_t, 2> targets{lanes_[0].enqueued, lanes_[1].enqueued};
  retry_stalled(lock);
  for (size_t i = 0; i < lanes_.size(); i++) {
    Lane& lane = lanes_[i];
    changed_.wait(lock, [&] {
      return lane.appended >= targets[i] || first_error_ || (lane.stalled && !lane.busy);
    });
    if (first_error_) return *first_error_;
    if (lane.appended < targets[i] && lane.pack_class == PackClass::kData) return no_space();
  }
  return {};
}

Result<std::vector<OpenPackLength>> PackPipeline::sync() {
  Lock lock(mutex_);
  if (first_error_) return *first_error_;
  // What a write without space has broken must not be synced: that would count as a failed sync.
  if (lane_of(PackClass::kData).stalled || finish_stalled_) return no_space();
  std::vector<std::shared_ptr<PackStore::Writer>> writers;
  for (const Lane& lane : lanes_) {
    if (lane.writer && !lane.stalled) writers.push_back(lane.writer);
  }
  const uint64_t target = finish_begun_;
  lock.unlock();
  std::vector<OpenPackLength> lengths;
  for (const auto& writer : writers) {
    auto length = writer->sync();
    if (!length.ok()) {
      lock.lock();
      // Without space it is the lane that waits, whose append has found none.
      if (length.error().code() != Errc::kNoSpace) note(finish_stalled_, length.error());
      return std::move(length).error();
    }
    lengths.push_back({writer->pack(), writer->pack_class(), *length});
  }
  lock.lock();
  VARVE_TRY(wait_finished(lock, target));
  return lengths;
}

Result<void> PackPipeline::finish_waiting() {
  return packs_.finish_waiting([this](PackStore::Recovered sealed) {
    index_.add_pack(sealed.info.pack, sealed.index);
    Lock lock(mutex_);
    note_sealed(std::move(sealed));
  });
}

Result<void> PackPipeline::seal(PackClass pack_class) {
  Lock lock(mutex_);
  Lane& lane = lane_of(pack_class);
  lane.sealers++;
  changed_.wait(lock, [&] { return !lane.busy; });
  lane.sealers--;
  // The writer of a lane that is stalled holds a sealed segment that has to be written first.
  const bool may_seal = !first_error_ && !lane.stalled;
  if (may_seal && lane.writer) hand_over(lane, false);
  const uint64_t target = finish_begun_;
  lock.unlock();
  drain(lane, false);
  if (!may_seal) {
    VARVE_TRY(check());
    return no_space();
  }
  start_finishing();
  lock.lock();
  return wait_finished(lock, target);
}

std::vector<PackStore::Recovered> PackPipeline::take_sealed() {
  Lock lock(mutex_);
  return std::exchange(sealed_, {});
}

}  // namespace varve
