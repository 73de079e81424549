// Packs on their way into the chunk index when they are many: a run's worth at a time, so that
// memory stays bounded and nothing is sorted in twice. While one run is sorted and written, the
// packs of the next are read.
#pragma once

#include <future>

#include "dedup/chunk_index.h"

namespace varve {

/// One thread. A run that cannot be written is logged, and its packs go into memory.
class IndexBatch {
 public:
  static constexpr size_t kChunksAtOnce = 1 << 20;  // some 140 MiB with those of the next run
  explicit IndexBatch(ChunkIndex& index, size_t chunks_at_once = kChunksAtOnce)
      : index_(index), chunks_at_once_(chunks_at_once) {}

  void add(const PackId& pack, PackIndex content);
  /// The last call: what is less than a run stays in memory until the index settles.
  void finish();

 private:
  void begin_run();
  void await_run();

  ChunkIndex& index_;
  const size_t chunks_at_once_;
  std::vector<ChunkIndex::SealedPack> packs_;
  size_t chunks_ = 0;
  std::vector<ChunkIndex::SealedPack> in_run_;  // of the run that is being written
  std::future<Result<void>> run_;               // last: its end is waited for when this goes
};

}  // namespace varve
