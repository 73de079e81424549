#include "fs/fuse_session.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "dedup/base/limits.h"
#include "dedup/base/log.h"
#include "fs/fuse_ops.h"
#include "fs/fuse_session_state.h"

namespace varve {
namespace {

using namespace std::chrono_literals;

constexpr int kChildTickMs = 10;
constexpr auto kNegotiationTimeMax = 30s;
constexpr auto kWakeInterval = 10ms;
// At the end: a notification that waits so long waits for a request that nobody will answer.
constexpr auto kNotificationPatience = 1s;

sigset_t termination_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  return set;
}

// libfuse takes options apart at commas.
std::string escaped(std::string_view value) {
  std::string result;
  for (char c : value) {
    if (c == ',' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

std::string option_list(const SessionOptions& options) {
  std::string list = "default_permissions,subtype=varve,fsname=" + escaped(options.source);
  if (options.read_only) list += ",ro";
  if (options.allow_other) list += ",allow_other";
  for (const std::string& flag : options.kernel_flags) list += "," + flag;
  return list;
}

// Best effort: without it buffered reads come in pieces of 128 KiB. Done only after INIT, which
// sets the limit. The kernel is asked for the device alone: a process that waits for an answer of
// its own mount while it dies never ends, and neither does the mount.
void raise_read_ahead(const std::string& mountpoint) {
  struct statx root {};
  if (::statx(AT_FDCWD, mountpoint.c_str(), AT_STATX_DONT_SYNC, 0, &root) != 0) return;
  const std::string path =
      fmt::format("/sys/class/bdi/{}:{}/read_ahead_kb", root.stx_dev_major, root.stx_dev_minor);
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  const std::string value = std::to_string(kFuseRequestBytes / kKiB);
  if (file.valid()) (void)!::write(file.get(), value.data(), value.size());
}

}  // namespace

void block_termination_signals() {
  const sigset_t set = termination_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Result<void> FuseSession::State::open_session() {
  const std::string list = option_list(options);
  const char* arguments[] = {"mount.varve", "-o", list.c_str()};
  fuse_args args = FUSE_ARGS_INIT(3, const_cast<char**>(arguments));
  const fuse_lowlevel_ops operations = all_operations();
  session = fuse_session_new(&args, &operations, sizeof operations, &filesystem);
  fuse_opt_free_args(&args);
  if (session == nullptr) return Error(Errc::kInvalid, "the mount's options were refused: " + list);
  errno = 0;
  if (fuse_session_mount(session, options.mountpoint.c_str()) != 0) {
    const int number = errno == 0 ? EIO : errno;
    return error_from_errno(number, "cannot mount at " + options.mountpoint);
  }
  fd = fuse_session_fd(session);
  return take_over_io();
}

Result<void> FuseSession::State::await_negotiation() {
  std::unique_lock lock(mutex);
  const bool settled = changed.wait_for(lock, kNegotiationTimeMax,
                                        [&] { return wire.negotiated() || serving == 0; });
  if (settled && wire.negotiated()) return {};
  return Error(Errc::kIo, "the kernel did not agree on a FUSE protocol");
}

void FuseSession::State::await_end() {
  UniqueFd signals;
  if (options.watch_signals) {
    const sigset_t set = termination_signals();
    signals.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  pollfd waits[3] = {
      {end_event.get(), POLLIN, 0}, {stop_event.get(), POLLIN, 0}, {signals.get(), POLLIN, 0}};
  while (::poll(waits, 3, -1) < 0 && errno == EINTR) {
  }
  if (waits[0].revents != 0) return;
  if (waits[2].revents != 0)
    log_info("a signal asks for the end: unmounting " + options.mountpoint);
  unmount_politely();
}

// Where no file is open a plain unmount brings every dirty page here; otherwise they are asked for.
void FuseSession::State::unmount_politely() {
  if (::umount2(options.mountpoint.c_str(), UMOUNT_NOFOLLOW) == 0) return;
  if (errno == EBUSY)
    log_warning(options.mountpoint + " is still in use; it goes away nevertheless");
  ask_for_dirty_pages();
}

// In a process of its own, as raise_read_ahead says.
void FuseSession::State::ask_for_dirty_pages() {
  const char* const path = options.mountpoint.c_str();
  const pid_t child = ::fork();
  if (child == 0) {
    (void)::close_range(STDERR_FILENO + 1, ~0U, 0);  // the device would keep the mount alive
    const int root = ::open(path, O_RDONLY | O_DIRECTORY);
    if (root >= 0) (void)::syncfs(root);
    ::_exit(0);
  }
  while (child > 0 && ::waitpid(child, nullptr, WNOHANG) == 0) {
    pollfd ended{end_event.get(), POLLIN, 0};
    if (::poll(&ended, 1, kChildTickMs) <= 0) continue;
    (void)::kill(child, SIGKILL);  // nobody answers it any more
    return;
  }
}

void FuseSession::State::stop_workers() {
  turns.stop();
  if (rings) rings->stop();
  std::unique_lock lock(mutex);
  uint64_t seen = notifications_done;
  auto moved = std::chrono::steady_clock::now();
  // A signal that comes just before a thread waits is lost, so it comes again.
  while (serving > 0) {
    for (std::thread& worker : workers) pthread_kill(worker.native_handle(), kWakeSignal);
    changed.wait_for(lock, kWakeInterval, [&] { return serving == 0; });
    const auto now = std::chrono::steady_clock::now();
    const uint64_t done = notifications_done;
    if (done != seen || done == notifications_begun) moved = now;
    seen = done;
    if (now - moved < kNotificationPatience) continue;
    // A worker may wait for who notifies.
    lock.unlock();
    abort_connection();
    lock.lock();
    moved = now;
  }
  lock.unlock();
  for (std::thread& worker : workers) worker.join();
  workers.clear();
  if (watch.joinable()) watch.join();
}

// A notification may wait for a lock that a request nobody will answer holds: this ends that
// request. POLLERR tells that the mount is gone already, and what is mounted there now is somebody
// else's.
void FuseSession::State::abort_connection() {
  pollfd device{fd, 0, 0};
  const bool gone = fd < 0 || (::poll(&device, 1, 0) == 1 && (device.revents & POLLERR) != 0);
  if (!gone) (void)::umount2(options.mountpoint.c_str(), MNT_FORCE | MNT_DETACH | UMOUNT_NOFOLLOW);
}

void FuseSession::State::close_session() {
  if (session == nullptr) return;
  stop_workers();
  rings.reset();
  abort_connection();
  std::unique_lock lock(notifying);
  notifiable = false;
  fuse_session_unmount(session);
  fuse_session_destroy(session);
  session = nullptr;
}

FuseSession::FuseSession(Filesystem& filesystem, SessionOptions options)
    : state_(std::make_unique<State>(filesystem, std::move(options))) {}

FuseSession::~FuseSession() {
  if (state_->session == nullptr) return;
  bool serves = false;
  {
    std::lock_guard lock(state_->mutex);  // a ring's threads may be starting helpers
    serves = !state_->workers.empty();
  }
  if (serves) state_->unmount_politely();
  state_->close_session();
}

Result<void> FuseSession::mount() {
  VARVE_TRY(state_->open_session());
  state_->start_workers();
  VARVE_TRY(state_->await_negotiation());
  {
    std::unique_lock lock(state_->notifying);
    state_->notifiable = true;
  }
  raise_read_ahead(state_->options.mountpoint);
  return {};
}

Result<void> FuseSession::run() {
  state_->await_end();
  state_->close_session();
  if (state_->failed) return Error(Errc::kIo, "the kernel's requests could not be read any more");
  return {};
}

bool FuseSession::uses_io_uring() const {
  return state_->wire.uses_ring();
}

void FuseSession::request_stop() {
  const uint64_t one = 1;
  (void)!::write(state_->stop_event.get(), &one, sizeof one);
}

void FuseSession::invalidate_entry(Ino parent, std::string_view name) {
  // ENOENT, that the kernel has no such entry, is as good.
  state_->notify(
      [&] { fuse_lowlevel_notify_inval_entry(state_->session, parent, name.data(), name.size()); });
}

void FuseSession::invalidate_node(Ino node) {
  state_->notify([&] { fuse_lowlevel_notify_inval_inode(state_->session, node, 0, 0); });
}

}  // namespace varve
