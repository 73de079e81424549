#include "tools/fetch_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string_view>
#include <thread>

#include "replicator/fetch_helper.h"

extern char** environ;

namespace varve {
namespace {

// A pipe's place in every program, and here the socket's.
constexpr int kSocket = STDIN_FILENO;

class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

Result<pid_t> spawn(const UniqueFd& socket, const std::string& directory) {
  FileActions actions;
  ::posix_spawn_file_actions_adddup2(actions.get(), socket.get(), kSocket);
  // It must hold up nobody who waits for the end of the mount's own output.
  ::posix_spawn_file_actions_addopen(actions.get(), STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_addopen(actions.get(), STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_addclosefrom_np(actions.get(), STDERR_FILENO + 1);
  std::string name = kFetchProcessName, place = directory;
  std::array<char*, 3> arguments{name.data(), place.data(), nullptr};
  pid_t child = 0;
  const int failed =
      ::posix_spawn(&child, "/proc/self/exe", actions.get(), nullptr, arguments.data(), environ);
  if (failed != 0) return error_from_errno(failed, "starting the process that reads " + directory);
  return child;
}

/// The helper that was started last. It ends when its socket does: whoever unmounted wants the
/// place to be free then, unless it hangs.
class LastHelper {
 public:
  LastHelper() = default;
  ~LastHelper() { await_end(); }
  LastHelper(const LastHelper&) = delete;
  LastHelper& operator=(const LastHelper&) = delete;

  /// The one before it had its moment when its socket ended.
  void is(pid_t child) {
    (void)has_ended();
    child_ = child;
  }

 private:
  bool has_ended() const { return child_ <= 0 || ::waitpid(child_, nullptr, WNOHANG) != 0; }
  void await_end() const {
    constexpr std::chrono::milliseconds kPatience{2'000}, kLookEvery{5};
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (!has_ended() && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(kLookEvery);
  }

  pid_t child_ = 0;
};

}  // namespace

void become_fetch_process(int argc, char** argv) {
  if (argc != 2 || std::string_view(argv[0]) != kFetchProcessName) return;
  (void)::prctl(PR_SET_NAME, kFetchProcessName);
  run_fetch_helper(kSocket, argv[1]);
}

StartHelper fetch_process_starter(std::string directory) {
  auto last = std::make_shared<LastHelper>();
  return [directory = std::move(directory), last = std::move(last)]() -> Result<UniqueFd> {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      return error_from_errno(errno, "socketpair");
    UniqueFd ours(ends[0]), theirs(ends[1]);
    last->is(VARVE_TRY(spawn(theirs, directory)));
    return ours;
  };
}

}  // namespace varve
