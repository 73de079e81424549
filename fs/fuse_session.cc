#include "fs/fuse_session.h"

#define FUSE_USE_VERSION 314
#include <fcntl.h>
#include <fmt/core.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <shared_mutex>
#include <thread>

#include "dedup/base/limits.h"
#include "dedup/base/log.h"
#include "dedup/base/unique_fd.h"
#include "fs/fuse_ops.h"
#include "fs/fuse_placement.h"
#include "fs/fuse_rings.h"
#include "fs/fuse_turns.h"
#include "fs/fuse_wire.h"

namespace varve {
namespace {

using namespace std::chrono_literals;

// The largest request, its headers included: what the kernel demands of a read.
constexpr size_t kRequestBufferBytes = kFuseRequestBytes + 4096;
constexpr int kChildTickMs = 10;
// Interrupts a thread that waits for the kernel's next request; does nothing by itself.
constexpr int kWakeSignal = SIGURG;
constexpr auto kNegotiationTimeMax = 30s;
constexpr auto kWakeInterval = 10ms;
// At the end: a notification that waits so long waits for a request that nobody will answer.
constexpr auto kNotificationPatience = 1s;

void ignore_wake(int) {}

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

bool is_readable(int fd) {
  pollfd waits{fd, POLLIN, 0};
  return ::poll(&waits, 1, 0) == 1 && (waits.revents & POLLIN) != 0;
}

}  // namespace

void block_termination_signals() {
  const sigset_t set = termination_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

struct FuseSession::State final : Substitution {
  State(Filesystem& fs, SessionOptions chosen)
      : filesystem(fs), options(std::move(chosen)), wire(fs) {}

  Filesystem& filesystem;
  SessionOptions options;
  FuseWire wire;
  FusePlacement placement;
  FuseTurns turns;
  std::unique_ptr<FuseRings> rings;
  fuse_session* session = nullptr;
  int fd = -1;  // the session's
  UniqueFd stop_event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  UniqueFd end_event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};

  std::vector<std::thread> workers;
  std::thread watch;
  std::mutex mutex;  // a leaf: guards what follows
  std::condition_variable changed;
  size_t serving = 0;  // workers that have not ended
  bool has_substitutes = false;
  bool failed = false;

  // Shared while a notification is written, exclusive to take the session away.
  std::shared_mutex notifying;
  bool notifiable = false;
  std::atomic<uint64_t> notifications_begun{0}, notifications_done{0};

  Result<void> open_session();
  // What one thread has of its own.
  struct Worker {
    std::shared_ptr<Buffer> buffer;
    FusePlacement::Place place;
    bool was_heavy = false;
  };

  void start_workers();
  void start_substitutes();
  void wait_begins() override;
  void wait_ends() override { turns.wait_ends(); }
  Result<void> await_negotiation();
  void serve();
  void serve_in_place();
  void begin_to_serve();
  void end_serving();
  bool serve_one(Worker& worker);
  static void provide_buffer(Worker& worker);
  void handle(FuseAnswers& answers, ByteView bytes);
  void open_rings();
  void start_rings();
  void serve_ring(size_t index);
  void serve_rings_with(const std::function<void()>& serve);
  void start_helper(size_t index);
  void await_end();
  void unmount_politely();
  void ask_for_dirty_pages();
  void stop_workers();
  void abort_connection();
  void close_session();
  template <typename Notify>
  void notify(const Notify& send);
};

namespace {

ssize_t read_request(int fd, void* buffer, size_t size, void*) {
  return ::read(fd, buffer, size);
}

// libfuse's userdata is the Filesystem, so the wire is found by the thread: a worker serves one
// session.
thread_local FuseWire* wire_of_thread = nullptr;
// Of the request that it handles.
thread_local FuseAnswers* answers_of_thread = nullptr;

ssize_t write_answer(int fd, iovec* parts, int count, void*) {
  // A notification has no request; its header says so too, when it is sent while one is handled.
  const auto* header = static_cast<const fuse_out_header*>(parts[0].iov_base);
  if (answers_of_thread == nullptr || header->unique == 0) return ::writev(fd, parts, count);
  return wire_of_thread->reply(*answers_of_thread, parts, count);
}

}  // namespace

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
  fuse_custom_io io{};
  io.read = read_request;
  io.writev = write_answer;
  if (fuse_session_custom_io(session, &io, fd) != 0) {
    return Error(Errc::kIo, "libfuse refused to take its input and output from the session");
  }
  return {};
}

void FuseSession::State::start_workers() {
  struct sigaction action {};
  action.sa_handler = ignore_wake;  // without SA_RESTART: read() gives EINTR
  sigaction(kWakeSignal, &action, nullptr);
  sigset_t all, before;
  sigfillset(&all);
  sigdelset(&all, kWakeSignal);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::unique_lock lock(mutex);  // the first one may start further ones already
  serving = options.threads;
  for (size_t i = 0; i < options.threads; i++) workers.emplace_back([this] { serve(); });
  watch = std::thread([this] {
    pthread_setname_np(pthread_self(), "varve-watch");
    turns.watch();
  });
  lock.unlock();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Result<void> FuseSession::State::await_negotiation() {
  std::unique_lock lock(mutex);
  const bool settled = changed.wait_for(lock, kNegotiationTimeMax,
                                        [&] { return wire.negotiated() || serving == 0; });
  if (settled && wire.negotiated()) return {};
  return Error(Errc::kIo, "the kernel did not agree on a FUSE protocol");
}

void FuseSession::State::begin_to_serve() {
  pthread_setname_np(pthread_self(), "varve-fuse");
  wire_of_thread = &wire;
  tell_waits_of_this_thread(this);
}

void FuseSession::State::serve() {
  begin_to_serve();
  Worker worker;
  while (turns.take() && serve_one(worker)) {
  }
  end_serving();
}

void FuseSession::State::serve_in_place() {
  begin_to_serve();
  bool goes_on = true;
  while (goes_on && turns.take_place()) {
    Worker worker;  // its memory goes while it rests
    goes_on = serve_one(worker);
    turns.leave_place();
  }
  end_serving();
}

void FuseSession::State::end_serving() {
  turns.stop();
  std::lock_guard lock(mutex);
  if (--serving == 0) {
    const uint64_t one = 1;
    (void)!::write(end_event.get(), &one, sizeof one);
  }
  changed.notify_all();
}

void FuseSession::State::wait_begins() {
  start_substitutes();
  turns.wait_begins();
}

// Called by a worker, whose signals they take over; it is serving, so that nobody joins yet.
void FuseSession::State::start_substitutes() {
  std::lock_guard lock(mutex);
  if (std::exchange(has_substitutes, true)) return;
  for (size_t i = 0; i < options.substitutes; i++) {
    workers.emplace_back([this] { serve_in_place(); });
    serving++;
  }
}

// What the last request brought may have been kept with the memory that it lay in.
void FuseSession::State::provide_buffer(Worker& worker) {
  if (worker.buffer && worker.buffer.use_count() == 1) {
    std::atomic_thread_fence(std::memory_order_acquire);  // whoever shared it has read it
    return;
  }
  worker.buffer = std::make_shared<Buffer>(kRequestBufferBytes);
  set_request_memory(worker.buffer);
}

// False when there will be no more requests.
bool FuseSession::State::serve_one(Worker& worker) {
  // A request that has been waiting behind a long one: from now on one thread is not enough.
  const bool queued = worker.was_heavy && is_readable(fd);
  provide_buffer(worker);
  const ssize_t got = ::read(fd, worker.buffer->data(), worker.buffer->size());
  const int number = errno;
  const ByteView bytes = worker.buffer->view().first(got > 0 ? static_cast<size_t>(got) : 0);
  const FuseWire::Summary summary = FuseWire::summary_of(bytes);
  worker.was_heavy = summary.heavy;
  turns.give_back(queued || (summary.heavy && is_readable(fd)));
  if (got < 0) {
    // ENOENT: the request was interrupted before it was read.
    if (number == EINTR || number == EAGAIN || number == ENOENT) return true;
    if (number == ENODEV) return false;  // unmounted
    log_error(fmt::format("reading from the kernel failed: {}", std::strerror(number)));
    std::lock_guard lock(mutex);
    failed = true;
    return false;
  }
  DeviceAnswers answers(fd);
  handle(answers, bytes);
  placement.served(summary.asker, summary.bytes, worker.place);
  return true;
}

void FuseSession::State::handle(FuseAnswers& answers, ByteView bytes) {
  const bool negotiating = !wire.negotiated();
  if (wire.before(answers, bytes)) return;
  if (negotiating) open_rings();
  answers_of_thread = &answers;
  fuse_buf request{};
  request.mem = const_cast<uint8_t*>(bytes.data());
  request.size = bytes.size();
  fuse_session_process_buf(session, &request);
  answers_of_thread = nullptr;
  if (!negotiating) return;
  start_rings();
  std::lock_guard lock(mutex);
  changed.notify_all();
}

// What the kernel was promised when it was told that rings are used has to hold.
void FuseSession::State::open_rings() {
  if (!options.io_uring || !wire.offers_ring()) return;
  FuseRings::Parts parts;
  parts.handle = [this](FuseAnswers& answers, ByteView request) { handle(answers, request); };
  parts.start_helper = [this](size_t index) { start_helper(index); };
  parts.helpers = options.threads;
  Result<std::unique_ptr<FuseRings>> opened = FuseRings::open(fd, std::move(parts));
  if (!opened.ok()) return log_info("requests come through /dev/fuse: " + opened.error().message());
  rings = std::move(*opened);
  wire.take_ring();
}

void FuseSession::State::start_rings() {
  if (!rings || !wire.uses_ring()) return;
  std::lock_guard lock(mutex);
  for (size_t i = 0; i < rings->size(); i++) {
    workers.emplace_back([this, i] { serve_rings_with([&] { serve_ring(i); }); });
    serving++;
  }
  workers.emplace_back([this] { serve_rings_with([&] { rings->watch(); }); });
  serving++;
}

// Called by a thread that serves; see start_substitutes().
void FuseSession::State::start_helper(size_t index) {
  std::lock_guard lock(mutex);
  workers.emplace_back([this, index] { serve_rings_with([&] { rings->help(index); }); });
  serving++;
}

void FuseSession::State::serve_rings_with(const std::function<void()>& serve) {
  begin_to_serve();
  tell_waits_of_this_thread(rings.get());
  serve();
  end_serving();
}

void FuseSession::State::serve_ring(size_t index) {
  Result<void> served = rings->own(index);
  if (served.ok()) return;
  log_error(served.error().message());
  {
    std::lock_guard lock(mutex);
    failed = true;
  }
  abort_connection();  // the kernel would wait for the ring for ever
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

template <typename Notify>
void FuseSession::State::notify(const Notify& send) {
  std::shared_lock lock(notifying);
  if (!notifiable) return;
  notifications_begun++;
  send();
  notifications_done++;
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
  if (!state_->workers.empty()) state_->unmount_politely();
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
