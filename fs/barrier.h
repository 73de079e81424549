// What stands between changes and a snapshot's moment: any number of changes at once, or one moment
// alone.
//
// A moment that waits lets no new change begin, so that a stream of changes cannot starve it. Not
// recursive.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace varve {

class Barrier {
 public:
  void lock_shared();
  void unlock_shared();
  void lock();
  void unlock();

 private:
  std::mutex mutex_;
  std::condition_variable changes_may_begin_, moment_may_begin_;
  uint64_t changes_ = 0, moments_waiting_ = 0;
  bool moment_ = false;
};

}  // namespace varve
