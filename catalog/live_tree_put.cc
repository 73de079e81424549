// Whole files at once: what an archive brings.
#include <algorithm>

#include "catalog/live_tree_state.h"

namespace varve {
namespace {

/// Times and owner, permissions but for what an access list says.
void dress_inode(Inode& inode, const WholeFile& as, Nanoseconds now) {
  inode.permissions = as.permissions & 07777;
  inode.uid = as.uid;
  inode.gid = as.gid;
  inode.mtime = as.mtime;
  inode.atime = as.atime.value_or(now);
}

bool same_attributes(const Inode& a, const Inode& b) {
  return a.type == b.type && a.permissions == b.permissions && a.uid == b.uid && a.gid == b.gid &&
         a.device_major == b.device_major && a.device_minor == b.device_minor &&
         a.mtime == b.mtime && a.size == b.size;
}

/// A file of one name that says what `inode`, `xattrs` and `file` do.
Result<bool> is_equal(TreeCall& call, Ino ino, const Inode& wanted, const Xattrs& xattrs,
                      const WholeFile& file) {
  const Inode there = VARVE_TRY(call.inode(ino));
  if (there.links != 1 || file.content != 0 || !same_attributes(there, wanted)) return false;
  if (call.state.freed.contains(ino) || VARVE_TRY(stored_xattrs(call, ino)) != xattrs) return false;
  if (file.type == FileType::kSymlink) {
    auto target =
        VARVE_TRY(call.rows.get(key::symlink(VARVE_TRY(call.tree_of(ino)), number_of(ino))));
    return target == file.target;
  }
  if (file.type != FileType::kFile) return true;
  auto extents = VARVE_TRY(stored_extents(call, ino, file.extents.size()));
  return extents == file.extents;
}

/// The file loses the name; a directory must be empty.
Result<LiveEntry> displace(TreeCall& call, Ino directory, Inode& parent, std::string_view name,
                           const DirentRow& row) {
  LiveEntry lost{.ino = make_ino(row.set, row.number), .inode = {}};
  lost.inode = VARVE_TRY(call.inode(lost.ino));
  if (row.type == FileType::kDirectory) {
    if (!VARVE_TRY(call.is_empty(lost.ino))) return Errc::kNotEmpty;
    parent.links--;
  }
  VARVE_TRY(call.drop_link(lost.ino, lost.inode));
  VARVE_TRY(call.erase_entry(directory, name, row));
  return lost;
}

/// What the new file is before it has a number.
Inode new_inode(const TreeCall& call, Ino directory, const WholeFile& file) {
  Inode inode;
  inode.type = file.type;
  inode.links = file.type == FileType::kDirectory ? 2 : 1;
  inode.device_major = file.device_major;
  inode.device_minor = file.device_minor;
  inode.parent = directory;
  inode.ctime = inode.btime = call.now;
  inode.data_generation = call.state.generation;
  if (file.type == FileType::kSymlink) inode.size = file.target.size();
  dress_inode(inode, file, call.now);
  return inode;
}

/// `inode` takes over what the orphan has, and its number.
Result<void> adopt(TreeCall& call, Ino ino, Inode& inode) {
  const Inode orphan = VARVE_TRY(call.inode(ino));
  if (orphan.links != 0 || orphan.type != FileType::kFile) return Errc::kInvalid;
  inode.size = orphan.size;
  inode.allocated = orphan.allocated;
  inode.btime = orphan.btime;
  call.rows.erase(key::orphan(VARVE_TRY(call.tree_of(ino)), number_of(ino)));
  return call.put_inode(ino, inode);
}

/// Content of a file that has no row yet.
Result<void> put_content(TreeCall& call, Ino ino, Inode& inode, const WholeFile& file) {
  const uint64_t number = number_of(ino);
  call.count(set_of(ino), 1, 0);
  if (file.type == FileType::kSymlink)
    call.rows.put(key::symlink(VARVE_TRY(call.tree_of(ino)), number), file.target);
  if (file.type != FileType::kFile) return call.put_inode(ino, inode);
  inode.size = 0;  // what apply_content starts from
  LiveTree::ContentChange change;
  change.to = change.size.emplace(file.size);
  change.extents = file.extents;
  return apply_content(call, ino, inode, change);
}

}  // namespace

Result<LiveTree::PutFile> LiveTree::put(Ino directory, std::string_view name, const WholeFile& file,
                                        PutMode mode) {
  return state_->write({directory}, [&](TreeCall& call) -> Result<PutFile> {
    VARVE_TRY(check_new_name(directory, name));
    VARVE_TRY(check_symlink(file.type, file.target));
    if (directory == kRootIno) return Errc::kInvalid;
    Inode parent = VARVE_TRY(call.writable_directory(directory));
    PutFile done;
    done.made.inode = new_inode(call, directory, file);
    Inode& inode = done.made.inode;
    const Xattrs xattrs = VARVE_TRY(settle_xattrs(inode, file.xattrs));

    const bool is_directory = file.type == FileType::kDirectory;
    if (const auto row = VARVE_TRY(call.find_entry(directory, name))) {
      const Ino there = make_ino(row->set, row->number);
      if (is_directory && row->type == FileType::kDirectory) return Errc::kExists;
      if (mode.keep_equal && row->type == file.type) {
        Inode wanted = inode;
        if (file.type == FileType::kFile) wanted.size = file.size;
        if (VARVE_TRY(is_equal(call, there, wanted, xattrs, file))) {
          done.made = {there, VARVE_TRY(call.inode(there))};
          done.was_equal = true;
          return done;
        }
      }
      done.replaced = VARVE_TRY(displace(call, directory, parent, name, *row));
    }

    const uint32_t set = set_of(directory);
    if (file.content != 0 && set_of(file.content) != set) return Errc::kCrossDevice;
    done.made.ino =
        file.content != 0 ? file.content : make_ino(set, VARVE_TRY(state_->take_number(set)));
    const Ino ino = done.made.ino;
    if (file.content != 0) {
      VARVE_TRY(adopt(call, ino, inode));
    } else {
      VARVE_TRY(put_content(call, ino, inode, file));
    }
    VARVE_TRY(put_xattrs(call, ino, xattrs));
    DirentRow row{.number = number_of(ino), .set = set, .type = file.type, .cookie = 0};
    VARVE_TRY(call.put_entry(directory, parent, name, row));
    if (is_directory) parent.links++;
    if (!mode.keep_times) parent.mtime = parent.ctime = call.now;
    VARVE_TRY(call.put_inode(directory, parent));
    VARVE_TRY(call.mark_directory(directory));
    if (is_directory) VARVE_TRY(call.mark_directory(ino));
    return done;
  });
}

Result<LiveTree::PutFile> LiveTree::put_link(Ino ino, Ino directory, std::string_view name,
                                             PutMode mode) {
  return state_->write({directory}, [&](TreeCall& call) -> Result<PutFile> {
    if (set_of(ino) != set_of(directory)) return Errc::kCrossDevice;
    VARVE_TRY(check_new_name(directory, name));
    Inode parent = VARVE_TRY(call.writable_directory(directory));
    PutFile done;
    if (const auto row = VARVE_TRY(call.find_entry(directory, name))) {
      if (make_ino(row->set, row->number) == ino) {
        done.made = {ino, VARVE_TRY(call.inode(ino))};
        done.was_equal = true;
        return done;
      }
      done.replaced = VARVE_TRY(displace(call, directory, parent, name, *row));
    }
    done.made = VARVE_TRY(add_link(call, ino, directory, parent, name));
    if (!mode.keep_times) parent.mtime = parent.ctime = call.now;
    VARVE_TRY(call.put_inode(directory, parent));
    VARVE_TRY(call.mark_directory(directory));
    return done;
  });
}

Result<bool> LiveTree::dress(Ino directory, const WholeFile& as, bool exactly) {
  return state_->write({}, [&](TreeCall& call) -> Result<bool> {
    const Inode before = VARVE_TRY(call.directory(directory));
    const Xattrs xattrs_before = VARVE_TRY(stored_xattrs(call, directory));
    Inode inode = before;
    dress_inode(inode, as, call.now);
    if (!as.atime) inode.atime = before.atime;
    const Xattrs xattrs = VARVE_TRY(settle_xattrs(inode, as.xattrs));
    if (exactly) {
      for (const auto& [name, value] : xattrs_before)
        call.rows.erase(key::xattr(VARVE_TRY(call.tree_of(directory)), number_of(directory), name));
    } else {
      VARVE_TRY(change_acl_mode(call, directory, inode.permissions));
    }
    VARVE_TRY(put_xattrs(call, directory, xattrs));
    if (same_attributes(before, inode) && before.atime == inode.atime &&
        VARVE_TRY(stored_xattrs(call, directory)) == xattrs_before)
      return false;
    inode.ctime = call.now;
    VARVE_TRY(call.put_inode(directory, inode));
    VARVE_TRY(call.mark_file(directory, inode));
    return true;
  });
}

}  // namespace varve
