// Packs on their way into the chunk index when they are many: a run's worth at a time, so that
// memory stays bounded and nothing is sorted in twice.
#pragma once

#include "dedup/chunk_index.h"

namespace varve {

/// One thread.
class IndexBatch {
 public:
  explicit IndexBatch(ChunkIndex& index) : index_(index) {}

  void add(const PackId& pack, PackIndex content);
  /// The last call: what is less than a run stays in memory until the index settles.
  void finish();

 private:
  void write_run();

  ChunkIndex& index_;
  std::vector<ChunkIndex::SealedPack> packs_;
  size_t chunks_ = 0;
};

}  // namespace varve
