// How much dirty data there may be, over all files. Any thread; a leaf lock.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

namespace varve {

class DirtyBudget {
 public:
  explicit DirtyBudget(uint64_t limit_bytes) : limit_(limit_bytes) {}

  /// Waits while more than the limit is dirty. A file's lock must not be held. False if nothing got
  /// better for `patience_ms`: whatever flushes cannot.
  bool wait_for_room(int patience_ms);
  /// A file's memory changed.
  void change(uint64_t before, uint64_t after);

  uint64_t bytes() const;
  uint64_t limit() const { return limit_; }
  bool pressing() const { return bytes() > limit_ / 2; }

 private:
  const uint64_t limit_;
  mutable std::mutex mutex_;
  std::condition_variable less_;
  uint64_t bytes_ = 0;
};

}  // namespace varve
