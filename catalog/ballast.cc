#include "catalog/ballast.h"

#include <algorithm>

#include "dedup/base/limits.h"
#include "dedup/base/log.h"

namespace varve {
namespace {

constexpr const char* kBallastPath = "local/ballast";
constexpr const char* kBallastFolder = "local";
constexpr uint64_t kPartOfDisk = 64;
constexpr uint64_t kBytesMax = 64 * kMiB;
/// Free space beside it without which it is not taken, in parts of the disk: else it would go again
/// with the next commit.
constexpr uint64_t kRoomPart = 16;
constexpr uint64_t kRoomBytesMax = 128 * kMiB;

}  // namespace

uint64_t Ballast::bytes_for(uint64_t disk_total) {
  return std::min(kBytesMax, disk_total / kPartOfDisk);
}

/// False if there is no room for it.
Result<bool> Ballast::take() {
  const StorageSpace space = VARVE_TRY(storage_.space());
  wanted_bytes_ = bytes_for(space.total);
  const bool is_here = VARVE_TRY(storage_.exists(kBallastPath));
  const uint64_t room = std::min(kRoomBytesMax, space.total / kRoomPart);
  if (!is_here && space.available < 2 * wanted_bytes_ + room) return false;
  const std::unique_ptr<StorageFile> file =
      VARVE_TRY(is_here ? storage_.open_write(kBallastPath) : storage_.create(kBallastPath));
  Result<void> reserved = file->reserve(wanted_bytes_);
  if (reserved.ok()) reserved = file->sync();
  if (reserved.ok()) reserved = storage_.sync_dir(kBallastFolder);
  if (reserved.ok()) return true;
  VARVE_TRY(storage_.unlink(kBallastPath));
  if (reserved.error().code() == Errc::kNoSpace) return false;
  return std::move(reserved).error();
}

void Ballast::take_if_room() {
  std::lock_guard lock(mutex_);
  if (held_) return;
  const Result<bool> taken = take();
  if (!taken.ok()) {
    log_warning("the ballast cannot be taken: " + taken.error().message());
    return;
  }
  held_ = *taken;
}

bool Ballast::give() {
  std::lock_guard lock(mutex_);
  if (!held_) return false;
  held_ = false;
  Result<void> given = storage_.unlink(kBallastPath);
  // Some filesystems have the space back only when they know that it stays so.
  if (given.ok()) given = storage_.sync_dir(kBallastFolder);
  if (!given.ok()) {
    log_warning("the ballast cannot be given back: " + given.error().message());
    return false;
  }
  log_warning(
      "the store's disk is full: the ballast in local/ is given back, so that what was accepted "
      "and removals find space");
  return true;
}

uint64_t Ballast::missing_bytes() const {
  std::lock_guard lock(mutex_);
  return held_ ? 0 : wanted_bytes_;
}

}  // namespace varve
