#include "dedup/base/damage_mark.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <mutex>

#include "dedup/base/log.h"
#include "dedup/base/unique_fd.h"

namespace varve {
namespace {

constexpr std::array kDeadly{SIGSEGV, SIGABRT, SIGILL, SIGFPE};
constexpr size_t kReasonBytesMax = 256;

thread_local const char* mark_of_this_thread = nullptr;
std::array<struct sigaction, kDeadly.size()> former_actions;

/// Made by calls that a signal's handler may use. False if it is not there afterwards.
bool write_mark(const char* path, const char* reason, size_t length) {
  const int fd = ::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return errno == EEXIST;
  // On a full disk the name alone has to do.
  const bool written = ::write(fd, reason, length) >= 0 && ::fsync(fd) == 0;
  (void)::close(fd);
  return written;
}

void on_deadly_signal(int number) {
  const int error = errno;
  if (mark_of_this_thread != nullptr) {
    static constexpr char kReason[] = "the process that used it was ended by a signal in the midst";
    (void)write_mark(mark_of_this_thread, kReason, sizeof kReason - 1);
  }
  // What it was before takes place when the instruction is tried again, or abort goes on.
  for (size_t i = 0; i < kDeadly.size(); i++) {
    if (kDeadly[i] == number) (void)sigaction(number, &former_actions[i], nullptr);
  }
  errno = error;
}

void install() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_handler = on_deadly_signal;
    for (size_t i = 0; i < kDeadly.size(); i++) {
      (void)sigaction(kDeadly[i], &action, &former_actions[i]);
    }
  });
}

}  // namespace

DamageMark::DamageMark(const std::string& directory) : path_(directory + "/damaged") {}

std::optional<std::string> DamageMark::reason() const {
  const UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return std::nullopt;
  std::array<char, kReasonBytesMax> text{};
  const ssize_t length = ::read(fd.get(), text.data(), text.size());
  return std::string(text.data(), length > 0 ? static_cast<size_t>(length) : 0);
}

bool DamageMark::set(std::string_view reason) {
  if (is_set_.exchange(true)) return false;
  if (!write_mark(path_.c_str(), reason.data(), std::min(reason.size(), kReasonBytesMax)))
    log_error(path_ + " cannot be written: " + std::strerror(errno));
  return true;
}

DamageMark::UntilDeath::UntilDeath(const DamageMark& mark) {
  install();
  mark_of_this_thread = mark.path_.c_str();
}
DamageMark::UntilDeath::~UntilDeath() {
  mark_of_this_thread = nullptr;
}

}  // namespace varve
