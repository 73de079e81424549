#include "fs/prefetcher.h"

#include <algorithm>

namespace varve {
namespace {

constexpr uint64_t kAheadBytes = 4u << 20;
// The kernel reads ahead with several requests at once, in any order.
constexpr uint64_t kSlackBytes = 2u << 20;
constexpr uint64_t kReadsToBelieve = 2;

}  // namespace

std::optional<FileRange> Prefetcher::after_read(uint64_t from, uint64_t to) {
  bool sequential = from <= last_end_ + kSlackBytes && from + kSlackBytes >= last_end_;
  if (!sequential) {
    sequential_reads_ = 0;
    prefetched_to_ = 0;
    last_end_ = to;
    return std::nullopt;
  }
  last_end_ = std::max(last_end_, to);
  if (++sequential_reads_ < kReadsToBelieve || prefetched_to_ >= last_end_ + kAheadBytes / 2)
    return std::nullopt;
  FileRange range{std::max(prefetched_to_, last_end_), last_end_ + kAheadBytes};
  prefetched_to_ = range.to;
  return range;
}

}  // namespace varve
