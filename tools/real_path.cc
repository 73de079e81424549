#include "tools/real_path.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "dedup/base/unique_fd.h"

namespace varve {
namespace {

// An errno, 0 where there is none; then the path. A pipe takes so much at once.
struct Answer {
  unsigned char failed = 0;
  char path[PATH_MAX - 1] = {};
};
static_assert(sizeof(Answer) <= PIPE_BUF);

/// It may live as long as the mount hangs, so nobody must wait for the end of what it has open.
[[noreturn]] void answer_to(int pipe, const char* path) {
  const int nothing = ::open("/dev/null", O_RDWR);
  ::dup2(pipe, STDIN_FILENO);
  ::dup2(nothing, STDOUT_FILENO);
  ::dup2(nothing, STDERR_FILENO);
  ::close_range(STDERR_FILENO + 1, ~0U, 0);
  Answer answer;
  char resolved[PATH_MAX];
  if (::realpath(path, resolved) == nullptr) {
    answer.failed = static_cast<unsigned char>(errno);
  } else if (std::strlen(resolved) >= sizeof answer.path) {
    answer.failed = ENAMETOOLONG;
  } else {
    std::strcpy(answer.path, resolved);
  }
  const bool written = ::write(STDIN_FILENO, &answer, sizeof answer) == sizeof answer;
  ::_exit(written ? 0 : 1);
}

/// Whether there is something to read, or nobody any more to write.
bool wait_for(int pipe, std::chrono::milliseconds limit) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + limit;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    pollfd event{pipe, POLLIN, 0};
    const int ready = ::poll(&event, 1, static_cast<int>(std::max<int64_t>(0, left.count())));
    if (ready >= 0 || errno != EINTR) return ready > 0;
  }
}

}  // namespace

Result<std::string> real_path_within(const std::string& path, std::chrono::milliseconds limit) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return error_from_errno(errno, "pipe");
  UniqueFd ours(ends[0]), theirs(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return error_from_errno(errno, "fork");
  if (child == 0) answer_to(theirs.get(), path.c_str());
  theirs.reset();
  if (!wait_for(ours.get(), limit)) {
    ::kill(child, SIGKILL);  // which may take as long as the mount hangs
    return Error(Errc::kIo, path + ": the place does not answer");
  }
  Answer answer;
  const ssize_t got = ::read(ours.get(), &answer, sizeof answer);
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) continue;
  if (got != sizeof answer) return Error(Errc::kIo, path + ": nobody says what it is");
  if (answer.failed != 0) return error_from_errno(answer.failed, path);
  answer.path[sizeof answer.path - 1] = 0;
  return std::string(answer.path);
}

}  // namespace varve
