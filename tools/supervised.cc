#include "tools/supervised.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "tools/exit_codes.h"

namespace varve {
namespace {

constexpr timespec kChildTick{0, 100'000'000};
constexpr int kTicksToObey = 30;  // three seconds

/// The child's exit code, if it has ended.
bool has_ended(pid_t child, int& code) {
  int status = 0;
  if (::waitpid(child, &status, WNOHANG) != child) return false;
  code = WIFEXITED(status) ? WEXITSTATUS(status) : kExitFailure;
  return true;
}

int supervise(pid_t child, const sigset_t& signals) {
  int code = kExitFailure, ticks_left = -1;
  while (!has_ended(child, code)) {
    const int number = ::sigtimedwait(&signals, nullptr, &kChildTick);
    if (number > 0 && number != SIGCHLD) {
      (void)::kill(child, number);
      if (ticks_left < 0) ticks_left = kTicksToObey;
    }
    if (ticks_left < 0 || ticks_left-- > 0) continue;
    (void)::kill(child, SIGKILL);
    fmt::print(stderr, "varve: stopped while a place did not answer; the next run goes on\n");
    return kExitFailure;
  }
  return code;
}

}  // namespace

int run_supervised(const std::function<int()>& work) {
  sigset_t signals, before;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&signals, number);
  ::sigprocmask(SIG_BLOCK, &signals, &before);
  std::fflush(nullptr);
  const pid_t parent = ::getpid(), child = ::fork();
  if (child < 0) {
    fmt::print(stderr, "varve: cannot start a process: {}\n", std::strerror(errno));
    return kExitFailure;
  }
  if (child == 0) {
    // It must not outlive who is asked to end.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(kExitFailure);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    const int code = work();
    std::fflush(nullptr);
    ::_exit(code);
  }
  const int code = supervise(child, signals);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  return code;
}

}  // namespace varve
