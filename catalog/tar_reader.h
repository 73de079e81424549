// An archive as tar writes it (ustar, PAX, GNU), entry by entry, out of a stream of bytes. The one
// file that knows libarchive.
//
// Bytes are hostile: a header, or a map of holes, takes bounded memory, whatever it claims. Nothing
// compressed is opened. One thread.
//
// Errors are final: kIo for a stream that is damaged or ends before the archive does, kInvalid for
// what is no archive, and whatever the source gave.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/inode.h"
#include "dedup/base/bytes.h"
#include "dedup/base/result.h"

namespace varve {

struct TarEntry {
  std::string path;  // as the archive says it
  FileType type = FileType::kFile;
  std::optional<std::string> link;  // a hard link to that path; nothing else of it counts then
  uint16_t permissions = 0;
  uint32_t uid = 0, gid = 0;
  uint32_t device_major = 0, device_minor = 0;
  std::string target;  // of a symlink
  uint64_t size = 0;   // of a file, holes included
  Nanoseconds mtime = 0;
  std::optional<Nanoseconds> atime;
  Xattrs xattrs;                      // access control lists among them, as the kernel codes them
  std::vector<std::string> troubles;  // what of it cannot be had, a line each
};

class TarReader {
 public:
  /// The stream's next bytes, which stay until the next call; none at its end.
  using Source = std::function<Result<ByteView>()>;
  explicit TarReader(Source source);
  ~TarReader();

  /// The next entry; false at the archive's end. What is behind that must be zeros.
  Result<bool> next(TarEntry& entry);
  struct Piece {
    uint64_t offset = 0;  // in the file; never before the end of the last piece
    ByteView bytes;       // until the next call
  };
  /// The file's next bytes; nullopt behind the last. What is between pieces is a hole.
  Result<std::optional<Piece>> data();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The parts of a path below the top, without "." and a leading "/". kInvalid if one is "..",
/// kPermission if it leads into `.varve`, kNameTooLong.
Result<std::vector<std::string_view>> tar_path(std::string_view path);

}  // namespace varve
