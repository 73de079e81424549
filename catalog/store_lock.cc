#include "catalog/store_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "dedup/base/log.h"

namespace varve {

namespace {

using nlohmann::json;

constexpr Nanoseconds kPatienceWithEnding = 30 * kSecond;
constexpr Nanoseconds kPatienceWithMounted = 2 * kSecond;
constexpr auto kLookEvery = std::chrono::milliseconds(20);

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

const char* name_of(StoreLock::Stage stage) {
  switch (stage) {
    case StoreLock::Stage::kOpening:
      return "opening";
    case StoreLock::Stage::kMounted:
      return "mounted";
    case StoreLock::Stage::kEnding:
      return "ending";
  }
  return "";
}

/// Who holds the lock, as the file has it.
struct Holder {
  std::string who = "another process";
  std::string stage;
};

Holder holder_in(const std::string& content) {
  Holder holder;
  const json found = json::parse(content, nullptr, false);
  if (!found.is_object()) return holder;
  const auto pid = found.find("pid"), host = found.find("host"), stage = found.find("stage");
  if (pid != found.end() && pid->is_number_integer() && host != found.end() && host->is_string()) {
    holder.who = std::to_string(pid->get<int64_t>()) + " on " + host->get<std::string>();
  }
  if (stage != found.end() && stage->is_string()) holder.stage = stage->get<std::string>();
  return holder;
}

bool is_at(const Holder& holder, StoreLock::Stage stage) {
  return holder.stage == name_of(stage);
}

Error busy(const std::string& root, const Holder& holder) {
  std::string what = " is mounted by " + holder.who;
  if (is_at(holder, StoreLock::Stage::kOpening)) what = " is in use by " + holder.who;
  if (is_at(holder, StoreLock::Stage::kEnding)) {
    what = " was unmounted, and " + holder.who +
           " is still putting what was written into it: try again later";
  }
  return {Errc::kBusy, root + what};
}

Nanoseconds patience_with(const Holder& holder) {
  if (is_at(holder, StoreLock::Stage::kEnding)) return kPatienceWithEnding;
  return is_at(holder, StoreLock::Stage::kMounted) ? kPatienceWithMounted : 0;
}

/// Until the lock is ours, or whoever has it will not let go soon.
Result<void> take(int fd, const std::string& root, const std::string& path, Clock& clock) {
  const Nanoseconds begin = clock.monotonic();
  for (bool told = false;;) {
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return {};
    if (errno != EWOULDBLOCK) return error_from_errno(errno, path);
    const Holder holder = holder_in(content_of(fd));
    const Nanoseconds waited = clock.monotonic() - begin;
    if (waited >= patience_with(holder)) return busy(root, holder);
    if (!told && waited >= kSecond && is_at(holder, StoreLock::Stage::kEnding)) {
      told = true;
      log_info(root + ": waiting for " + holder.who +
               ", which is putting what was written into the store after an umount");
    }
    std::this_thread::sleep_for(kLookEvery);
  }
}

}  // namespace

Result<std::unique_ptr<StoreLock>> StoreLock::acquire(const std::string& root,
                                                      const std::string& mountpoint, Clock& clock) {
  return acquire_in(root + "/local", root, mountpoint, clock);
}

Result<std::unique_ptr<StoreLock>> StoreLock::acquire_in(const std::string& local,
                                                         const std::string& shown,
                                                         const std::string& mountpoint,
                                                         Clock& clock) {
  const std::string path = local + "/lock";
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return error_from_errno(errno, path);
  VARVE_TRY(take(file.get(), shown, path, clock));
  std::unique_ptr<StoreLock> lock(new StoreLock(std::move(file), path, mountpoint, clock.now()));
  lock->enter(Stage::kOpening);
  return lock;
}

Result<void> StoreLock::write(Stage stage, std::string_view trouble) {
  json holder = {
      {"pid", ::getpid()},        {"host", host_name()},     {"mountpoint", mountpoint_},
      {"since", utc_iso(since_)}, {"stage", name_of(stage)},
  };
  if (!trouble.empty()) holder["trouble"] = trouble;
  const std::string content = holder.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  // Written over what was there, then cut: whoever reads in between finds a stage all the same.
  const ssize_t written = ::pwrite(file_.get(), content.data(), content.size(), 0);
  if (written < 0 || ::ftruncate(file_.get(), static_cast<off_t>(content.size())) != 0) {
    return error_from_errno(errno, path_);
  }
  return {};
}

void StoreLock::enter(Stage stage, std::string_view trouble) {
  const Result<void> written = write(stage, trouble);
  if (!written.ok()) log_warning(written.error().message());
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
