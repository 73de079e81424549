// Entries: create, link, unlink, remove. Renaming has a file of its own.
#include "catalog/live_tree_state.h"
#include "catalog/posix_acl.h"
#include "dedup/base/limits.h"

namespace varve {
namespace {

constexpr uint32_t kLinksMax = 65000;
constexpr uint16_t kSetgid = 02000;

/// Permissions of a new file under `directory`: by its default ACL, or else by the umask.
Result<uint16_t> inherit_permissions(TreeCall& call, Ino directory, Ino ino, const NewFile& file) {
  if (file.type == FileType::kSymlink) return file.permissions;
  auto value = VARVE_TRY(call.find_xattr(directory, kAclDefaultName));
  if (!value) return static_cast<uint16_t>(file.permissions & ~file.umask);
  PosixAcl acl = VARVE_TRY(PosixAcl::decode(*value));
  uint32_t tree = VARVE_TRY(call.tree_of(ino));
  if (file.type == FileType::kDirectory) {
    call.rows.put(key::xattr(tree, number_of(ino), kAclDefaultName), *value);
  }
  uint16_t permissions = acl.restrict_to(file.permissions);
  if (!acl.is_mode_only()) {
    call.rows.put(key::xattr(tree, number_of(ino), kAclAccessName), acl.encode());
  }
  return permissions;
}

void touch(Inode& directory, Nanoseconds now) {
  directory.mtime = directory.ctime = now;
}

}  // namespace

Result<void> check_new_name(Ino directory, std::string_view name) {
  if (name.size() > kNameBytesMax) return Errc::kNameTooLong;
  if (name.empty()) return Errc::kNotFound;
  if (name == "." || name == "..") return Errc::kExists;
  if (name.find('/') != name.npos || name.find('\0') != name.npos) return Errc::kInvalid;
  if (number_of(directory) == kTopNumber && name == kReservedName) return Errc::kExists;
  return {};
}

Result<void> check_symlink(FileType type, std::string_view target) {
  if (type != FileType::kSymlink) return {};
  if (target.empty()) return Errc::kNotFound;
  if (target.size() > kSymlinkBytesMax) return Errc::kNameTooLong;
  return {};
}

Result<Inode> make_inode(TreeCall& call, Ino directory, const Inode& parent, Ino ino,
                         const NewFile& file) {
  Inode inode;
  inode.type = file.type;
  inode.permissions = VARVE_TRY(inherit_permissions(call, directory, ino, file)) & 07777;
  inode.uid = file.uid;
  inode.gid = file.gid;
  if ((parent.permissions & kSetgid) != 0) {
    inode.gid = parent.gid;
    if (file.type == FileType::kDirectory) inode.permissions |= kSetgid;
  }
  inode.links = file.type == FileType::kDirectory ? 2 : 1;
  inode.device_major = file.device_major;
  inode.device_minor = file.device_minor;
  if (file.type == FileType::kSymlink) {
    inode.size = file.target.size();
    call.rows.put(key::symlink(VARVE_TRY(call.tree_of(ino)), number_of(ino)), file.target);
  }
  inode.atime = inode.mtime = inode.ctime = inode.btime = call.now;
  inode.parent = directory;
  inode.data_generation = call.state.generation;
  call.count(set_of(ino), 1, 0);
  return inode;
}

Result<LiveEntry> LiveTree::create(Ino directory, std::string_view name, const NewFile& file) {
  return state_->write({directory}, [&](TreeCall& call) -> Result<LiveEntry> {
    VARVE_TRY(check_new_name(directory, name));
    VARVE_TRY(check_symlink(file.type, file.target));
    Inode parent = VARVE_TRY(call.writable_directory(directory));
    if (VARVE_TRY(call.find_entry(directory, name))) return Errc::kExists;
    bool is_directory = file.type == FileType::kDirectory;
    if (directory == kRootIno && is_directory) return create_set(call, parent, name, file);

    LiveEntry made;
    uint32_t set = set_of(directory);
    made.ino = make_ino(set, VARVE_TRY(state_->take_number(set)));
    made.inode = VARVE_TRY(make_inode(call, directory, parent, made.ino, file));
    VARVE_TRY(call.put_inode(made.ino, made.inode));
    DirentRow row{.number = number_of(made.ino), .set = set, .type = file.type, .cookie = 0};
    VARVE_TRY(call.put_entry(directory, parent, name, row));
    touch(parent, call.now);
    if (is_directory) parent.links++;
    VARVE_TRY(call.put_inode(directory, parent));
    VARVE_TRY(call.mark_directory(directory));
    if (is_directory) VARVE_TRY(call.mark_directory(made.ino));
    return made;
  });
}

Result<LiveEntry> LiveTree::create_orphan(Ino directory, const NewFile& file) {
  return state_->write({}, [&](TreeCall& call) -> Result<LiveEntry> {
    if (file.type == FileType::kDirectory) return Errc::kInvalid;
    Inode parent = VARVE_TRY(call.writable_directory(directory));
    LiveEntry made;
    const uint32_t set = set_of(directory);
    made.ino = make_ino(set, VARVE_TRY(state_->take_number(set)));
    made.inode = VARVE_TRY(make_inode(call, directory, parent, made.ino, file));
    made.inode.links = 0;
    made.inode.parent = 0;
    VARVE_TRY(call.put_inode(made.ino, made.inode));
    call.rows.put(key::orphan(VARVE_TRY(call.tree_of(made.ino)), number_of(made.ino)), "");
    return made;
  });
}

Result<LiveEntry> add_link(TreeCall& call, Ino ino, Ino directory, Inode& parent,
                           std::string_view name) {
  LiveEntry linked{.ino = ino, .inode = VARVE_TRY(call.inode(ino))};
  Inode& inode = linked.inode;
  if (inode.type == FileType::kDirectory) return Errc::kPermission;
  if (inode.links >= kLinksMax) return Errc::kTooManyLinks;

  if (inode.links == 0) {
    call.rows.erase(key::orphan(VARVE_TRY(call.tree_of(ino)), number_of(ino)));
    if (!inode.linked) inode.parent = directory;
  } else if (!inode.linked) {
    // From now on its entries carry the number only: the one that it had changes, too.
    VARVE_TRY(call.mark_file(ino, inode));
    inode.linked = true;
    inode.parent = 0;
  }
  inode.links++;
  inode.ctime = call.now;
  VARVE_TRY(call.put_inode(ino, inode));
  VARVE_TRY(call.mark_file(ino, inode));
  DirentRow row{.number = number_of(ino), .set = set_of(ino), .type = inode.type, .cookie = 0};
  VARVE_TRY(call.put_entry(directory, parent, name, row));
  return linked;
}

Result<LiveEntry> LiveTree::link(Ino ino, Ino directory, std::string_view name) {
  return state_->write({directory}, [&](TreeCall& call) -> Result<LiveEntry> {
    if (set_of(ino) != set_of(directory)) return Errc::kCrossDevice;
    VARVE_TRY(check_new_name(directory, name));
    Inode parent = VARVE_TRY(call.writable_directory(directory));
    if (VARVE_TRY(call.find_entry(directory, name))) return Errc::kExists;
    LiveEntry linked = VARVE_TRY(add_link(call, ino, directory, parent, name));
    touch(parent, call.now);
    VARVE_TRY(call.put_inode(directory, parent));
    VARVE_TRY(call.mark_directory(directory));
    return linked;
  });
}

Result<LiveEntry> LiveTree::unlink(Ino directory, std::string_view name) {
  return state_->write({directory}, [&](TreeCall& call) -> Result<LiveEntry> {
    Inode parent = VARVE_TRY(call.directory(directory));
    DirentRow row = VARVE_TRY(call.entry(directory, name));
    if (row.type == FileType::kDirectory) return Errc::kIsDirectory;
    LiveEntry lost{.ino = make_ino(row.set, row.number), .inode = {}};
    lost.inode = VARVE_TRY(call.inode(lost.ino));
    VARVE_TRY(call.drop_link(lost.ino, lost.inode));
    VARVE_TRY(call.erase_entry(directory, name, row));
    touch(parent, call.now);
    VARVE_TRY(call.put_inode(directory, parent));
    VARVE_TRY(call.mark_directory(directory));
    return lost;
  });
}

Result<LiveEntry> LiveTree::remove_directory(Ino directory, std::string_view name) {
  return state_->write({directory}, [&](TreeCall& call) -> Result<LiveEntry> {
    Inode parent = VARVE_TRY(call.directory(directory));
    DirentRow row = VARVE_TRY(call.entry(directory, name));
    if (row.type != FileType::kDirectory) return Errc::kNotDirectory;
    LiveEntry lost{.ino = make_ino(row.set, row.number), .inode = {}};
    lost.inode = VARVE_TRY(call.inode(lost.ino));
    if (!VARVE_TRY(call.is_empty(lost.ino))) return Errc::kNotEmpty;
    if (row.set != set_of(directory)) return remove_set(call, parent, name, row);
    VARVE_TRY(call.drop_link(lost.ino, lost.inode));
    VARVE_TRY(call.erase_entry(directory, name, row));
    touch(parent, call.now);
    parent.links--;
    VARVE_TRY(call.put_inode(directory, parent));
    VARVE_TRY(call.mark_directory(directory));
    return lost;
  });
}

Result<void> LiveTree::release(Ino ino) {
  return state_->write({}, [&](TreeCall& call) -> Result<void> {
    auto tree = call.tree_of(ino);
    if (!tree.ok()) return {};  // its set was removed, and the rows with it
    uint64_t number = number_of(ino);
    auto value = VARVE_TRY(call.rows.get(key::inode(*tree, number)));
    if (!value) return {};
    Inode inode = VARVE_TRY(decode_inode(*value));
    if (inode.links > 0) return Errc::kInvalid;

    if (inode.allocated > 0) {
      std::string extents = key::prefix('e', *tree, number);
      size_t erased =
          VARVE_TRY(call.rows.erase_range(extents, key::end_of(extents), kExtentsErasedAtOnce));
      if (erased == kExtentsErasedAtOnce) VARVE_TRY(call.free_extents(ino, 0));
    }
    std::string xattrs = key::prefix('x', *tree, number);
    VARVE_TRY(call.rows.erase_range(xattrs, key::end_of(xattrs)));
    VARVE_TRY(call.rows.erase_if_there(key::stub(*tree, number)));
    VARVE_TRY(call.rows.erase_if_there(key::clean(*tree, number)));
    if (inode.type == FileType::kDirectory)
      VARVE_TRY(call.rows.erase_if_there(key::mark(*tree, number)));
    if (inode.type == FileType::kSymlink) call.rows.erase(key::symlink(*tree, number));
    call.rows.erase(key::orphan(*tree, number));
    call.rows.erase(key::inode(*tree, number));
    call.count(set_of(ino), -1,
               inode.type == FileType::kFile ? -static_cast<int64_t>(inode.size) : 0);
    return {};
  });
}

}  // namespace varve
