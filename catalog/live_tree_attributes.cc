// Attributes: chmod and its kin, xattrs, ACLs.
#include <algorithm>

#include "catalog/live_tree_state.h"
#include "catalog/posix_acl.h"
#include "dedup/base/limits.h"

namespace varve {
namespace {

constexpr uint16_t kPermissionBits = 0777;

/// An ACL as it is to be stored: nothing if the mode says it all. Adjusts the mode.
Result<std::optional<std::string>> settle_acl(Inode& inode, std::string_view name,
                                              std::string_view value) {
  if (inode.type == FileType::kSymlink) return Errc::kUnsupported;
  PosixAcl acl = VARVE_TRY(PosixAcl::decode(value));
  if (name == kAclDefaultName) {
    if (acl.empty()) return std::optional<std::string>();
    if (inode.type != FileType::kDirectory) return Errc::kAccess;
    return std::optional<std::string>(acl.encode());
  }
  if (acl.empty()) return std::optional<std::string>();
  inode.permissions = static_cast<uint16_t>((inode.permissions & ~kPermissionBits) | acl.mode());
  if (acl.is_mode_only()) return std::optional<std::string>();
  return std::optional<std::string>(acl.encode());
}

bool is_acl(std::string_view name) {
  return name == kAclAccessName || name == kAclDefaultName;
}

Result<void> check_mode(LiveTree::XattrMode mode, bool is_there) {
  if (mode == LiveTree::XattrMode::kCreate && is_there) return Errc::kExists;
  if (mode == LiveTree::XattrMode::kReplace && !is_there) return Errc::kNoAttribute;
  return {};
}

Result<size_t> xattrs_bytes(TreeCall& call, Ino ino) {
  std::string prefix = key::prefix('x', VARVE_TRY(call.tree_of(ino)), number_of(ino));
  size_t bytes = 0;
  VARVE_TRY(call.rows.scan(prefix, key::end_of(prefix),
                           [&](std::string_view key, std::string_view value) {
                             bytes += key.size() - prefix.size() + value.size();
                             return true;
                           }));
  return bytes;
}

}  // namespace

Result<void> change_acl_mode(TreeCall& call, Ino ino, uint16_t permissions) {
  auto value = VARVE_TRY(call.find_xattr(ino, kAclAccessName));
  if (!value) return {};
  PosixAcl acl = VARVE_TRY(PosixAcl::decode(*value));
  acl.set_mode(permissions);
  call.rows.put(key::xattr(VARVE_TRY(call.tree_of(ino)), number_of(ino), kAclAccessName),
                acl.encode());
  return {};
}

Result<Xattrs> settle_xattrs(Inode& inode, const Xattrs& xattrs) {
  Xattrs settled;
  size_t bytes = 0;
  for (const auto& [name, value] : xattrs) {
    if (name.empty()) return Errc::kInvalid;
    if (name.size() > kNameBytesMax) return Errc::kNameTooLong;
    if (value.size() > kXattrValueBytesMax) return Errc::kTooLarge;
    std::optional<std::string> stored = value;
    if (is_acl(name)) stored = VARVE_TRY(settle_acl(inode, name, value));
    if (!stored) continue;
    bytes += name.size() + stored->size();
    settled.emplace_back(name, std::move(*stored));
  }
  if (bytes > kXattrsBytesMax) return Errc::kNoSpace;
  std::sort(settled.begin(), settled.end());
  return settled;
}

Result<Xattrs> stored_xattrs(TreeCall& call, Ino ino) {
  std::string prefix = key::prefix('x', VARVE_TRY(call.tree_of(ino)), number_of(ino));
  Xattrs found;
  VARVE_TRY(call.rows.scan(prefix, key::end_of(prefix),
                           [&](std::string_view key, std::string_view value) {
                             found.emplace_back(key::tail(key, key::kNumberKeyBytes), value);
                             return true;
                           }));
  return found;
}

Result<void> put_xattrs(TreeCall& call, Ino ino, const Xattrs& xattrs) {
  uint32_t tree = VARVE_TRY(call.tree_of(ino));
  for (const auto& [name, value] : xattrs) {
    call.rows.put(key::xattr(tree, number_of(ino), name), value);
  }
  return {};
}

Result<Inode> LiveTree::change(Ino ino, const AttributeChange& change) {
  return state_->write({}, [&](TreeCall& call) -> Result<Inode> {
    Inode inode = VARVE_TRY(call.inode(ino));
    if (change.permissions) {
      inode.permissions = *change.permissions & 07777;
      VARVE_TRY(change_acl_mode(call, ino, inode.permissions));
    }
    inode.uid = change.uid.value_or(inode.uid);
    inode.gid = change.gid.value_or(inode.gid);
    inode.atime = change.atime.value_or(inode.atime);
    inode.mtime = change.mtime.value_or(inode.mtime);
    inode.ctime = change.ctime.value_or(call.now);
    VARVE_TRY(call.put_inode(ino, inode));
    VARVE_TRY(call.mark_file(ino, inode));
    return inode;
  });
}

Result<std::string> LiveTree::xattr(Ino ino, std::string_view name) {
  return state_->read({}, [&](TreeCall& call) -> Result<std::string> {
    if (name.size() > kNameBytesMax) return Errc::kNameTooLong;
    auto value = VARVE_TRY(call.find_xattr(ino, name));
    if (!value) return Errc::kNoAttribute;
    return std::move(*value);
  });
}

Result<void> LiveTree::set_xattr(Ino ino, std::string_view name, std::string_view value,
                                 XattrMode mode) {
  return state_->write({}, [&](TreeCall& call) -> Result<void> {
    if (name.empty()) return Errc::kInvalid;
    if (name.size() > kNameBytesMax) return Errc::kNameTooLong;
    if (value.size() > kXattrValueBytesMax) return Errc::kTooLarge;
    Inode inode = VARVE_TRY(call.inode(ino));
    auto old_value = VARVE_TRY(call.find_xattr(ino, name));
    VARVE_TRY(check_mode(mode, old_value.has_value()));
    std::string row = key::xattr(VARVE_TRY(call.tree_of(ino)), number_of(ino), name);
    std::optional<std::string> stored = std::string(value);
    if (is_acl(name)) stored = VARVE_TRY(settle_acl(inode, name, value));
    if (stored) {
      call.rows.put(std::move(row), std::move(*stored));
      if (VARVE_TRY(xattrs_bytes(call, ino)) > kXattrsBytesMax) return Errc::kNoSpace;
    } else if (old_value) {
      call.rows.erase(std::move(row));
    }
    inode.ctime = call.now;
    VARVE_TRY(call.put_inode(ino, inode));
    return call.mark_file(ino, inode);
  });
}

Result<void> LiveTree::remove_xattr(Ino ino, std::string_view name) {
  return state_->write({}, [&](TreeCall& call) -> Result<void> {
    if (name.size() > kNameBytesMax) return Errc::kNameTooLong;
    Inode inode = VARVE_TRY(call.inode(ino));
    if (!VARVE_TRY(call.find_xattr(ino, name))) {
      if (is_acl(name)) return {};  // as the kernel's filesystems do: the mode is the list
      return Errc::kNoAttribute;
    }
    call.rows.erase(key::xattr(VARVE_TRY(call.tree_of(ino)), number_of(ino), name));
    inode.ctime = call.now;
    VARVE_TRY(call.put_inode(ino, inode));
    return call.mark_file(ino, inode);
  });
}

Result<Xattrs> LiveTree::xattrs(Ino ino) {
  return state_->read({}, [&](TreeCall& call) -> Result<Xattrs> {
    Xattrs found = VARVE_TRY(stored_xattrs(call, ino));
    if (found.empty()) VARVE_TRY(call.inode(ino));  // none, or no such file
    return found;
  });
}

}  // namespace varve
