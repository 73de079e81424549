#include "fs/space.h"

#include <algorithm>

#include "dedup/base/disk_reserve.h"

namespace varve {
namespace {

constexpr Nanoseconds kBelieveFor = 100'000'000;

}  // namespace

uint64_t space_reserve_bytes(uint64_t total) {
  return disk_reserve_bytes(total);
}

uint64_t space_last_bytes(uint64_t total) {
  return std::min<uint64_t>(64 * kMiB, space_reserve_bytes(total) / 2);
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
  return admit_beside(bytes, space_reserve_bytes(space_.total));
}

Result<void> Space::admit_last(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  VARVE_TRY(refresh());
  return admit_beside(bytes, space_reserve_bytes(space_.total) - space_last_bytes(space_.total));
}

Result<void> Space::admit_beside(uint64_t bytes, uint64_t kept_back) {
  uint64_t needed = outstanding_then_ + admitted_since_ + bytes + kept_back;
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
