// What a file is besides its name and its bytes.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "dedup/base/clock.h"
#include "dedup/base/id.h"
#include "dedup/chunk_index.h"

namespace varve {

/// A file's number in the whole mount: its set's number in this working copy, and its number in the
/// set. Never used again. The root directory is 1; a set's top directory is number 1 of its set.
using Ino = uint64_t;

inline constexpr int kFileNumberBits = 40;
inline constexpr uint64_t kFileNumberMask = (uint64_t{1} << kFileNumberBits) - 1;
inline constexpr uint32_t kSetNumberMax = (1u << 22) - 1;
inline constexpr uint64_t kTopNumber = 1;
inline constexpr uint32_t kRootSet = 0;

inline constexpr Ino make_ino(uint32_t set, uint64_t number) {
  return (uint64_t{set} << kFileNumberBits) | number;
}
inline constexpr uint32_t set_of(Ino ino) {
  return static_cast<uint32_t>(ino >> kFileNumberBits);
}
inline constexpr uint64_t number_of(Ino ino) {
  return ino & kFileNumberMask;
}
inline constexpr Ino kRootIno = make_ino(kRootSet, kTopNumber);

enum class FileType : uint8_t {
  kFile = 1,
  kDirectory = 2,
  kSymlink = 3,
  kFifo = 4,
  kSocket = 5,
  kCharacterDevice = 6,
  kBlockDevice = 7,
};

struct Inode {
  FileType type = FileType::kFile;
  uint16_t permissions = 0;  // 07777
  uint32_t uid = 0, gid = 0;
  uint32_t links = 1;  // st_nlink; 0 for an orphan that is open
  uint32_t device_major = 0, device_minor = 0;
  uint64_t size = 0;       // bytes; of a symlink its target's length
  uint64_t allocated = 0;  // bytes that extents cover
  Nanoseconds atime = 0, mtime = 0, ctime = 0, btime = 0;

  // The live tree's own, never shown and in no snapshot:
  Ino parent = 0;            // the directory; 0 once the file has had two links, and for orphans
  bool linked = false;       // has had two links: lives in the link table from then on
  uint64_t next_cookie = 1;  // of a directory: for its next entry
  uint64_t data_generation = 0;  // when extents last changed
};

/// Part of a chunk that is part of a file.
struct Extent {
  uint64_t offset = 0;  // in the file
  uint64_t length = 0;  // bytes; at least 1
  ChunkId chunk;
  uint64_t chunk_offset = 0;  // where in the chunk the extent begins
  friend bool operator==(const Extent&, const Extent&) = default;
};

using Xattrs = std::vector<std::pair<std::string, std::string>>;  // ascending by name

/// A tree object, and where it was when this was written.
struct TreeRef {
  ChunkId id;
  std::optional<ChunkPlace> hint;
};

}  // namespace varve
