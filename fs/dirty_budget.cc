#include "fs/dirty_budget.h"

namespace varve {

bool DirtyBudget::wait_for_room(int patience_ms) {
  std::unique_lock lock(mutex_);
  while (bytes_ > limit_) {
    uint64_t before = bytes_;
    less_.wait_for(lock, std::chrono::milliseconds(patience_ms));
    if (bytes_ >= before) return bytes_ <= limit_;
  }
  return true;
}

void DirtyBudget::change(uint64_t before, uint64_t after) {
  std::lock_guard lock(mutex_);
  bytes_ = bytes_ - before + after;
  if (after < before) less_.notify_all();
}

uint64_t DirtyBudget::bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace varve
