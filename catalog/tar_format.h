// The coding of an exported archive's entries: ustar headers with PAX records where ustar has no
// room (docs/tar.md). Pure functions: the same entry is the same bytes for ever.
#pragma once

#include <string>
#include <vector>

#include "catalog/inode.h"
#include "dedup/base/bytes.h"

namespace varve {

inline constexpr size_t kTarBlockBytes = 512;

inline constexpr uint64_t tar_padded(uint64_t bytes) {
  return (bytes + kTarBlockBytes - 1) / kTarBlockBytes * kTarBlockBytes;
}

/// A part of a sparse file that is in the archive. All begin and end at multiples of kTarRunBytes,
/// but for the file's end.
struct TarRun {
  uint64_t offset = 0, length = 0;
  friend bool operator==(const TarRun&, const TarRun&) = default;
};
inline constexpr uint64_t kTarRunBytes = 4096;

/// Adds what [from, to) of a file of that size covers; ranges come in order.
void add_tar_run(std::vector<TarRun>& runs, uint64_t from, uint64_t to, uint64_t file_size);

struct TarHeader {
  std::string path;  // of a directory with "/" at its end
  FileType type = FileType::kFile;
  uint16_t permissions = 0;
  uint32_t uid = 0, gid = 0;
  uint32_t device_major = 0, device_minor = 0;
  Nanoseconds mtime = 0;
  std::string target;      // of a symlink; or, of a link, the path of the file
  bool is_link = false;    // another name of a file that came before
  uint64_t size = 0;       // of a file
  uint64_t body = 0;       // bytes that follow, before padding
  bool is_sparse = false;  // they are a map and runs
  Xattrs xattrs;
};

/// Header blocks: a multiple of kTarBlockBytes.
std::string encode_tar_header(const TarHeader& header);
/// What precedes the runs of a sparse file, padded.
std::string encode_tar_map(const std::vector<TarRun>& runs, uint64_t file_size);

}  // namespace varve
