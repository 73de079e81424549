// What the FUSE session asks of a filesystem. Volume is the real one; a benchmark's null filesystem
// is another.
//
// No FUSE types: the session translates and nothing else. Any thread, several at once. Node ids are
// inode numbers; every call that answers an Entry (and lookup of a name that is there) counts one
// reference of the kernel to that node, given back by forget.
//
// Privileges are the filesystem's to take away (FUSE_HANDLE_KILLPRIV_V2): security.capability goes
// with every write, truncation and change of owner of a file; setuid, and setgid where the group
// may execute, go with every change of owner, and with a write or truncation that says
// `kill_privileges` (its caller lacks CAP_FSETID).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "catalog/inode.h"
#include "dedup/base/bytes.h"
#include "dedup/base/result.h"

namespace varve {

/// Who asks. What else the kernel knows of it: fs/caller_rights.h.
struct Caller {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
  mode_t umask = 0;
};

struct Attributes {
  Ino ino = 0;
  FileType type = FileType::kFile;
  uint16_t permissions = 0;
  uint32_t links = 1, uid = 0, gid = 0;
  uint32_t device_major = 0, device_minor = 0;
  uint64_t size = 0;
  uint64_t allocated = 0;  // bytes
  Nanoseconds atime = 0, mtime = 0, ctime = 0;
  std::optional<Nanoseconds> btime;
};

struct Entry {
  /// Number 0, from lookup only: there is no such name, and the kernel may believe that for
  /// timeout_seconds (counts no reference).
  Attributes attributes;
  uint64_t generation = 0;
  /// How long the kernel may believe name and attributes without asking.
  double timeout_seconds = 0;
};

struct OpenFile {
  uint64_t handle = 0;
  bool direct_io = false;   // bypass the page cache
  bool keep_cache = false;  // pages from earlier opens still hold
  bool no_flush = false;    // close needs no FLUSH
};

struct OpenDirectory {
  uint64_t handle = 0;
  bool cache = false;  // the kernel may keep the listing, also over later opens, until the node is
                       // invalidated
};

struct WriteOptions {
  bool append = false;  // the handle is O_APPEND: at the end of the file, wherever the kernel
                        // believes that to be
  bool kill_privileges = false;  // as said above
  /// Whoever shares it keeps the data's memory, and its bytes as they are; nullptr: the data is
  /// there for the call alone. That memory is at most kKeptWriteBytes larger than the data.
  std::shared_ptr<const void> memory = nullptr;
};
/// How much a write may fall short of the largest for its memory to be worth keeping.
inline constexpr size_t kKeptWriteBytes = 256 << 10;

struct DirectoryEntry {
  std::string_view name;
  uint64_t next_cookie = 0;  // where to go on behind this entry
  Entry entry;               // attributes only as far as asked for: ino and type always
};

struct SpaceFigures {
  uint64_t total = 0, available = 0;  // bytes
  uint64_t files = 0;
};

struct SetAttributes {
  std::optional<uint16_t> permissions;
  std::optional<uint32_t> uid, gid;
  std::optional<uint64_t> size;
  std::optional<Nanoseconds> atime, mtime, ctime;
  bool atime_now = false, mtime_now = false;
  /// With size, as said above. Alone: the caller's write or chown takes setuid, setgid and
  /// security.capability away, and changes nothing else here.
  bool kill_privileges = false;
};

class Filesystem {
 public:
  virtual ~Filesystem() = default;

  /// "." and ".." too, which a server of NFS asks for.
  virtual Result<Entry> lookup(Ino parent, std::string_view name) = 0;
  virtual void forget(Ino node, uint64_t count) = 0;
  virtual Result<Entry> get_attributes(Ino node, std::optional<uint64_t> handle) = 0;
  virtual Result<Entry> set_attributes(Ino node, const SetAttributes& change,
                                       std::optional<uint64_t> handle, const Caller& caller) = 0;
  virtual Result<std::string> read_link(Ino node) = 0;

  /// mkdir, mknod, symlink: `mode` is S_IFMT and permissions before the umask, `target` a
  /// symlink's.
  virtual Result<Entry> make_node(Ino parent, std::string_view name, mode_t mode, dev_t device,
                                  std::string_view target, const Caller& caller) = 0;
  virtual Result<Entry> link(Ino node, Ino new_parent, std::string_view new_name) = 0;
  virtual Result<void> unlink(Ino parent, std::string_view name) = 0;
  virtual Result<void> remove_directory(Ino parent, std::string_view name,
                                        const Caller& caller) = 0;
  /// `flags` are rename(2)'s: RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT.
  virtual Result<void> rename(Ino parent, std::string_view name, Ino new_parent,
                              std::string_view new_name, unsigned flags) = 0;

  /// `flags` are open(2)'s, O_TRUNC among them.
  virtual Result<OpenFile> open(Ino node, int flags, bool kill_privileges,
                                const Caller& caller) = 0;
  struct Created {
    Entry entry;
    OpenFile file;
  };
  virtual Result<Created> create(Ino parent, std::string_view name, mode_t mode, int flags,
                                 const Caller& caller) = 0;
  /// O_TMPFILE.
  virtual Result<Created> create_unnamed(Ino parent, mode_t mode, int flags,
                                         const Caller& caller) = 0;
  /// Calls `reply` exactly once with the bytes read (fewer than `size` only at the end of the
  /// file), or not at all on failure.
  virtual Result<void> read(Ino node, uint64_t handle, uint64_t offset, size_t size,
                            const std::function<void(ByteView)>& reply) = 0;
  /// Answers when the data is in a buffer of the filesystem's.
  virtual Result<size_t> write(Ino node, uint64_t handle, uint64_t offset, ByteView data,
                               WriteOptions options) = 0;
  virtual Result<void> flush(Ino node, uint64_t handle) = 0;
  virtual void release(Ino node, uint64_t handle) = 0;
  virtual Result<void> sync(Ino node, uint64_t handle, bool data_only) = 0;
  virtual Result<void> allocate(Ino node, uint64_t handle, int mode, uint64_t offset,
                                uint64_t length) = 0;
  /// SEEK_DATA or SEEK_HOLE.
  virtual Result<uint64_t> seek(Ino node, uint64_t handle, uint64_t offset, int whence) = 0;
  virtual Result<size_t> copy_range(Ino from, uint64_t from_handle, uint64_t from_offset, Ino to,
                                    uint64_t to_handle, uint64_t to_offset, size_t length) = 0;

  virtual Result<OpenDirectory> open_directory(Ino node) = 0;
  /// Entries behind `cookie` (0: from the start, "." and ".." among them), until `visit` gives
  /// false. With `attributes` every entry but "." and ".." that `visit` accepted counts as looked
  /// up.
  virtual Result<void> read_directory(Ino node, uint64_t handle, uint64_t cookie, bool attributes,
                                      const std::function<bool(const DirectoryEntry&)>& visit) = 0;
  virtual void release_directory(Ino node, uint64_t handle) = 0;
  virtual Result<void> sync_directory(Ino node) = 0;

  virtual Result<SpaceFigures> space() = 0;

  struct XattrFlags {
    int mode = 0;              // XATTR_CREATE or XATTR_REPLACE
    bool kill_setgid = false;  // an access ACL takes setgid away: its caller is not of the group
  };
  virtual Result<void> set_xattr(Ino node, std::string_view name, std::string_view value,
                                 XattrFlags flags, const Caller& caller) = 0;
  virtual Result<std::string> get_xattr(Ino node, std::string_view name) = 0;
  /// Names, each ended by NUL: those of the namespace "trusted" for privileged callers alone.
  virtual Result<std::string> list_xattrs(Ino node, const Caller& caller) = 0;
  virtual Result<void> remove_xattr(Ino node, std::string_view name, const Caller& caller) = 0;
};

/// What the filesystem tells the kernel unasked; implemented by the session. Never called from
/// inside a Filesystem call on that node.
class KernelCache {
 public:
  virtual ~KernelCache() = default;
  virtual void invalidate_entry(Ino parent, std::string_view name) = 0;
  virtual void invalidate_node(Ino node) = 0;
};

}  // namespace varve
