// The threads of a session: who waits for the kernel's requests, over /dev/fuse or in rings, and
// who handles them.
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "dedup/base/limits.h"
#include "dedup/base/log.h"
#include "fs/fuse_session_state.h"

namespace varve {
namespace {

// The largest request, its headers included: what the kernel demands of a read.
constexpr size_t kRequestBufferBytes = kFuseRequestBytes + 4096;

void ignore_wake(int) {}

bool is_readable(int fd) {
  pollfd waits{fd, POLLIN, 0};
  return ::poll(&waits, 1, 0) == 1 && (waits.revents & POLLIN) != 0;
}

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

Result<void> FuseSession::State::take_over_io() {
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
    // Counting up and down once acquires what whoever shared it did before letting go of it. A
    // fence would do, but the thread sanitizer does not know fences.
    std::shared_ptr<Buffer>(worker.buffer).reset();
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

}  // namespace varve
