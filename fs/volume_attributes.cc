#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <shared_mutex>

#include "catalog/posix_acl.h"
#include "fs/caller_rights.h"
#include "fs/volume.h"

namespace varve {
namespace {

constexpr std::string_view kCapabilityName = "security.capability";
constexpr std::string_view kTrusted = "trusted.";

/// The namespaces that a local filesystem has: programs take a refusal of others for an answer.
Result<void> check_xattr_name(std::string_view name) {
  if (name == kAclAccessName || name == kAclDefaultName) return {};
  for (std::string_view space :
       {std::string_view("user."), std::string_view("security."), kTrusted})
    if (name.starts_with(space))
      return name.size() > space.size() ? Result<void>() : Errc::kInvalid;
  return Errc::kUnsupported;
}

/// What is left of permissions when a file's content or owner changes by somebody without the right
/// to keep more.
uint16_t without_privileges(uint16_t permissions) {
  permissions &= static_cast<uint16_t>(~S_ISUID);
  if (permissions & S_IXGRP)
    permissions &= static_cast<uint16_t>(~S_ISGID);  // without execution it means mandatory locking
  return permissions;
}

/// A number that the tree does not have: the kernel looks the name up again.
Error as_stale(Error error) {
  return error.code() == Errc::kNotFound ? Error(Errc::kStale) : std::move(error);
}

}  // namespace

Result<Entry> Volume::get_attributes(Ino node, std::optional<uint64_t>) {
  if (is_snapshot(node)) return snapshots_.attributes(node);
  if (is_control(node)) return control_.attributes(node);
  Result<Inode> inode = tree_.inode(node);
  if (!inode.ok()) return as_stale(std::move(inode).error());
  return entry_of({node, *inode});
}

AttributeChange Volume::attribute_change(const Inode& inode, const SetAttributes& change,
                                         const Caller& caller) {
  AttributeChange result;
  Nanoseconds now = clock_.now();
  result.permissions = change.permissions;
  result.uid = change.uid;
  result.gid = change.gid;
  bool new_owner = (change.uid || change.gid) && inode.type != FileType::kDirectory;
  if (new_owner && !change.permissions) {
    uint16_t left = without_privileges(inode.permissions);
    if ((left & S_ISGID) && !may_set_group_id(caller, inode.gid))
      left &= static_cast<uint16_t>(~S_ISGID);
    if (left != inode.permissions) result.permissions = left;
  }
  result.atime = change.atime_now ? std::optional(now) : change.atime;
  result.mtime = change.mtime_now ? std::optional(now) : change.mtime;
  result.ctime = change.ctime;
  return result;
}

Result<Entry> Volume::set_attributes(Ino node, const SetAttributes& change, std::optional<uint64_t>,
                                     const Caller& caller) {
  if (!is_live(node)) return Errc::kReadOnly;
  VARVE_TRY(admit_removal());  // truncation makes room
  Shared shared(barrier_);
  Result<Inode> inode = tree_.inode(node);
  if (!inode.ok()) return as_stale(std::move(inode).error());
  bool of_file = inode->type == FileType::kFile;
  if (change.size && !of_file)
    return inode->type == FileType::kDirectory ? Errc::kIsDirectory : Errc::kInvalid;
  AttributeChange wanted = attribute_change(*inode, change, caller);
  bool any = wanted.permissions || wanted.uid || wanted.gid || wanted.atime || wanted.mtime ||
             wanted.ctime;
  bool privileges_alone = change.kill_privileges && !change.size && !any;
  bool of_content = of_file && (change.size || privileges_alone);
  FileRef file = of_content ? files_.get(node) : files_.find(node);
  if (of_content) {
    VARVE_TRY(drop_privileges(*file, change.kill_privileges));
    if (change.size) VARVE_TRY(resize(*file, *change.size));
    inode = VARVE_TRY(tree_.inode(node));
  }
  if (of_file && (change.uid || change.gid) && tree_.xattr(node, kCapabilityName).ok()) {
    VARVE_TRY(tree_.remove_xattr(node, kCapabilityName));
  }
  any = any || privileges_alone;  // for the ctime
  std::unique_lock<std::mutex> lock;
  if (file) lock = std::unique_lock(file->mutex);
  Inode now = any ? VARVE_TRY(tree_.change(node, wanted)) : *inode;
  if (file && any) {
    // Times that are set explicitly count over those of writes before, which the next flush would
    // bring along.
    if (wanted.mtime) file->mtime.reset();
    file->ctime.reset();
    account(*file, budget_);
  }
  if (lock) lock.unlock();
  return entry_of({node, now});
}

Result<std::string> Volume::read_link(Ino node) {
  if (is_snapshot(node)) return snapshots_.read_link(node);
  if (is_control(node)) return Errc::kInvalid;
  return tree_.read_link(node);
}

Result<void> Volume::drop_privileges(FileState& file, bool kill_privileges) {
  bool look = false;
  {
    std::lock_guard lock(file.mutex);
    look = !std::exchange(file.no_capability, true);
  }
  if (look && tree_.xattr(file.ino, kCapabilityName).ok())
    VARVE_TRY(tree_.remove_xattr(file.ino, kCapabilityName));
  if (!kill_privileges) return {};
  Inode inode = VARVE_TRY(tree_.inode(file.ino));
  uint16_t left = without_privileges(inode.permissions);
  if (left == inode.permissions) return {};
  AttributeChange change;
  change.permissions = left;
  VARVE_TRY(tree_.change(file.ino, change));
  return {};
}

Result<void> Volume::drop_setgid(Ino node) {
  Inode inode = VARVE_TRY(tree_.inode(node));
  if (!(inode.permissions & S_ISGID)) return {};
  AttributeChange change;
  change.permissions = static_cast<uint16_t>(inode.permissions & ~S_ISGID);
  VARVE_TRY(tree_.change(node, change));
  return {};
}

Result<void> Volume::set_xattr(Ino node, std::string_view name, std::string_view value,
                               XattrFlags flags, const Caller&) {
  if (!is_live(node)) return Errc::kReadOnly;
  VARVE_TRY(check_xattr_name(name));
  LiveTree::XattrMode mode = LiveTree::XattrMode::kAny;
  if (flags.mode == XATTR_CREATE) {
    mode = LiveTree::XattrMode::kCreate;
  } else if (flags.mode == XATTR_REPLACE) {
    mode = LiveTree::XattrMode::kReplace;
  } else if (flags.mode != 0) {
    return Errc::kInvalid;
  }
  VARVE_TRY(admit_name());
  Shared shared(barrier_);
  VARVE_TRY(tree_.set_xattr(node, name, value, mode));
  FileRef file = name == kCapabilityName ? files_.find(node) : FileRef();
  if (file) {
    std::lock_guard lock(file->mutex);
    file->no_capability = false;
  }
  return flags.kill_setgid && name == kAclAccessName ? drop_setgid(node) : Result<void>();
}

Result<std::string> Volume::get_xattr(Ino node, std::string_view name) {
  Result<std::string> found = Errc::kNoAttribute;
  if (is_live(node)) found = tree_.xattr(node, name);
  if (is_snapshot(node)) {
    for (auto& [one, value] : VARVE_TRY(snapshots_.xattrs(node)))
      if (one == name) found = std::move(value);
  }
  // What is there is given whatever it is called: another writer's store may hold other names.
  if (!found.ok() && found.error().code() == Errc::kNoAttribute) VARVE_TRY(check_xattr_name(name));
  return found;
}

Result<std::string> Volume::list_xattrs(Ino node, const Caller& caller) {
  if (is_control(node)) return std::string();
  Xattrs xattrs =
      is_live(node) ? VARVE_TRY(tree_.xattrs(node)) : VARVE_TRY(snapshots_.xattrs(node));
  auto is_trusted = [](const auto& xattr) { return xattr.first.starts_with(kTrusted); };
  if (std::any_of(xattrs.begin(), xattrs.end(), is_trusted) && !is_administrator(caller))
    std::erase_if(xattrs, is_trusted);
  std::string result;
  for (const auto& [name, value] : xattrs) result.append(name).push_back('\0');
  return result;
}

Result<void> Volume::remove_xattr(Ino node, std::string_view name, const Caller&) {
  if (!is_live(node)) return Errc::kReadOnly;
  VARVE_TRY(admit_removal());
  Shared shared(barrier_);
  Result<void> removed = tree_.remove_xattr(node, name);
  if (!removed.ok() && removed.error().code() == Errc::kNoAttribute)
    VARVE_TRY(check_xattr_name(name));
  return removed;
}

}  // namespace varve
