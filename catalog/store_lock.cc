#include "catalog/store_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

namespace varve {

namespace {

using nlohmann::json;

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown host";
  return name.data();
}

std::string content_of(int fd) {
  std::array<char, 4096> content;
  const ssize_t length = ::pread(fd, content.data(), content.size(), 0);
  return length > 0 ? std::string(content.data(), static_cast<size_t>(length)) : std::string();
}

Error busy(const std::string& root, const std::string& content) {
  const json holder = json::parse(content, nullptr, false);
  std::string who = "another process";
  if (holder.is_object() && holder.contains("pid") && holder.contains("host") &&
      holder["pid"].is_number_integer() && holder["host"].is_string()) {
    who = std::to_string(holder["pid"].get<int64_t>()) + " on " + holder["host"].get<std::string>();
  }
  return {Errc::kBusy, root + " is mounted by " + who};
}

Result<void> write_holder(int fd, const std::string& path, const std::string& content) {
  if (::ftruncate(fd, 0) != 0) return error_from_errno(errno, path);
  const ssize_t written = ::pwrite(fd, content.data(), content.size(), 0);
  if (written < 0) return error_from_errno(errno, path);
  return {};
}

}  // namespace

Result<std::unique_ptr<StoreLock>> StoreLock::acquire(const std::string& root,
                                                      const std::string& mountpoint, Clock& clock) {
  const std::string path = root + "/local/lock";
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return error_from_errno(errno, path);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return busy(root, content_of(file.get()));
    return error_from_errno(errno, path);
  }
  const json holder = {
      {"pid", ::getpid()},
      {"host", host_name()},
      {"mountpoint", mountpoint},
      {"since", utc_iso(clock.now())},
  };
  const std::string content = holder.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  VARVE_TRY(write_holder(file.get(), path, content));
  return std::unique_ptr<StoreLock>(new StoreLock(std::move(file)));
}

Result<std::string> read_store_lock(const std::string& root) {
  const std::string path = root + "/local/lock";
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) return error_from_errno(errno, path);
  if (::flock(file.get(), LOCK_SH | LOCK_NB) == 0) return Errc::kNotFound;
  if (errno != EWOULDBLOCK) return error_from_errno(errno, path);
  return content_of(file.get());
}

}  // namespace varve
