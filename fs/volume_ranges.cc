#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <algorithm>
#include <shared_mutex>

#include "fs/read_view.h"
#include "fs/volume.h"

namespace varve {
namespace {

constexpr uint64_t kCopyBytesMax = 1u << 30;  // the kernel's answer has 32 bits

}  // namespace

Result<void> Volume::resize(FileState& file, uint64_t size) {
  if (size > kFileBytesMax) return Errc::kTooLarge;
  std::lock_guard content(file.content_mutex);
  std::lock_guard lock(file.mutex);
  VARVE_TRY(load(file));
  return resize_locked(file, size);
}

Result<void> Volume::resize_locked(FileState& file, uint64_t size) {
  if (size < file.committed_size) {
    Nanoseconds now = clock_.now();
    VARVE_TRY(tree_.change_content(file.ino, {size, file.committed_size, {}, size, now, now}));
    file.committed_size = size;
    file.natural_end = UINT64_MAX;
  }
  if (size < file.size) file.dirty.erase(size, UINT64_MAX);
  file.size = size;
  touch(file);
  account(file, budget_);
  return {};
}

Result<void> Volume::make_hole(FileState& file, FileRange range, bool keep_size) {
  std::lock_guard content(file.content_mutex);
  std::lock_guard lock(file.mutex);
  VARVE_TRY(load(file));
  if (!keep_size && range.to > file.size) VARVE_TRY(resize_locked(file, range.to));
  uint64_t to = std::min(range.to, file.committed_size);
  if (range.from < to) {
    Nanoseconds now = clock_.now();
    VARVE_TRY(tree_.change_content(file.ino, {range.from, to, {}, std::nullopt, now, now}));
    file.natural_end = UINT64_MAX;
  }
  file.dirty.erase(range.from, range.to);
  touch(file);
  account(file, budget_);
  return {};
}

Result<void> Volume::allocate(Ino node, uint64_t number, int mode, uint64_t offset,
                              uint64_t length) {
  if (!is_live(node)) return Errc::kReadOnly;
  std::shared_ptr<Handle> handle = VARVE_TRY(handle_of(number, true));
  if (length == 0) return Errc::kInvalid;
  if (offset > kFileBytesMax || length > kFileBytesMax - offset) return Errc::kTooLarge;
  FileState& file = *handle->live;
  FileRange range{offset, offset + length};
  bool keep_size = (mode & FALLOC_FL_KEEP_SIZE) != 0;
  int what = mode & ~FALLOC_FL_KEEP_SIZE;
  VARVE_TRY(check_open_to_changes());
  Shared shared(barrier_);
  VARVE_TRY(drop_privileges(file, false));
  if (what == FALLOC_FL_PUNCH_HOLE)
    return keep_size ? make_hole(file, range, true) : Result<void>(Errc::kInvalid);
  if (what == FALLOC_FL_ZERO_RANGE) return make_hole(file, range, keep_size);
  if (what != 0) return Errc::kUnsupported;
  // Nothing is reserved: what will be written may be known already. That it does not fit today is
  // said, though.
  VARVE_TRY(admit(length, nullptr));
  space_.forget();
  std::lock_guard content(file.content_mutex);
  std::lock_guard lock(file.mutex);
  VARVE_TRY(load(file));
  if (!keep_size && range.to > file.size) return resize_locked(file, range.to);
  touch(file);
  account(file, budget_);
  return {};
}

Result<uint64_t> Volume::seek(Ino, uint64_t number, uint64_t offset, int whence) {
  if (whence != SEEK_DATA && whence != SEEK_HOLE) return Errc::kInvalid;
  bool data = whence == SEEK_DATA;
  std::shared_ptr<Handle> handle = VARVE_TRY(handle_of(number, false));
  if (handle->snapshot) return snapshots_.seek(*handle->snapshot, offset, data);
  if (!handle->live) return Errc::kInvalid;
  FileState& file = *handle->live;
  std::lock_guard content(file.content_mutex);  // so that the parts fit together
  uint64_t size = 0;
  for (uint64_t at = offset;;) {
    std::lock_guard lock(file.mutex);
    VARVE_TRY(load(file));
    size = file.size;
    if (at >= size) break;
    std::vector<FileRange> runs = file.dirty.runs();
    std::vector<Extent> extents = VARVE_TRY(tree_.extents(file.ino, at, size, kSeekExtents));
    uint64_t to = known_until(extents, size);
    uint64_t found =
        data ? data_start(at, runs, extents).value_or(to) : data_end(at, runs, extents);
    if (found < to) return found;
    at = to;
  }
  if (offset >= size || data) return Errc::kNoDevice;
  return size;
}

Result<void> Volume::clone(FileState& from, uint64_t from_offset, FileState& to, uint64_t to_offset,
                           uint64_t length) {
  uint64_t end = to_offset + length;
  VARVE_TRY(tree_.clone_range(from.ino, from_offset, to.ino, to_offset, length));
  to.dirty.erase(to_offset, end);
  to.committed_size = VARVE_TRY(tree_.inode(to.ino)).size;
  to.size = std::max(to.size, std::max(end, to.committed_size));
  to.natural_end = UINT64_MAX;
  touch(to);
  account(to, budget_);
  return {};
}

Result<size_t> Volume::copy_range(Ino from, uint64_t from_handle, uint64_t from_offset, Ino to,
                                  uint64_t to_handle, uint64_t to_offset, size_t length) {
  if (is_snapshot(to)) return Errc::kReadOnly;
  if (!is_live(from) || !is_live(to))
    return Errc::kCrossDevice;  // the kernel then copies by reading and writing
  std::shared_ptr<Handle> source = VARVE_TRY(handle_of(from_handle, true));
  std::shared_ptr<Handle> target = VARVE_TRY(handle_of(to_handle, true));
  uint64_t wanted = std::min<uint64_t>(length, kCopyBytesMax);
  if (to_offset > kFileBytesMax - wanted) return Errc::kTooLarge;
  VARVE_TRY(admit_name());
  Shared shared(barrier_);
  VARVE_TRY(drop_privileges(*target->live, false));
  VARVE_TRY(flusher_.flush(*source->live, Flusher::Depth::kAll));
  if (from != to) VARVE_TRY(flusher_.flush(*target->live, Flusher::Depth::kAll));
  FileState& first = from <= to ? *source->live : *target->live;
  FileState& second = from <= to ? *target->live : *source->live;
  std::unique_lock content_first(first.content_mutex);
  std::unique_lock<std::mutex> content_second, lock_second;
  if (from != to) content_second = std::unique_lock(second.content_mutex);
  std::unique_lock lock_first(first.mutex);
  if (from != to) lock_second = std::unique_lock(second.mutex);
  VARVE_TRY(load(first));
  VARVE_TRY(load(second));
  // What was written since the flush is as if it came after the copy.
  uint64_t source_size = source->live->committed_size;
  if (from_offset >= source_size) return size_t{0};
  uint64_t count = std::min(wanted, source_size - from_offset);
  VARVE_TRY(clone(*source->live, from_offset, *target->live, to_offset, count));
  return static_cast<size_t>(count);
}

}  // namespace varve
