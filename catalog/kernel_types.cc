#include "catalog/kernel_types.h"

namespace varve {
namespace {

constexpr int64_t kNanosecondsInTimespecSecond = 1'000'000'000;

}  // namespace

mode_t format_bits(FileType type) {
  switch (type) {
    case FileType::kFile:
      return S_IFREG;
    case FileType::kDirectory:
      return S_IFDIR;
    case FileType::kSymlink:
      return S_IFLNK;
    case FileType::kFifo:
      return S_IFIFO;
    case FileType::kSocket:
      return S_IFSOCK;
    case FileType::kCharacterDevice:
      return S_IFCHR;
    case FileType::kBlockDevice:
      return S_IFBLK;
  }
  return S_IFREG;
}

Result<FileType> file_type_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case 0:
    case S_IFREG:
      return FileType::kFile;
    case S_IFDIR:
      return FileType::kDirectory;
    case S_IFLNK:
      return FileType::kSymlink;
    case S_IFIFO:
      return FileType::kFifo;
    case S_IFSOCK:
      return FileType::kSocket;
    case S_IFCHR:
      return FileType::kCharacterDevice;
    case S_IFBLK:
      return FileType::kBlockDevice;
    default:
      return Errc::kInvalid;
  }
}

timespec timespec_of(Nanoseconds time) {
  Nanoseconds seconds = time / kNanosecondsInTimespecSecond;
  Nanoseconds rest = time % kNanosecondsInTimespecSecond;
  if (rest < 0) {
    seconds--;
    rest += kNanosecondsInTimespecSecond;
  }
  return {seconds, rest};
}

Nanoseconds nanoseconds_of(const timespec& time) {
  constexpr int64_t kSecondsMax = INT64_MAX / kNanosecondsInTimespecSecond - 1;
  if (time.tv_sec > kSecondsMax) return INT64_MAX;
  if (time.tv_sec < -kSecondsMax) return INT64_MIN;
  return time.tv_sec * kNanosecondsInTimespecSecond + time.tv_nsec;
}

}  // namespace varve
