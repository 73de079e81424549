#include "dedup/base/posix_storage.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "dedup/base/unique_fd.h"

namespace varve {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirectoryMode = 0700;

/// Calls until it is not interrupted by a signal.
template <typename Call>
auto retry_interrupted(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

/// What was to be kept may be gone: no reason to wait for space and go on.
Error sync_error(int number, const std::string& what) {
  Error error = error_from_errno(number, what);
  if (error.code() != Errc::kNoSpace) return error;
  return Error(Errc::kIo, "no space for what was written already: " + error.message());
}

class PosixFile final : public StorageFile {
 public:
  PosixFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<size_t> read_at(uint64_t offset, ByteSpan out) override {
    size_t done = 0;
    while (done < out.size()) {
      ssize_t count = retry_interrupted([&] {
        return ::pread(fd_.get(), out.data() + done, out.size() - done,
                       static_cast<off_t>(offset + done));
      });
      if (count < 0) return error_from_errno(errno, "reading " + path_);
      if (count == 0) break;
      done += static_cast<size_t>(count);
    }
    return done;
  }

  Result<void> write_at(uint64_t offset, ByteView bytes) override {
    VARVE_TRY(check_whole());
    size_t done = 0;
    while (done < bytes.size()) {
      ssize_t count = retry_interrupted([&] {
        return ::pwrite(fd_.get(), bytes.data() + done, bytes.size() - done,
                        static_cast<off_t>(offset + done));
      });
      if (count < 0) return break_with(error_from_errno(errno, "writing " + path_));
      if (count == 0)
        return break_with(Error(Errc::kIo, "writing " + path_ + ": nothing was taken"));
      done += static_cast<size_t>(count);
    }
    return {};
  }

  Result<void> sync() override {
    VARVE_TRY(check_whole());
    // Interrupted or not, a sync that failed is never tried again: the kernel may have dropped what
    // it could not write.
    if (::fsync(fd_.get()) != 0) return break_with(sync_error(errno, "syncing " + path_));
    return {};
  }

  Result<void> truncate(uint64_t length) override {
    VARVE_TRY(check_whole());
    if (retry_interrupted([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(length)); }) !=
        0) {
      return break_with(error_from_errno(errno, "truncating " + path_));
    }
    return {};
  }

  Result<void> reserve(uint64_t length) override {
    VARVE_TRY(check_whole());
    if (length == 0) return {};
    int result = retry_interrupted(
        [&] { return ::fallocate(fd_.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(length)); });
    // Filesystems that cannot reserve say ENOSPC at the write instead.
    if (result != 0 && errno != EOPNOTSUPP)
      return error_from_errno(errno, "reserving space for " + path_);
    return {};
  }

  Result<uint64_t> length() override {
    struct stat status;
    if (::fstat(fd_.get(), &status) != 0) return error_from_errno(errno, "looking at " + path_);
    return static_cast<uint64_t>(status.st_size);
  }

 private:
  Result<void> check_whole() {
    if (!broken_.load(std::memory_order_acquire)) return {};
    std::lock_guard lock(mutex_);
    return *first_error_;
  }

  Error break_with(Error error) {
    std::lock_guard lock(mutex_);
    if (!first_error_) first_error_ = std::move(error);
    broken_.store(true, std::memory_order_release);
    return *first_error_;
  }

  const UniqueFd fd_;
  const std::string path_;
  std::atomic<bool> broken_{false};
  std::mutex mutex_;
  std::optional<Error> first_error_;
};

/// The components of a path that is relative and stays below the root; an empty list for the root
/// itself.
Result<std::vector<std::string>> split_path(const std::string& path) {
  std::vector<std::string> components;
  size_t begin = 0;
  while (begin < path.size()) {
    size_t end = std::min(path.find('/', begin), path.size());
    std::string component = path.substr(begin, end - begin);
    if (component.empty() || component == "." || component == ".." ||
        component.find('\0') != std::string::npos || end + 1 == path.size()) {
      return Error(Errc::kInvalid, "not a path below a storage's root: " + path);
    }
    components.push_back(std::move(component));
    begin = end + 1;
  }
  return components;
}

class PosixStorage final : public Storage {
 public:
  explicit PosixStorage(UniqueFd root) : root_(std::move(root)) {}

  Result<std::unique_ptr<StorageFile>> open_read(const std::string& path) override {
    return open(path, O_RDONLY);
  }
  Result<std::unique_ptr<StorageFile>> open_write(const std::string& path) override {
    return open(path, O_RDWR);
  }
  Result<std::unique_ptr<StorageFile>> create(const std::string& path) override {
    return open(path, O_RDWR | O_CREAT | O_EXCL);
  }

  Result<void> rename(const std::string& from, const std::string& to) override {
    Place source = VARVE_TRY(place(from));
    Place target = VARVE_TRY(place(to));
    if (::renameat(source.directory.get(), source.name.c_str(), target.directory.get(),
                   target.name.c_str()) != 0) {
      return error_from_errno(errno, "renaming " + from + " to " + to);
    }
    forget_durable(from);
    return {};
  }

  Result<void> unlink(const std::string& path) override {
    Place where = VARVE_TRY(place(path));
    if (::unlinkat(where.directory.get(), where.name.c_str(), 0) != 0) {
      return error_from_errno(errno, "removing " + path);
    }
    return {};
  }

  Result<void> make_directories(const std::string& path) override {
    UniqueFd directory = VARVE_TRY(duplicate_root());
    std::string above;
    for (const std::string& component : VARVE_TRY(split_path(path))) {
      if (::mkdirat(directory.get(), component.c_str(), kDirectoryMode) != 0 && errno != EEXIST) {
        return error_from_errno(errno, "making directory " + path);
      }
      std::string below = above;
      if (!below.empty()) below += '/';
      below += component;
      VARVE_TRY(make_name_durable(above, below));
      directory = VARVE_TRY(step_into(directory, component, path));
      above = std::move(below);
    }
    return {};
  }

  Result<void> sync_dir(const std::string& path) override {
    {
      std::lock_guard lock(mutex_);
      auto broken = broken_directories_.find(path);
      if (broken != broken_directories_.end()) return broken->second;
    }
    UniqueFd directory = VARVE_TRY(open_directory(path));
    // EINVAL: a filesystem that has no such thing; its names are as durable as it makes them.
    if (::fsync(directory.get()) == 0 || errno == EINVAL) return {};
    Error error = sync_error(errno, "syncing directory " + path);
    std::lock_guard lock(mutex_);
    return broken_directories_.emplace(path, std::move(error)).first->second;
  }

  Result<std::vector<StorageEntry>> list(const std::string& path) override {
    UniqueFd fd = VARVE_TRY(open_directory(path));
    std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(fd.get()), ::closedir);
    if (!directory) return error_from_errno(errno, "listing " + path);
    (void)fd.release();
    std::vector<StorageEntry> entries;
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(directory.get());
      if (entry == nullptr) break;
      std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      bool is_directory = entry->d_type == DT_DIR;
      if (entry->d_type == DT_UNKNOWN)
        is_directory = is_directory_at(::dirfd(directory.get()), name);
      entries.push_back({std::move(name), is_directory});
    }
    if (errno != 0) return error_from_errno(errno, "listing " + path);
    return entries;
  }

  Result<bool> exists(const std::string& path) override {
    Result<Place> where = place(path);
    if (!where.ok()) {
      if (where.error().code() == Errc::kNotFound) return false;
      return std::move(where).error();
    }
    struct stat status;
    if (::fstatat(where->directory.get(), where->name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
      return true;
    }
    if (errno == ENOENT) return false;
    return error_from_errno(errno, "looking for " + path);
  }

  Result<StorageSpace> space() override {
    struct statvfs status;
    if (::fstatvfs(root_.get(), &status) != 0)
      return error_from_errno(errno, "asking for free space");
    return StorageSpace{status.f_blocks * uint64_t{status.f_frsize},
                        status.f_bavail * uint64_t{status.f_frsize}};
  }

 private:
  /// Once for each directory that somebody asked for: one that was there may have been made just
  /// before a crash.
  Result<void> make_name_durable(const std::string& parent, const std::string& directory) {
    {
      std::lock_guard lock(mutex_);
      if (durable_directories_.contains(directory)) return {};
    }
    VARVE_TRY(sync_dir(parent));
    std::lock_guard lock(mutex_);
    durable_directories_.insert(directory);
    return {};
  }

  /// A directory that is made under that name again is another one.
  void forget_durable(const std::string& name) {
    std::lock_guard lock(mutex_);
    std::erase_if(durable_directories_, [&](const std::string& directory) {
      return directory == name || directory.starts_with(name + '/');
    });
  }

  /// A name in a directory that is open.
  struct Place {
    UniqueFd directory;
    std::string name;
  };

  static bool is_directory_at(int directory, const std::string& name) {
    struct stat status;
    return ::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(status.st_mode);
  }

  Result<UniqueFd> duplicate_root() {
    UniqueFd fd(::fcntl(root_.get(), F_DUPFD_CLOEXEC, 0));
    if (!fd.valid()) return error_from_errno(errno, "opening the root");
    return fd;
  }

  /// One component at a time, so that no symbolic link on the way is followed.
  static Result<UniqueFd> step_into(const UniqueFd& directory, const std::string& component,
                                    const std::string& path) {
    UniqueFd next(::openat(directory.get(), component.c_str(),
                           O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next.valid()) return error_from_errno(errno, "opening " + path);
    return next;
  }

  Result<Place> place(const std::string& path) {
    std::vector<std::string> components = VARVE_TRY(split_path(path));
    if (components.empty()) return Error(Errc::kInvalid, "a storage's root is no file");
    UniqueFd directory = VARVE_TRY(duplicate_root());
    for (size_t i = 0; i + 1 < components.size(); i++) {
      directory = VARVE_TRY(step_into(directory, components[i], path));
    }
    return Place{std::move(directory), std::move(components.back())};
  }

  Result<UniqueFd> open_directory(const std::string& path) {
    UniqueFd parent;
    std::string name = ".";
    if (path.empty()) {
      parent = VARVE_TRY(duplicate_root());
    } else {
      Place where = VARVE_TRY(place(path));
      parent = std::move(where.directory);
      name = std::move(where.name);
    }
    UniqueFd fd(
        ::openat(parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.valid()) return error_from_errno(errno, "opening directory " + path);
    return fd;
  }

  Result<std::unique_ptr<StorageFile>> open(const std::string& path, int flags) {
    Place where = VARVE_TRY(place(path));
    // O_NONBLOCK: a fifo that somebody put here must not hold us up.
    UniqueFd fd(retry_interrupted([&] {
      return ::openat(where.directory.get(), where.name.c_str(),
                      flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, kFileMode);
    }));
    if (!fd.valid()) return error_from_errno(errno, "opening " + path);
    struct stat status;
    if (::fstat(fd.get(), &status) != 0) return error_from_errno(errno, "opening " + path);
    if (S_ISDIR(status.st_mode)) return Error(Errc::kIsDirectory, path + " is a directory");
    if (!S_ISREG(status.st_mode)) return Error(Errc::kInvalid, path + " is no regular file");
    return std::unique_ptr<StorageFile>(std::make_unique<PosixFile>(std::move(fd), path));
  }

  const UniqueFd root_;
  std::mutex mutex_;
  std::map<std::string, Error> broken_directories_;
  std::set<std::string> durable_directories_;
};

}  // namespace

Result<std::unique_ptr<Storage>> open_posix_storage(const std::string& root) {
  UniqueFd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return error_from_errno(errno, "opening " + root);
  return std::unique_ptr<Storage>(std::make_unique<PosixStorage>(std::move(fd)));
}

}  // namespace varve
