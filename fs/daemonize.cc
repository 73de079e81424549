#include "fs/daemonize.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "dedup/base/log.h"

namespace varve {
namespace {

constexpr std::string_view kMountedLine = "mounted\n";

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return;  // nobody waits any more
    text.remove_prefix(static_cast<size_t>(written));
  }
}

std::string read_all(int fd) {
  std::string text;
  char piece[1024];
  for (;;) {
    const ssize_t got = ::read(fd, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(piece, static_cast<size_t>(got));
  }
}

// The process that was started: waits for the child's word, and never returns.
[[noreturn]] void await_child(const char* program, pid_t child, UniqueFd pipe) {
  std::string word = read_all(pipe.get());
  if (word == kMountedLine) _exit(kExitMounted);
  int status = 0;
  (void)::waitpid(child, &status, 0);
  if (word.empty())
    word = "the daemon ended before the mount was ready; the system's log may say why\n";
  std::fprintf(stderr, "%s: %s", program, word.c_str());
  std::fflush(stderr);
  _exit(kExitMountFailed);
}

void redirect(int from, int to) {
  if (from >= 0) (void)::dup2(from, to);
}

}  // namespace

void Readiness::mounted() {
  if (std::exchange(said_, true) || !pipe_.valid()) return;
  // From here on lines go to the journal; what libraries print goes there too, if there is one.
  log_to_syslog(program_);
  const UniqueFd nowhere(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const UniqueFd journal(::sd_journal_stream_fd(program_, LOG_INFO, 0));
  const int output = journal.valid() ? journal.get() : nowhere.get();
  redirect(output, STDOUT_FILENO);
  redirect(output, STDERR_FILENO);
  write_all(pipe_.get(), kMountedLine);
  pipe_.reset();
}

void Readiness::failed(const Error& error) {
  if (std::exchange(said_, true)) return;
  std::string line = error.message().empty() ? "the mount failed" : error.message();
  line.push_back('\n');
  if (!pipe_.valid()) {
    std::fprintf(stderr, "%s: %s", program_, line.c_str());
    return;
  }
  write_all(pipe_.get(), line);
  pipe_.reset();
}

Result<Readiness> daemonize(const char* program, bool foreground) {
  if (foreground) return Readiness(UniqueFd(), program);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return error_from_errno(errno, "pipe");
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) return error_from_errno(errno, "fork");
  if (child > 0) {
    write_end.reset();
    await_child(program, child, std::move(read_end));
  }
  (void)::setsid();
  if (::chdir("/") != 0) return error_from_errno(errno, "chdir /");
  const UniqueFd nowhere(::open("/dev/null", O_RDWR | O_CLOEXEC));
  redirect(nowhere.get(), STDIN_FILENO);
  return Readiness(std::move(write_end), program);
}

}  // namespace varve
