#include "catalog/restore_target.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "catalog/kernel_types.h"

namespace varve {

namespace {

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

/// Names of extended attributes; empty where the filesystem has none.
std::vector<std::string> xattr_names(const std::string& path) {
  const ssize_t size = ::llistxattr(path.c_str(), nullptr, 0);
  if (size <= 0) return {};
  std::string names(static_cast<size_t>(size), '\0');
  const ssize_t length = ::llistxattr(path.c_str(), names.data(), names.size());
  if (length <= 0) return {};
  std::vector<std::string> result;
  for (size_t at = 0; at < static_cast<size_t>(length); at += result.back().size() + 1) {
    result.emplace_back(names.c_str() + at);
  }
  return result;
}

/// What the system sets by itself (security.selinux and its like), or clears (capabilities, by a
/// change of the owner).
bool is_the_systems(const std::string& name) {
  return name.starts_with("security.");
}

/// What only the superuser can set.
bool needs_privilege(const std::string& name) {
  return name.starts_with("trusted.") || name.starts_with("security.");
}

}  // namespace

Result<RestoreDirectory> RestoreDirectory::open_root(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return error_from_errno(errno, path);
  return RestoreDirectory(std::move(fd));
}

Result<RestoreDirectory> RestoreDirectory::open(const std::string& name) const {
  UniqueFd fd(::openat(fd_.get(), name.c_str(), kDirectoryFlags));
  if (!fd.valid()) return error_from_errno(errno, name);
  return RestoreDirectory(std::move(fd));
}

Result<RestoreDirectory> RestoreDirectory::enter(const std::string& name) const {
  const std::optional<struct stat> found = status(name);
  if (found && !S_ISDIR(found->st_mode)) remove(name);
  if (::mkdirat(fd_.get(), name.c_str(), 0700) != 0 && errno != EEXIST) {
    return error_from_errno(errno, name);
  }
  RestoreDirectory entered = VARVE_TRY(open(name));
  struct stat now;
  if (::fstat(entered.fd_.get(), &now) != 0) return error_from_errno(errno, name);
  // Until its attributes are set, which comes last, its owner must be able to write.
  if ((now.st_mode & S_IRWXU) != S_IRWXU && ::fchmod(entered.fd_.get(), 0700) != 0) {
    return error_from_errno(errno, name);
  }
  return entered;
}

std::optional<struct stat> RestoreDirectory::status(const std::string& name) const {
  struct stat found;
  if (::fstatat(fd_.get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  return found;
}

Result<UniqueFd> RestoreDirectory::open_file(const std::string& name) const {
  UniqueFd fd(::openat(fd_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid()) return error_from_errno(errno, name);
  return fd;
}

Result<UniqueFd> RestoreDirectory::create_file(const std::string& name) const {
  remove(name);
  UniqueFd fd(
      ::openat(fd_.get(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) return error_from_errno(errno, name);
  return fd;
}

Result<void> RestoreDirectory::create_node(const std::string& name, const TreeEntry& entry) const {
  remove(name);
  int made = 0;
  if (entry.type == FileType::kSymlink) {
    made = ::symlinkat(entry.node.target.c_str(), fd_.get(), name.c_str());
  } else {
    const Inode& inode = entry.node.inode;
    made = ::mknodat(fd_.get(), name.c_str(), format_bits(entry.type) | 0600,
                     makedev(inode.device_major, inode.device_minor));
  }
  if (made != 0) return error_from_errno(errno, name);
  return {};
}

Result<std::string> RestoreDirectory::read_link(const std::string& name) const {
  std::array<char, 4096> target;
  const ssize_t length = ::readlinkat(fd_.get(), name.c_str(), target.data(), target.size());
  if (length < 0) return error_from_errno(errno, name);
  return std::string(target.data(), static_cast<size_t>(length));
}

Result<void> RestoreDirectory::link(const RestoreDirectory& from, const std::string& from_name,
                                    const std::string& name) const {
  remove(name);
  if (::linkat(from.fd_.get(), from_name.c_str(), fd_.get(), name.c_str(), 0) != 0) {
    return error_from_errno(errno, name);
  }
  return {};
}

Result<void> RestoreDirectory::rename(const std::string& from, const std::string& to) const {
  if (::renameat(fd_.get(), from.c_str(), fd_.get(), to.c_str()) == 0) return {};
  if (errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST) {
    if (::unlinkat(fd_.get(), to.c_str(), AT_REMOVEDIR) == 0 &&
        ::renameat(fd_.get(), from.c_str(), fd_.get(), to.c_str()) == 0) {
      return {};
    }
  }
  return error_from_errno(errno, to);
}

void RestoreDirectory::remove(const std::string& name) const {
  ::unlinkat(fd_.get(), name.c_str(), 0);
}

// Attributes.

Result<void> RestoreDirectory::set_xattrs(const std::string& path, const Xattrs& wanted) const {
  const bool privileged = ::geteuid() == 0;
  for (const std::string& name : xattr_names(path)) {
    const bool stays = std::any_of(wanted.begin(), wanted.end(),
                                   [&](const auto& xattr) { return xattr.first == name; });
    if (!stays && !is_the_systems(name)) ::lremovexattr(path.c_str(), name.c_str());
  }
  for (const auto& [name, value] : wanted) {
    if (::lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0) == 0) continue;
    if (errno == EPERM && !privileged && needs_privilege(name)) continue;
    return error_from_errno(errno, "extended attribute " + name);
  }
  return {};
}

Result<void> RestoreDirectory::set_attributes(const std::string& name,
                                              const TreeEntry& entry) const {
  const Inode& inode = entry.node.inode;
  // The directory's own descriptor is where the path begins, and its last component is not
  // followed.
  const std::string self = "/proc/self/fd/" + std::to_string(fd_.get());
  const std::string path = self + "/" + (name.empty() ? "." : name);
  const char* at = name.empty() ? "." : name.c_str();
  if (::fchownat(fd_.get(), at, inode.uid, inode.gid, AT_SYMLINK_NOFOLLOW) != 0 &&
      (errno != EPERM || ::geteuid() == 0)) {
    return error_from_errno(errno, "owner");
  }
  VARVE_TRY(set_xattrs(path, entry.node.xattrs));
  if (entry.type != FileType::kSymlink) {
    // fchmodat follows links: the file is opened without following, and changed through its
    // descriptor.
    const UniqueFd fd(::openat(fd_.get(), at, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat opened;
    if (!fd.valid() || ::fstat(fd.get(), &opened) != 0) return error_from_errno(errno, "mode");
    const std::string opened_path = "/proc/self/fd/" + std::to_string(fd.get());
    // What ran as its owner must not run as somebody else.
    const bool owned = opened.st_uid == inode.uid && opened.st_gid == inode.gid;
    const mode_t mode = inode.permissions & (owned ? 07777 : 01777);
    if (S_ISLNK(opened.st_mode) || ::chmod(opened_path.c_str(), mode) != 0) {
      return error_from_errno(S_ISLNK(opened.st_mode) ? ELOOP : errno, "mode");
    }
  }
  const std::array<timespec, 2> times{timespec_of(inode.atime), timespec_of(inode.mtime)};
  if (::utimensat(fd_.get(), at, times.data(), AT_SYMLINK_NOFOLLOW) != 0) {
    return error_from_errno(errno, "times");
  }
  return {};
}

Result<void> RestoreDirectory::sync_filesystem() const {
  if (::syncfs(fd_.get()) != 0) return error_from_errno(errno, "sync");
  return {};
}

}  // namespace varve
