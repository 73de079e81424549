#include "fs/barrier.h"

namespace varve {

void Barrier::lock_shared() {
  std::unique_lock lock(mutex_);
  changes_may_begin_.wait(lock, [&] { return !moment_ && moments_waiting_ == 0; });
  changes_++;
}

void Barrier::unlock_shared() {
  std::lock_guard lock(mutex_);
  if (--changes_ == 0 && moments_waiting_ > 0) moment_may_begin_.notify_one();
}

void Barrier::lock() {
  std::unique_lock lock(mutex_);
  moments_waiting_++;
  moment_may_begin_.wait(lock, [&] { return !moment_ && changes_ == 0; });
  moments_waiting_--;
  moment_ = true;
}

void Barrier::unlock() {
  std::lock_guard lock(mutex_);
  moment_ = false;
  if (moments_waiting_ > 0) {
    moment_may_begin_.notify_one();
  } else {
    changes_may_begin_.notify_all();
  }
}

}  // namespace varve
