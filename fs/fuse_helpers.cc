#include "fs/fuse_helpers.h"

#include <algorithm>

namespace varve {

void FuseHelpers::add(Work work) {
  std::lock_guard lock(mutex_);
  work_.push_back(std::move(work));
  call();
}

void FuseHelpers::add_urgent(Work work) {
  std::lock_guard lock(mutex_);
  urgent_.push_back(std::move(work));
  call();
}

void FuseHelpers::call() {
  if (!may_begin()) return;
  const size_t room = limit_ + away_ - std::min(busy_, limit_ + away_);
  if (idle_ < std::min(work_.size(), room) + urgent_.size()) {
    idle_++;
    start_();
  }
  changed_.notify_one();
}

void FuseHelpers::serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopped_ || may_begin(); });
    const bool urgent = !urgent_.empty();
    std::deque<Work>& from = urgent ? urgent_ : work_;
    if (from.empty()) return;
    Work work = std::move(from.front());
    from.pop_front();
    idle_--;
    if (!urgent) busy_++;
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
    if (!urgent) busy_--;
    idle_++;
  }
}

void FuseHelpers::stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

void FuseHelpers::wait_begins() {
  std::lock_guard lock(mutex_);
  away_++;
  call();
}

void FuseHelpers::wait_ends() {
  std::lock_guard lock(mutex_);
  away_--;
}

}  // namespace varve
