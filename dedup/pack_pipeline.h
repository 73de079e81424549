// From full segments to sealed packs: compressing on all cores, appending in order, finishing in
// the background.
//
// Any thread. One lane a class of packs; in a lane segments are appended in the order of enqueue.
// The theory is at the top of ingest.cc.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>

#include "dedup/base/idle_pool.h"
#include "dedup/ingest.h"
#include "dedup/pending_chunks.h"

namespace varve {

class Compressor;

class PackPipeline {
 public:
  PackPipeline(PackStore& packs, ChunkIndex& index, PendingChunks& pending, Executor& compressors,
               Metrics& metrics, Ingest::Options options);
  /// Waits for the tasks; what was not synced is left to recovery.
  ~PackPipeline();

  /// The first error that was final, if there was one.
  Result<void> check() const;

  /// Room for a chunk of `bytes`; waits for it. False if only segments in gathering hold the
  /// memory: these have to be cut. kNoSpace while the lane finds no space on the disk.
  Result<bool> admit(SegmentType type, size_t bytes);
  void admit_anyway(size_t bytes);
  /// The chunk was known after all.
  void give_back(size_t bytes);

  /// Takes a segment's place in its lane; may be called under a builder's lock. start() must
  /// follow, without one.
  void enqueue(const std::shared_ptr<PendingSegment>& segment);
  void start(std::shared_ptr<PendingSegment> segment);

  /// All that is enqueued is appended; in the catalog's lane as far as there is space.
  Result<void> wait_appended();
  /// All that is appended is durable: the lengths of the packs in writing.
  Result<std::vector<OpenPackLength>> sync();
  /// Packs of before a crash that found no space for their end are sealed.
  Result<void> finish_waiting();
  /// The open pack of the class, if there is one, is sealed, and all that filled up before.
  Result<void> seal(PackClass pack_class);
  std::vector<PackStore::Recovered> take_sealed();

  /// The packs that were sealed here, in order; and how many there are.
  std::vector<PackId> sealed_so_far() const;
  size_t sealed_count() const { return sealed_count_.load(std::memory_order_acquire); }

  size_t pending_bytes() const { return pending_bytes_.load(std::memory_order_relaxed); }

 private:
  struct Lane {
    PackClass pack_class;
    std::deque<std::shared_ptr<PendingSegment>> queue;
    uint64_t enqueued = 0, appended = 0;
    bool busy = false;     // somebody appends: the writer is that thread's
    bool stalled = false;  // the segment in front found no space
    size_t sealers = 0;    // wait for the writer: who appends makes way
    std::shared_ptr<PackStore::Writer> writer;
  };
  struct Finishing {
    std::shared_ptr<PackStore::Writer> writer;
    bool full;
  };
  using Lock = std::unique_lock<std::mutex>;

  Lane& lane_of(SegmentType type) { return lanes_[type == SegmentType::kChunks ? 0 : 1]; }
  Lane& lane_of(PackClass pack_class) { return lanes_[pack_class == PackClass::kData ? 0 : 1]; }
  void compress(PendingSegment& segment);
  void drain(Lane& lane, bool retry);
  Result<void> append(Lane& lane, const PendingSegment& segment);
  Result<void> make_room(Lane& lane, const PreparedSegment& segment);
  void start_finishing();
  void finish_packs();
  void note_sealed(PackStore::Recovered sealed);
  void hand_over(Lane& lane, bool full);
  Result<void> wait_finished(Lock& lock, uint64_t target);

  bool is_stalled() const { return lanes_[0].stalled || lanes_[1].stalled || finish_stalled_; }
  void note(bool& stalled, const Error& error);
  void resumed(bool& stalled);
  Error no_space() const;
  void retry_stalled(Lock& lock);
  void retry_now_and_then(Lock& lock);

  PackStore& packs_;
  ChunkIndex& index_;
  PendingChunks& pending_;
  Executor& compressors_;
  const Ingest::Options options_;
  Metric& pending_gauge_;
  Metric& compressed_bytes_;

  IdlePool<Compressor> idle_compressors_;

  mutable std::mutex mutex_;  // of all that follows
  std::condition_variable changed_;
  std::array<Lane, 2> lanes_;
  std::deque<Finishing> finishing_;
  uint64_t finish_begun_ = 0, finish_done_ = 0;
  bool finish_busy_ = false, finish_stalled_ = false;
  std::vector<PackStore::Recovered> sealed_;
  std::vector<PackId> sealed_order_;
  std::atomic<size_t> sealed_count_ = 0;   // changed under the lock
  std::atomic<size_t> pending_bytes_ = 0;  // changed under the lock
  size_t queued_bytes_ = 0;
  size_t tasks_ = 0;
  int64_t last_retry_ns_ = 0;
  std::optional<Error> first_error_;
  std::atomic<bool> has_failed_ = false;

  const std::unique_ptr<Executor> own_finisher_;  // last: its threads end first
  Executor& finisher_;
};

}  // namespace varve
