#include "tools/terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "dedup/base/unique_fd.h"

namespace varve {
namespace {

constexpr size_t kAnswerBytesMax = 1024;
constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

volatile sig_atomic_t caught_signal = 0;  // a signal handler can reach nothing else

void on_signal(int number) {
  caught_signal = number;
}

/// While it lives, the signals that end a program interrupt read(2) instead: the echo must be
/// switched on again first.
class CaughtSignals {
 public:
  CaughtSignals() {
    caught_signal = 0;
    struct sigaction action {};
    action.sa_handler = on_signal;  // no SA_RESTART
    for (size_t i = 0; i < kSignals.size(); i++) sigaction(kSignals[i], &action, &before_[i]);
  }
  ~CaughtSignals() {
    for (size_t i = 0; i < kSignals.size(); i++) sigaction(kSignals[i], &before_[i], nullptr);
  }
  CaughtSignals(const CaughtSignals&) = delete;
  CaughtSignals& operator=(const CaughtSignals&) = delete;

 private:
  std::array<struct sigaction, kSignals.size()> before_{};
};

/// While it lives, the terminal does not show what is typed.
class EchoOff {
 public:
  explicit EchoOff(int fd) : fd_(fd), changed_(tcgetattr(fd, &before_) == 0) {
    if (!changed_) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    silent.c_lflag |= ICANON | ISIG | ECHONL;
    changed_ = tcsetattr(fd_, TCSAFLUSH, &silent) == 0;
  }
  ~EchoOff() {
    if (changed_) tcsetattr(fd_, TCSAFLUSH, &before_);
  }
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;
  bool silent() const { return changed_; }

 private:
  int fd_;
  termios before_{};
  bool changed_;
};

Result<UniqueFd> open_terminal() {
  UniqueFd terminal(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal.valid()) return error_from_errno(errno, "opening the terminal");
  return terminal;
}

Result<void> write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR && caught_signal == 0) continue;
    if (count < 0) return error_from_errno(errno, "writing to the terminal");
    text.remove_prefix(static_cast<size_t>(count));
  }
  return {};
}

/// One line, without its newline.
Result<Secret> read_line(int fd) {
  Secret line(kAnswerBytesMax + 1);
  size_t length = 0;
  while (caught_signal == 0) {
    const ssize_t count = ::read(fd, line.span().data() + length, line.size() - length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return error_from_errno(errno, "reading from the terminal");
    const size_t before = length;
    length += static_cast<size_t>(count);
    const ByteView typed = line.view().subspan(before, length - before);
    const auto newline = std::find(typed.begin(), typed.end(), '\n');
    if (newline != typed.end()) {
      const size_t end = before + static_cast<size_t>(newline - typed.begin());
      return Secret::copy_of(line.view().first(end));
    }
    if (count == 0) return Secret::copy_of(line.view().first(length));
    if (length == line.size()) return Error(Errc::kTooLarge, "the answer is too long");
  }
  return Error(Errc::kInterrupted, "interrupted");
}

}  // namespace

bool on_terminal() {
  return ::isatty(STDIN_FILENO) == 1;
}

Result<Secret> ask_secret(std::string_view question) {
  const UniqueFd terminal = VARVE_TRY(open_terminal());
  const CaughtSignals signals;
  const EchoOff echo(terminal.get());
  if (!echo.silent()) return Error(Errc::kIo, "the terminal's echo cannot be switched off");
  VARVE_TRY(write_all(terminal.get(), question));
  return read_line(terminal.get());
}

Result<void> tell_terminal(std::string_view text) {
  const UniqueFd terminal = VARVE_TRY(open_terminal());
  return write_all(terminal.get(), text);
}

}  // namespace varve
