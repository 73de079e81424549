#include "catalog/local_place.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "catalog/split_storage.h"
#include "dedup/base/limits.h"
#include "dedup/base/posix_storage.h"
#include "dedup/base/unique_fd.h"
#include "dedup/guard.h"
#include "dedup/store_config.h"

namespace varve {

namespace {

using nlohmann::json;

constexpr const char* kBelongsTo = "belongs-to";
constexpr const char* kLockName = "lock";
constexpr size_t kBelongsToBytesMax = 4 * kKiB;

struct FilesystemKind {
  uint32_t magic;
  const char* name;
};
constexpr uint32_t kFuse = 0x65735546;
// statfs(2): filesystems whose mapped memory or locks are not this machine's alone.
constexpr std::array<FilesystemKind, 11> kNotForDatabases{{{0x6969, "NFS"},
                                                           {0x517B, "SMB"},
                                                           {0xFF534D42, "CIFS"},
                                                           {0xFE534D42, "SMB"},
                                                           {kFuse, "FUSE (as sshfs is)"},
                                                           {0x00C36400, "Ceph"},
                                                           {0x01021997, "9P"},
                                                           {0x5346414F, "AFS"},
                                                           {0x73757245, "Coda"},
                                                           {0x0BD00BD0, "Lustre"},
                                                           {0x47504653, "GPFS"}}};

/// What the mount table says of the filesystem that `directory` lies on: "fuse.sshfs"; empty if
/// nothing.
std::string filesystem_type(const std::string& directory) {
  struct stat status;
  if (::stat(directory.c_str(), &status) != 0) return {};
  const std::string device =
      std::to_string(major(status.st_dev)) + ":" + std::to_string(minor(status.st_dev));
  std::ifstream mounts("/proc/self/mountinfo");
  std::string line;
  while (std::getline(mounts, line)) {
    std::istringstream fields(line);
    std::string number, parent, found, field, type;
    fields >> number >> parent >> found;
    if (found != device) continue;
    while (fields >> field && field != "-") continue;
    fields >> type;
    return type;
  }
  return {};
}

/// A disk of this machine, or of the one that it is a guest of, though FUSE is between.
bool is_local_fuse(const std::string& directory) {
  const std::string type = filesystem_type(directory);
  return type == "fuseblk" || type == "virtiofs";
}

struct Owner {
  std::string store, replica;
  friend bool operator==(const Owner&, const Owner&) = default;
};

std::string text_in(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// nullopt if the directory does not say.
Result<std::optional<Owner>> owner_of(Storage& local) {
  const Result<Bytes> bytes = read_whole(local, kBelongsTo, kBelongsToBytesMax);
  if (!bytes.ok() && bytes.error().code() == Errc::kNotFound) return std::optional<Owner>();
  if (!bytes.ok()) return bytes.error();
  const json parsed = json::parse(as_text(*bytes), nullptr, false);
  if (!parsed.is_object()) return std::optional(Owner());
  return std::optional(Owner{text_in(parsed, "store_id"), text_in(parsed, "replica_id")});
}

Result<std::optional<std::string>> target_of(const std::string& link) {
  std::array<char, PATH_MAX> target;
  const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
  if (length >= 0) return std::optional(std::string(target.data(), static_cast<size_t>(length)));
  if (errno == EINVAL || errno == ENOENT) return std::optional<std::string>();
  return error_from_errno(errno, link);
}

Result<void> check_owner(const std::string& root, const std::string& directory) {
  const auto local = open_posix_storage(directory);
  if (!local.ok()) {
    return Error(Errc::kNotFound,
                 root + "/local leads to " + directory +
                     ", which is not here. If the working state in it is lost, remove that link, "
                     "and varve promote " +
                     root + " --local DIR makes it anew");
  }
  const auto place = VARVE_TRY(open_posix_storage(root));
  const StoreConfig config = VARVE_TRY(in_context(read_store_config(*place), root));
  const GuardFound found = VARVE_TRY(read_guard(*place, root, config.store_id));
  const std::optional<Owner> owner = VARVE_TRY(owner_of(**local));
  const std::string replica = found.guard ? found.guard->replica.hex() : "";
  if (owner && found.guard && *owner == Owner{config.store_id.hex(), replica}) return {};
  return Error(Errc::kForeign, root + "/local leads to " + directory +
                                   ", which is not this place's working state: was the store "
                                   "copied? Remove that link");
}

Result<void> check_free(Storage& local, const std::string& directory, const Owner& wanted) {
  if (const auto owner = VARVE_TRY(owner_of(local))) {
    if (*owner == wanted) return {};
    return Error(Errc::kForeign,
                 directory + " is the working state of another store: name an empty directory");
  }
  for (const StorageEntry& entry : VARVE_TRY(local.list(""))) {
    if (entry.name == kLockName || entry.name == "lost+found" || entry.name.starts_with(".tmp-"))
      continue;
    return Error(Errc::kInvalid, directory + " holds something else ('" + entry.name +
                                     "'): name an empty directory");
  }
  return {};
}

Result<void> sync_directory(const std::string& path) {
  const UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid() || (::fsync(directory.get()) != 0 && errno != EINVAL && errno != ENOTSUP))
    return error_from_errno(errno, "syncing directory " + path);
  return {};
}

}  // namespace

Result<std::optional<std::string>> linked_local(const std::string& root) {
  const std::optional<std::string> target = VARVE_TRY(target_of(root + "/local"));
  if (target) VARVE_TRY(check_owner(root, *target));
  return target;
}

Result<void> link_local(const std::string& root, const std::string& directory, const StoreId& store,
                        const ReplicaId& replica) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    return error_from_errno(errno, "making " + directory);
  VARVE_TRY(check_holds_database(directory));
  const auto local = VARVE_TRY(open_posix_storage(directory));
  VARVE_TRY(check_free(*local, directory, {store.hex(), replica.hex()}));
  const json owner = {{"store_id", store.hex()}, {"replica_id", replica.hex()}};
  VARVE_TRY(write_whole(*local, kBelongsTo, as_bytes(owner.dump() + "\n")));
  const std::string link = root + "/local";
  if (VARVE_TRY(target_of(link)) == directory) return {};
  if (::symlink(directory.c_str(), link.c_str()) != 0) {
    return error_from_errno(
        errno, "making " + link + " a symbolic link, which says where the working state is");
  }
  return sync_directory(root);
}

Result<void> check_holds_database(const std::string& directory) {
  struct statfs found;
  if (::statfs(directory.c_str(), &found) != 0) return error_from_errno(errno, directory);
  for (const FilesystemKind& kind : kNotForDatabases) {
    if (static_cast<uint32_t>(found.f_type) != kind.magic) continue;
    if (kind.magic == kFuse && is_local_fuse(directory)) return {};
    return Error(Errc::kUnsupported, directory + " lies on a filesystem of the network, " +
                                         kind.name + ": a database cannot lie there");
  }
  return {};
}

Result<std::unique_ptr<Storage>> open_store_storage(const std::string& root) {
  auto place = VARVE_TRY(open_posix_storage(root));
  const Result<std::optional<std::string>> local = linked_local(root);
  if (!local.ok() && local.error().code() == Errc::kNotFound) return place;
  if (!VARVE_TRY(Result<std::optional<std::string>>(local))) return place;
  return make_split_storage(std::move(place), VARVE_TRY(open_posix_storage(**local)),
                            SplitPlace::kWritten);
}

}  // namespace varve
