// Sees whether an open file is read from front to back, and says what to decode ahead. Not for two
// threads at once.
#pragma once

#include <cstdint>
#include <optional>

#include "fs/dirty_extents.h"

namespace varve {

class Prefetcher {
 public:
  /// After a read of [from, to): the range to prefetch now, if any.
  std::optional<FileRange> after_read(uint64_t from, uint64_t to);

 private:
  uint64_t last_end_ = 0;
  uint64_t sequential_reads_ = 0;
  uint64_t prefetched_to_ = 0;
};

}  // namespace varve
