// What stands behind Ingest; included by its implementation alone.
#pragma once

#include <atomic>
#include <map>
#include <unordered_set>

#include "dedup/hasher.h"
#include "dedup/pack_pipeline.h"
#include "dedup/stream_memory.h"

namespace varve {

/// Gathers a stream's chunks into segments. Its lock is held over PendingChunks::insert and
/// PackPipeline::enqueue.
class SegmentBuilder {
 public:
  SegmentBuilder(SegmentType type, size_t target) : type_(type), target_(target) {}

  std::mutex& mutex() { return mutex_; }
  SegmentType type() const { return type_; }
  // Under the lock:

  /// A segment with room for `length` bytes, maybe a new one; what was full is cut off and returned
  /// in `full`.
  const std::shared_ptr<PendingSegment>& segment_for(size_t length,
                                                     std::shared_ptr<PendingSegment>& full);
  /// The unfinished segment; nullptr if there is none.
  std::shared_ptr<PendingSegment> cut();

 private:
  const SegmentType type_;
  const size_t target_;
  std::mutex mutex_;
  std::shared_ptr<PendingSegment> segment_;
};

/// The packs of what a stream was told is stored. Any thread; a leaf lock.
class Reliance {
 public:
  /// On a pack that has a chunk; and, where the chunk is in none yet, on all packs that are sealed
  /// behind the first `sealed` ones.
  void add(const PackId& pack);
  void add_unsealed(size_t sealed);
  void clear();
  void visit(const std::vector<PackId>& sealed, std::unordered_set<PackId, IdHash>& out) const;

 private:
  mutable std::mutex mutex_;
  PackId last_;
  std::unordered_set<PackId, IdHash> packs_;
  std::optional<size_t> sealed_;
};

struct Ingest::State {
  State(PackStore& packs_in, ChunkIndex& index_in, const Hasher& hasher_in, Executor& compressors,
        Metrics& metrics, Options options);

  /// Takes the chunk into the builder's segment, or says why not.
  Result<PendingChunks::Outcome> store(SegmentBuilder& builder, const IndexedChunk& chunk,
                                       ByteView item, uint64_t generation);
  /// Whether the chunk need not be stored, and where it is if that is in a pack.
  struct Known {
    bool is_known = false;
    std::optional<ChunkPlace> place;
  };
  Result<Known> look_up(const ChunkId& id);
  Result<void> admit(SegmentType type, size_t bytes);
  Result<void> flush();
  /// Cuts all unfinished segments and sends them on their way; how many there were.
  size_t cut_all();

  bool is_condemned(const PackId& pack) const;

  std::shared_ptr<SegmentBuilder> take_builder(SegmentType type, Access access);
  void return_builder(SegmentType type, Access access, std::shared_ptr<SegmentBuilder> builder);

  const PackStore& packs;
  ChunkIndex& index;
  const Hasher& hasher;
  Metric& chunks_new;
  Metric& chunks_known;
  Metric& raw_bytes;
  Metric& new_bytes;
  Metric& chunks_expected;
  PackContents contents;
  PendingChunks pending;
  PackPipeline pipeline;

  std::mutex mutex;  // of the builders' lists
  std::vector<std::shared_ptr<SegmentBuilder>> builders;
  std::map<std::pair<SegmentType, Access>, std::vector<std::shared_ptr<SegmentBuilder>>> idle;
  std::unordered_set<const Reliance*> reliances;  // of the streams that live

  mutable std::mutex condemned_mutex;
  std::unordered_set<PackId, IdHash> condemned;
  std::atomic<bool> any_condemned{false};
};

}  // namespace varve
