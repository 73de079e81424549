#include "fs/space.h"

#include <algorithm>

namespace varve {
namespace {

constexpr uint64_t kMiBBytes = 1u << 20;
constexpr Nanoseconds kBelieveFor = 100'000'000;

}  // namespace

uint64_t space_reserve_bytes(uint64_t total) {
  return std::min(64 * kMiBBytes, total / 16) + std::min(512 * kMiBBytes, total / 50);
}

Result<void> Space::refresh() {
  Nanoseconds now = clock_.monotonic();
  if (known_ && now - asked_at_ < kBelieveFor) return {};
  // Outstanding first: what reaches the disk in between is then counted twice, never not at all.
  outstanding_then_ = outstanding_();
  space_ = VARVE_TRY(storage_.space());
  admitted_since_ = 0;
  asked_at_ = now;
  known_ = true;
  return {};
}

Result<void> Space::admit(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  VARVE_TRY(refresh());
  uint64_t needed = outstanding_then_ + admitted_since_ + bytes + space_reserve_bytes(space_.total);
  if (needed > space_.available) return Errc::kNoSpace;
  admitted_since_ += bytes;
  return {};
}

void Space::forget() {
  std::lock_guard lock(mutex_);
  known_ = false;
}

Result<StorageSpace> Space::figures() {
  std::lock_guard lock(mutex_);
  VARVE_TRY(refresh());
  uint64_t taken = outstanding_then_ + admitted_since_ + space_reserve_bytes(space_.total);
  return StorageSpace{space_.total, space_.available > taken ? space_.available - taken : 0};
}

}  // namespace varve
