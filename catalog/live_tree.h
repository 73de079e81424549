// The live files: names, attributes and extents, with POSIX's rules as single transactions. No FUSE
// types, no data.
//
// Any thread: one reader-writer lock around every call, held for microseconds; no call waits for a
// disk write (StagedKv), and none takes another lock of varve's but the unfolder's reads. What a
// call changed is visible to the next one at once and durable after the next commit. A call that
// fails changes nothing.
//
// A directory (or a large file's extents) may be a *stub*: still in a tree object only. It is
// unfolded, one level, when something first asks for what is below it; unfolding is no change and
// marks nothing.
//
// Permission checks are the kernel's (default_permissions). The rules that are kept here: entries
// and link counts, sticky effects of rename on "..", setgid inheritance of directories, default
// ACLs' inheritance, times (ctime on every change; mtime and ctime of a directory whose entries
// change), clearing of nothing else: setuid and setgid on write are Volume's.
#pragma once

#include <functional>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/inode.h"
#include "catalog/schema.h"
#include "catalog/staged_kv.h"
#include "dedup/base/clock.h"
#include "dedup/base/random.h"

namespace varve {

struct LiveEntry {
  Ino ino = 0;
  Inode inode;
};

struct NewFile {
  FileType type = FileType::kFile;
  uint16_t permissions = 0;  // after umask, if umask is to count; 07777
  /// Applied here unless a default ACL is inherited (permissions are then given without it).
  uint16_t umask = 0;
  uint32_t uid = 0, gid = 0;
  uint32_t device_major = 0, device_minor = 0;
  std::string target;  // of a symlink
};

/// What to change; unset fields stay. Times that are set together with others count over ctime's
/// rule.
struct AttributeChange {
  std::optional<uint16_t> permissions;
  std::optional<uint32_t> uid, gid;
  std::optional<Nanoseconds> atime, mtime, ctime;
};

/// Of one file, names and values together: what a directory entry of a tree object has room for.
inline constexpr size_t kXattrsBytesMax = size_t{256} << 10;

/// A file with all that belongs to it, for put and dress.
struct WholeFile {
  FileType type = FileType::kFile;
  uint16_t permissions = 0;  // 07777; an access list among the xattrs decides 0777 of them
  uint32_t uid = 0, gid = 0;
  uint32_t device_major = 0, device_minor = 0;
  std::string target;  // of a symlink
  Xattrs xattrs;       // each name once
  std::optional<Nanoseconds> atime;
  Nanoseconds mtime = 0;
  uint64_t size = 0;
  std::vector<Extent> extents;
  /// Of a file that is too large for that: an orphan (create_orphan), which has size and extents.
  Ino content = 0;
};

/// Turns a stub into entries: implemented by catalog/unfold, which knows tree objects.
class Unfolder {
 public:
  virtual ~Unfolder() = default;
  struct Child {
    std::string name;
    uint64_t number = 0;
    Inode inode;  // parent is set by the caller
    Xattrs xattrs;
    std::string target;
    std::optional<TreeRef>
        below;  // of a directory: its entries; of a file: its extents, if not inside
    std::vector<Extent> extents;  // of a file, if inside
    bool linked = false;          // inode comes from the link table
  };
  virtual Result<std::vector<Child>> unfold_directory(const TreeRef& tree,
                                                      const std::optional<TreeRef>& links) = 0;
  virtual Result<std::vector<Extent>> unfold_extents(const TreeRef& tree) = 0;
};

class LiveTree {
 public:
  /// `unfolder` may be nullptr where no stub can be. Reads the set table and, for a database that
  /// is empty, makes the root, which belongs to the user of the process.
  static Result<std::unique_ptr<LiveTree>> open(StagedKv& kv, Unfolder* unfolder, Clock& clock,
                                                Random& random);
  ~LiveTree();

  // Looking.
  Result<LiveEntry> lookup(Ino directory, std::string_view name);
  Result<Inode> inode(Ino ino);
  Result<std::string> read_link(Ino ino);
  struct Listed {
    std::string_view name;
    Ino ino;
    FileType type;
    uint64_t cookie;  // give it to list() to go on behind this entry
  };
  /// Entries with a cookie greater than `after` (0: from the start), until `visit` gives false. An
  /// entry that stays is listed exactly once whatever comes and goes meanwhile. `visit` must not
  /// call the tree. "." and ".." are not listed.
  Result<void> list(Ino directory, uint64_t after, const std::function<bool(const Listed&)>& visit);
  Result<Ino> parent(Ino directory);

  // Names.
  Result<LiveEntry> create(Ino directory, std::string_view name, const NewFile& file);
  struct PutMode {
    bool keep_times = false;  // the directory's stay as they are
    bool keep_equal = false;  // what is there and differs in nothing (but atime and ctime) stays
  };
  struct PutFile {
    LiveEntry made;
    std::optional<LiveEntry> replaced;  // lost this name; links 0: an orphan until release()
    bool was_equal = false;
  };
  /// A new file, whole, under that name at once, in the place of what had it: of a file, or of a
  /// directory that is empty (else kNotEmpty; kExists for a directory where there is one). Nothing
  /// is inherited from the directory. kInvalid in the root.
  Result<PutFile> put(Ino directory, std::string_view name, const WholeFile& file, PutMode mode);
  /// The same with another name of a file that there is.
  Result<PutFile> put_link(Ino ino, Ino directory, std::string_view name, PutMode mode);
  /// A file without a name (O_TMPFILE): an orphan until it is linked.
  Result<LiveEntry> create_orphan(Ino directory, const NewFile& file);
  Result<LiveEntry> link(Ino ino, Ino directory, std::string_view name);
  /// The file that lost a name; with links 0 it is an orphan until release().
  Result<LiveEntry> unlink(Ino directory, std::string_view name);
  Result<LiveEntry> remove_directory(Ino directory, std::string_view name);
  enum class RenameMode { kReplace, kNoReplace, kExchange };
  struct Renamed {
    LiveEntry moved;
    std::optional<LiveEntry> replaced;  // lost this name; links 0: an orphan until release()
  };
  /// `whiteout` leaves a character device 0/0 of root's under the old name; not with kExchange.
  Result<Renamed> rename(Ino directory, std::string_view name, Ino new_directory,
                         std::string_view new_name, RenameMode mode, bool whiteout = false);
  /// An orphan that nobody holds any more: its rows go.
  Result<void> release(Ino ino);
  /// All orphans: for the start.
  Result<std::vector<Ino>> orphans();

  // Attributes.
  Result<Inode> change(Ino ino, const AttributeChange& change);
  /// The directory's attributes become those of `as`, its xattrs too; others that it has stay
  /// unless `exactly`. What is so already is no change: false.
  Result<bool> dress(Ino directory, const WholeFile& as, bool exactly);
  Result<std::string> xattr(Ino ino, std::string_view name);
  enum class XattrMode { kAny, kCreate, kReplace };
  /// For the two ACL names the mode bits follow the ACL, as in the kernel's filesystems.
  Result<void> set_xattr(Ino ino, std::string_view name, std::string_view value, XattrMode mode);
  Result<void> remove_xattr(Ino ino, std::string_view name);
  Result<Xattrs> xattrs(Ino ino);

  // Extents.
  /// Those that overlap [from, to), in order, uncut; the first `count_max` of them.
  Result<std::vector<Extent>> extents(Ino ino, uint64_t from, uint64_t to,
                                      size_t count_max = SIZE_MAX);
  struct ContentChange {
    uint64_t from = 0, to = 0;     // what is replaced: old extents are cut at both
    std::vector<Extent> extents;   // in order, within [from, to); what they leave out is a hole
    std::optional<uint64_t> size;  // the file's new size; extents beyond it are dropped
    std::optional<Nanoseconds> mtime, ctime;
  };
  Result<Inode> change_content(Ino ino, const ContentChange& change);
  /// Shows the bytes of one range at another without moving data (copy_file_range). Ranges of one
  /// file must not overlap.
  Result<Inode> clone_range(Ino from, uint64_t from_offset, Ino to, uint64_t to_offset,
                            uint64_t length);

  // Sets.
  struct Set {
    uint32_t number = 0;
    SetRow row;
  };
  std::vector<Set> sets();  // the root's own first; removed ones too
  std::optional<Set> set(uint32_t number);
  std::optional<Set> set_named(std::string_view name);
  /// Something in the set changed since its last snapshot (checkpoints included) began.
  Result<bool> changed_since_snapshot(uint32_t number);
  /// Makes `top` with the stub `tree` (nothing: empty) the live tree of the set at once; the old
  /// tree is erased in pieces later.
  Result<void> replace_tree(uint32_t set, const Inode& top, const Xattrs& xattrs,
                            const std::optional<TreeRef>& tree, const std::optional<TreeRef>& links,
                            uint64_t next_number);
  /// A set that comes from history (a rebuild): with that id and name, its directory in the root.
  Result<uint32_t> adopt_set(const SetId& id, std::string_view name, const Inode& top,
                             const Xattrs& xattrs, const std::optional<TreeRef>& tree,
                             const std::optional<TreeRef>& links, uint64_t next_number);
  /// Erases up to `rows` rows of garbage; false when none is left.
  Result<bool> erase_garbage(size_t rows);

  // Transactions with the outside: commits and snapshots.
  /// Runs `action` while no other call of the tree does; `action` may use the StagedKv.
  Result<void> exclusively(const std::function<Result<void>()>& action);
  /// The generation that marks are made with; next_generation is called inside exclusively.
  uint64_t generation() const;
  void next_generation();

  struct Figures {
    uint64_t files = 0, logical_bytes = 0;  // of the live trees, as far as unfolded
  };
  Figures figures() const;

  struct State;  // live_tree_state.h: for the files of LiveTree alone

 private:
  explicit LiveTree(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace varve
