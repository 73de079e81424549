// faulty_filesystem DIRECTORY MOUNTPOINT CONTROL: shows a directory under a mountpoint, as a
// server's share, and fails on command; for tests. Stays in the foreground.
//
// A command is a line in the file CONTROL/command (put there by rename); when it is carried out the
// file is gone, and CONTROL/answer says what happened:
//
//   hang               every request waits, until `well`
//   slow MS            every request takes that long
//   errors N SEED      one in N requests is EIO, by chance
//   room BYTES         that much can be written, then the disk is full
//   flip N SEED        in one of N writes a bit is flipped on its way
//   lose SEED          what no fsync made durable is lost, as far as chance says (the power goes);
//                      hang first, and kill the process then, for the kernel remembers what was
//   well               nothing of all that
#define FUSE_USE_VERSION 35

#include <dirent.h>
#include <fcntl.h>
#include <fuse.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <shared_mutex>
#include <sstream>
#include <thread>

#include "tests/e2e/unsynced_effects.h"

namespace {

using varve::UnsyncedEffects;

class Faults {
 public:
  /// A request begins: waits as ordered; 0, or the error that it ends with.
  int begin() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return !hangs_; });
    const auto slowness = std::chrono::milliseconds(slow_ms_);
    const bool fails = one_in(errors_one_in_);
    lock.unlock();
    if (slowness.count() > 0) std::this_thread::sleep_for(slowness);
    return fails ? -EIO : 0;
  }
  bool takes(size_t bytes) {
    std::lock_guard lock(mutex_);
    if (room_ < bytes) return false;
    room_ -= bytes;
    return true;
  }
  void change_on_its_way(std::vector<char>& bytes) {
    std::lock_guard lock(mutex_);
    if (bytes.empty() || !one_in(flip_one_in_)) return;
    const size_t bit = std::uniform_int_distribution<size_t>(0, bytes.size() * 8 - 1)(random_);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    flipped_++;
  }

  /// False: no such order.
  bool order(const std::string& word, std::istringstream& rest) {
    std::lock_guard lock(mutex_);
    uint64_t number = 0, seed = 0;
    rest >> number >> seed;
    if (seed != 0) random_.seed(seed);
    if (word == "hang") {
      hangs_ = true;
    } else if (word == "slow") {
      slow_ms_ = number;
    } else if (word == "errors") {
      errors_one_in_ = number;
    } else if (word == "room") {
      room_ = number;
    } else if (word == "flip") {
      flip_one_in_ = number;
    } else if (word == "well") {
      hangs_ = false;
      slow_ms_ = errors_one_in_ = flip_one_in_ = 0;
      room_ = UINT64_MAX;
    } else {
      return false;
    }
    wake_.notify_all();
    return true;
  }
  std::string figures() {
    std::lock_guard lock(mutex_);
    return std::to_string(flipped_) + " bits flipped";
  }

 private:
  bool one_in(uint64_t count) {
    return count > 0 && std::uniform_int_distribution<uint64_t>(1, count)(random_) == 1;
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  bool hangs_ = false;
  uint64_t slow_ms_ = 0, errors_one_in_ = 0, flip_one_in_ = 0, room_ = UINT64_MAX, flipped_ = 0;
  std::mt19937_64 random_{1};
};

Faults faults;
std::shared_mutex changing;  // shared by requests; alone: what is not durable is being lost
std::mutex noting;           // effects, and the change that they are of
UnsyncedEffects effects;
int root = -1, aside = -1;  // directories
uint64_t asides = 0;        // files that were put aside

/// Relative to `root`.
const char* at(const char* path) {
  return path[1] == '\0' ? "." : path + 1;
}
std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}
int answer(long result) {
  return result < 0 ? -errno : static_cast<int>(result);
}

/// A request that the faults let through, while nothing is being lost.
template <typename Request>
int serve(Request request) {
  if (const int fault = faults.begin(); fault != 0) return fault;
  std::shared_lock lock(changing);
  return request();
}

/// A second name for what lies under `path`, which keeps it when that goes. Empty: nothing does.
std::string put_aside(const char* path) {
  const std::string name = std::to_string(asides++);
  return ::linkat(root, at(path), aside, name.c_str(), 0) == 0 ? name : std::string();
}
void bring_back(const std::string& name, const std::string& path) {
  if (!name.empty() && ::linkat(aside, name.c_str(), root, at(path.c_str()), 0) != 0)
    std::perror("bringing back what was removed");
}

int get_attributes(const char* path, struct stat* status, fuse_file_info*) {
  return serve([&] { return answer(::fstatat(root, at(path), status, AT_SYMLINK_NOFOLLOW)); });
}

int read_directory(const char* path, void* buffer, fuse_fill_dir_t fill, off_t, fuse_file_info*,
                   fuse_readdir_flags) {
  return serve([&] {
    const int fd = ::openat(root, at(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* directory = fd < 0 ? nullptr : ::fdopendir(fd);
    if (directory == nullptr) return -errno;
    while (const dirent* entry = ::readdir(directory))
      fill(buffer, entry->d_name, nullptr, 0, fuse_fill_dir_flags{});
    ::closedir(directory);
    return 0;
  });
}

int make_directory(const char* path, mode_t mode) {
  return serve([&] {
    std::lock_guard lock(noting);
    if (::mkdirat(root, at(path), mode) != 0) return -errno;
    effects.note_name(folder_of(path), [name = std::string(path)] {
      (void)::unlinkat(root, at(name.c_str()), AT_REMOVEDIR);  // what lies in it keeps it
    });
    return 0;
  });
}

int create(const char* path, mode_t mode, fuse_file_info* file) {
  return serve([&] {
    std::lock_guard lock(noting);
    const int fd = ::openat(root, at(path), (file->flags | O_CREAT) & ~O_APPEND, mode);
    if (fd < 0) return -errno;
    file->fh = static_cast<uint64_t>(fd);
    effects.note_name(folder_of(path),
                      [name = std::string(path)] { (void)::unlinkat(root, at(name.c_str()), 0); });
    return 0;
  });
}

int open_file(const char* path, fuse_file_info* file) {
  return serve([&] {
    const int fd = ::openat(root, at(path), file->flags & ~(O_APPEND | O_TRUNC));
    if (fd < 0) return -errno;
    file->fh = static_cast<uint64_t>(fd);
    return 0;
  });
}

int release(const char*, fuse_file_info* file) {
  ::close(static_cast<int>(file->fh));
  return 0;
}

int read_file(const char*, char* out, size_t size, off_t offset, fuse_file_info* file) {
  return serve([&] { return answer(::pread(static_cast<int>(file->fh), out, size, offset)); });
}

int write_file(const char*, const char* data, size_t size, off_t offset, fuse_file_info* file) {
  return serve([&] {
    if (!faults.takes(size)) return -ENOSPC;
    std::vector<char> bytes(data, data + size);
    faults.change_on_its_way(bytes);
    const int fd = static_cast<int>(file->fh);
    std::lock_guard lock(noting);
    effects.note_write(fd, offset, size);
    return answer(::pwrite(fd, bytes.data(), bytes.size(), offset));
  });
}

int truncate_file(const char* path, off_t length, fuse_file_info*) {
  return serve([&] {
    const int fd = ::openat(root, at(path), O_RDWR | O_CLOEXEC);
    if (fd < 0) return -errno;
    std::lock_guard lock(noting);
    effects.note_write(fd, length, 0);
    const int result = answer(::ftruncate(fd, length));
    ::close(fd);
    return result;
  });
}

int sync_file(const char*, int, fuse_file_info* file) {
  return serve([&] {
    std::lock_guard lock(noting);
    effects.synced(static_cast<int>(file->fh));
    return 0;
  });
}

int sync_directory(const char* path, int, fuse_file_info*) {
  return serve([&] {
    std::lock_guard lock(noting);
    effects.synced_directory(path);
    return 0;
  });
}

int rename_file(const char* from, const char* to, unsigned flags) {
  if (flags != 0) return -EINVAL;
  return serve([&] {
    std::lock_guard lock(noting);
    const std::string replaced = put_aside(to);
    if (::renameat(root, at(from), root, at(to)) != 0) return -errno;
    effects.note_name(folder_of(to), [=, old = std::string(from), now = std::string(to)] {
      if (::renameat(root, at(now.c_str()), root, at(old.c_str())) == 0) bring_back(replaced, now);
    });
    return 0;
  });
}

int unlink_file(const char* path) {
  return serve([&] {
    std::lock_guard lock(noting);
    const std::string removed = put_aside(path);
    if (::unlinkat(root, at(path), 0) != 0) return -errno;
    effects.note_name(folder_of(path),
                      [=, name = std::string(path)] { bring_back(removed, name); });
    return 0;
  });
}

int space(const char*, struct statvfs* status) {
  return serve([&] { return answer(::fstatvfs(root, status)); });
}

std::string carry_out(const std::string& command) {
  std::istringstream words(command);
  std::string word;
  words >> word;
  if (word != "lose") return faults.order(word, words) ? faults.figures() : "no such command";
  uint64_t seed = 0;
  words >> seed;
  std::unique_lock lock(changing);
  return effects.lose(seed);
}

/// For ever: one command after the other.
void listen(const std::string& control) {
  for (;; std::this_thread::sleep_for(std::chrono::milliseconds(5))) {
    std::string command;
    if (!std::getline(std::ifstream(control + "/command"), command)) continue;
    std::ofstream(control + "/answer") << carry_out(command) << '\n';
    std::remove((control + "/command").c_str());
  }
}

void* begin_listening(fuse_conn_info*, fuse_config* config) {
  // The directory is changed behind the mount's back.
  config->attr_timeout = config->entry_timeout = config->negative_timeout = 0;
  config->direct_io = 1;
  config->hard_remove = 1;
  std::thread(listen, std::string(static_cast<char*>(fuse_get_context()->private_data))).detach();
  return nullptr;
}

int open_directory(const std::string& path) {
  return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: faulty_filesystem DIRECTORY MOUNTPOINT CONTROL\n");
    return 1;
  }
  const std::string control = argv[3], kept = control + "/aside";
  root = open_directory(argv[1]);
  (void)::mkdir(kept.c_str(), 0700);
  aside = open_directory(kept);
  if (root < 0 || aside < 0) {
    std::perror("faulty_filesystem");
    return 1;
  }
  fuse_operations operations{};
  operations.init = begin_listening;
  operations.getattr = get_attributes;
  operations.readdir = read_directory;
  operations.mkdir = make_directory;
  operations.create = create;
  operations.open = open_file;
  operations.release = release;
  operations.read = read_file;
  operations.write = write_file;
  operations.truncate = truncate_file;
  operations.fsync = sync_file;
  operations.fsyncdir = sync_directory;
  operations.rename = rename_file;
  operations.unlink = unlink_file;
  operations.statfs = space;
  char options[] = "allow_other,fsname=faulty,max_threads=100";
  char foreground[] = "-f", option[] = "-o";
  char* arguments[] = {argv[0], foreground, option, options, argv[2]};
  return fuse_main(5, arguments, &operations, argv[3]);
}
