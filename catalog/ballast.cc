#include "catalog/ballast.h"

#include <fmt/format.h>

#include <algorithm>

#include "dedup/base/limits.h"
#include "dedup/base/log.h"

namespace varve {
namespace {

constexpr const char* kBallastFolder = "local";
constexpr uint64_t kPartOfDisk = 64;
constexpr uint64_t kBytesMax = 64 * kMiB;

std::string path_of(size_t part) {
  return fmt::format("{}/ballast-{}", kBallastFolder, part);
}

bool found_no_space(const Result<void>& outcome) {
  return !outcome.ok() && outcome.error().code() == Errc::kNoSpace;
}

void warn_unless_taken(const Result<void>& taken) {
  if (!taken.ok() && !found_no_space(taken))
    log_warning("the ballast cannot be taken: " + taken.error().message());
}

}  // namespace

uint64_t Ballast::bytes_for(uint64_t disk_total) {
  return std::min(kBytesMax, disk_total / kPartOfDisk);
}

uint64_t Ballast::missing_locked() const {
  return part_bytes_ * static_cast<uint64_t>(std::count(held_.begin(), held_.end(), false));
}

uint64_t Ballast::missing_bytes() const {
  std::lock_guard lock(mutex_);
  return missing_locked();
}

Result<void> Ballast::take_part(size_t part) {
  const std::string path = path_of(part);
  const bool is_here = VARVE_TRY(storage_.exists(path));
  const std::unique_ptr<StorageFile> file =
      VARVE_TRY(is_here ? storage_.open_write(path) : storage_.create(path));
  Result<void> reserved = file->reserve(part_bytes_);
  if (reserved.ok()) reserved = file->sync();
  if (reserved.ok()) reserved = storage_.sync_dir(kBallastFolder);
  held_[part] = reserved.ok();
  if (!reserved.ok()) VARVE_TRY(storage_.unlink(path));
  return reserved;
}

Result<void> Ballast::take_parts_here() {
  part_bytes_ = bytes_for(VARVE_TRY(storage_.space()).total) / kParts;
  for (size_t part = 0; part < kParts; part++) {
    if (!held_[part] && VARVE_TRY(storage_.exists(path_of(part)))) VARVE_TRY(take_part(part));
  }
  return {};
}

Result<void> Ballast::take_missing_parts() {
  // As much is left free beside them: else they would go again with the next commit.
  const StorageSpace space = VARVE_TRY(storage_.space());
  if (space.available < 2 * missing_locked()) return {};
  for (size_t part = 0; part < kParts; part++) {
    if (!held_[part]) VARVE_TRY(take_part(part));
  }
  return {};
}

void Ballast::take_over() {
  std::lock_guard lock(mutex_);
  warn_unless_taken(take_parts_here());
}

void Ballast::take_if_room() {
  std::lock_guard lock(mutex_);
  if (missing_locked() > 0) warn_unless_taken(take_missing_parts());
}

Result<void> Ballast::give_part(size_t part) {
  held_[part] = false;
  VARVE_TRY(storage_.unlink(path_of(part)));
  // Some filesystems have the space back only when they know that it stays so.
  return storage_.sync_dir(kBallastFolder);
}

bool Ballast::give() {
  std::lock_guard lock(mutex_);
  const auto held = std::find(held_.begin(), held_.end(), true);
  if (held == held_.end()) return false;
  const Result<void> given = give_part(static_cast<size_t>(held - held_.begin()));
  if (!given.ok()) {
    log_warning("the ballast cannot be given back: " + given.error().message());
    return false;
  }
  log_warning(fmt::format(
      "the store's disk is full: a part of the ballast in local/ is given back, so that what was "
      "accepted and removals find space; {} of {} are left",
      std::count(held_.begin(), held_.end(), true), kParts));
  return true;
}

Result<void> Ballast::with_space(const std::function<Result<void>()>& action) {
  Result<void> done = action();
  while (found_no_space(done) && give()) done = action();
  return done;
}

}  // namespace varve
