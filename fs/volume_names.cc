#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <shared_mutex>

#include "catalog/kernel_types.h"
#include "dedup/base/limits.h"
#include "fs/volume.h"

namespace varve {
namespace {

NewFile new_file(FileType type, mode_t mode, const Caller& caller) {
  NewFile file;
  file.type = type;
  file.permissions = static_cast<uint16_t>(mode & 07777);
  file.umask = type == FileType::kSymlink ? 0 : static_cast<uint16_t>(caller.umask & 0777);
  file.uid = caller.uid;
  file.gid = caller.gid;
  return file;
}

}  // namespace

Result<Entry> Volume::make_node(Ino parent, std::string_view name, mode_t mode, dev_t device,
                                std::string_view target, const Caller& caller) {
  FileType type = VARVE_TRY(file_type_of(mode));
  if (is_control(parent)) {
    std::optional<SetId> set = control_.set_of_snapshots(parent);
    if (!set || type != FileType::kDirectory) return Errc::kReadOnly;
    if (caller.uid != 0 && caller.uid != control_.owner(*set)) return Errc::kPermission;
    SnapshotInfo taken = VARVE_TRY(take(*set, name));
    return snapshots_.enter(taken, parent);
  }
  if (is_live(parent) && names_control(parent, name)) return Errc::kExists;
  VARVE_TRY(check_name(parent, name));
  if (target.size() > kSymlinkBytesMax) return Errc::kNameTooLong;
  VARVE_TRY(admit_name());
  Shared shared(barrier_);
  NewFile file = new_file(type, type == FileType::kSymlink ? 0777 : mode, caller);
  file.device_major = major(device);
  file.device_minor = minor(device);
  file.target = target;
  LiveEntry made = VARVE_TRY(tree_.create(parent, name, file));
  return known_entry(made);
}

Result<Filesystem::Created> Volume::opened(const LiveEntry& live, int flags) {
  Created created;
  created.entry = known_entry(live);
  Result<OpenFile> file = open_live(live.ino, (flags & O_ACCMODE) != O_RDONLY);
  if (!file.ok()) {
    forget(live.ino, 1);
    return std::move(file).error();
  }
  created.file = *file;
  return created;
}

Result<Filesystem::Created> Volume::create(Ino parent, std::string_view name, mode_t mode,
                                           int flags, const Caller& caller) {
  if (is_live(parent) && names_control(parent, name)) return Errc::kExists;
  VARVE_TRY(check_name(parent, name));
  VARVE_TRY(admit_name());
  Shared shared(barrier_);
  return opened(VARVE_TRY(tree_.create(parent, name, new_file(FileType::kFile, mode, caller))),
                flags);
}

Result<Filesystem::Created> Volume::create_unnamed(Ino parent, mode_t mode, int flags,
                                                   const Caller& caller) {
  if (!is_live(parent)) return Errc::kReadOnly;
  VARVE_TRY(admit_name());
  Shared shared(barrier_);
  LiveEntry made = VARVE_TRY(tree_.create_orphan(parent, new_file(FileType::kFile, mode, caller)));
  Result<Created> created = opened(made, flags);
  if (created.ok()) (void)counts_.orphaned(made.ino);  // known to the kernel by now, so it stays
  return created;
}

Result<Entry> Volume::link(Ino node, Ino new_parent, std::string_view new_name) {
  if (is_live(new_parent) && names_control(new_parent, new_name)) return Errc::kExists;
  VARVE_TRY(check_name(new_parent, new_name));
  if (!is_live(node)) return Errc::kCrossDevice;
  VARVE_TRY(admit_name());
  Shared shared(barrier_);
  LiveEntry linked = VARVE_TRY(tree_.link(node, new_parent, new_name));
  counts_.named(node);
  return known_entry(linked);
}

Result<void> Volume::unlink(Ino parent, std::string_view name) {
  VARVE_TRY(check_name(parent, name));
  VARVE_TRY(admit_removal());
  Shared shared(barrier_);
  lost_name(VARVE_TRY(tree_.unlink(parent, name)));
  return {};
}

Result<void> Volume::remove_directory(Ino parent, std::string_view name, const Caller& caller) {
  if (is_control(parent)) {
    std::optional<SetId> set = control_.set_of_snapshots(parent);
    if (!set) return Errc::kReadOnly;
    VARVE_TRY(check_snapshots_removable());
    if (caller.uid != 0 && caller.uid != control_.owner(*set)) return Errc::kPermission;
    return drop(*set, name);
  }
  VARVE_TRY(check_name(parent, name));
  VARVE_TRY(admit_removal());
  Shared shared(barrier_);
  lost_name(VARVE_TRY(tree_.remove_directory(parent, name)));
  return {};
}

/// A name that passes over to another file must not, after a crash, lead to less than that file
/// had.
Result<void> Volume::flush_before_replacing(Ino parent, std::string_view name, Ino new_parent,
                                            std::string_view new_name) {
  const Result<LiveEntry> moved = tree_.lookup(parent, name);
  const Result<LiveEntry> replaced = tree_.lookup(new_parent, new_name);
  if (!moved.ok() || !replaced.ok()) return {};  // nothing is replaced, or rename says why not
  FileRef file = files_.find(moved->ino);
  return file ? flusher_.flush(*file, Flusher::Depth::kAll) : Result<void>();
}

Result<void> Volume::rename(Ino parent, std::string_view name, Ino new_parent,
                            std::string_view new_name, unsigned flags) {
  VARVE_TRY(check_name(parent, name));
  VARVE_TRY(check_name(new_parent, new_name));
  bool whiteout = (flags & RENAME_WHITEOUT) != 0;
  flags &= ~static_cast<unsigned>(RENAME_WHITEOUT);
  LiveTree::RenameMode mode = LiveTree::RenameMode::kReplace;
  if (flags == RENAME_NOREPLACE) {
    mode = LiveTree::RenameMode::kNoReplace;
  } else if (flags == RENAME_EXCHANGE && !whiteout) {
    mode = LiveTree::RenameMode::kExchange;
  } else if (flags != 0) {
    return Errc::kInvalid;
  }
  VARVE_TRY(admit_removal());  // a name less or as many
  Shared shared(barrier_);
  if (mode != LiveTree::RenameMode::kNoReplace)
    VARVE_TRY(flush_before_replacing(parent, name, new_parent, new_name));
  LiveTree::Renamed renamed =
      VARVE_TRY(tree_.rename(parent, name, new_parent, new_name, mode, whiteout));
  if (renamed.replaced) lost_name(*renamed.replaced);
  return {};
}

}  // namespace varve
