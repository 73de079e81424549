#include "tests/e2e/unsynced_effects.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace varve {
namespace {

/// How many of `count` to keep.
size_t kept_of(size_t count, std::mt19937_64& random) {
  return std::uniform_int_distribution<size_t>(0, count)(random);
}

}  // namespace

/// One of our own, which stays open when the file's user closes his, and may read.
struct UnsyncedEffects::Descriptor {
  explicit Descriptor(int of)
      : fd(::open(("/proc/self/fd/" + std::to_string(of)).c_str(), O_RDWR | O_CLOEXEC)) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  const int fd;
};

void UnsyncedEffects::note_write(int fd, off_t offset, size_t length) {
  struct stat status;
  if (::fstat(fd, &status) != 0) return;
  File& file = files_[status.st_ino];
  if (!file.descriptor) file.descriptor = std::make_shared<Descriptor>(fd);
  const off_t end =
      length == 0 ? status.st_size : std::min(status.st_size, offset + static_cast<off_t>(length));
  std::vector<char> before(static_cast<size_t>(std::max<off_t>(0, end - offset)));
  const ssize_t read = ::pread(file.descriptor->fd, before.data(), before.size(), offset);
  before.resize(static_cast<size_t>(std::max<ssize_t>(0, read)));
  file.writes.push_back({offset, std::move(before), status.st_size});
}

void UnsyncedEffects::synced(int fd) {
  struct stat status;
  if (::fstat(fd, &status) == 0) files_.erase(status.st_ino);
}

void UnsyncedEffects::note_name(const std::string& directory, std::function<void()> take_back) {
  names_.push_back({directory, std::move(take_back)});
}

void UnsyncedEffects::synced_directory(const std::string& directory) {
  std::erase_if(names_, [&](const Name& name) { return name.directory == directory; });
}

void UnsyncedEffects::take_back(int fd, const Write& write) {
  // What cannot be taken back stays, as it may when power goes.
  if (::pwrite(fd, write.before.data(), write.before.size(), write.offset) < 0) return;
  if (::ftruncate(fd, write.length_before) != 0) return;
}

std::string UnsyncedEffects::lose(uint64_t seed) {
  std::mt19937_64 random(seed);
  size_t writes = 0, names = 0;
  for (auto& [inode, file] : files_) {
    for (const size_t kept = kept_of(file.writes.size(), random); file.writes.size() > kept;) {
      take_back(file.descriptor->fd, file.writes.back());
      file.writes.pop_back();
      writes++;
    }
  }
  for (const size_t kept = kept_of(names_.size(), random); names_.size() > kept; names++) {
    names_.back().take_back();
    names_.pop_back();
  }
  files_.clear();
  names_.clear();
  return "lost " + std::to_string(writes) + " writes and " + std::to_string(names) + " names";
}

}  // namespace varve
