#include "fs/fuse_rings.h"

#include <fmt/format.h>
#include <liburing.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "dedup/base/limits.h"
#include "dedup/base/log.h"
#include "dedup/base/unique_fd.h"
#include "fs/fuse_ring_entry.h"
#include "fs/fuse_wire.h"

namespace varve {
namespace {

using namespace std::chrono_literals;

constexpr size_t kEntries = 8;  // of a queue
constexpr unsigned kSubmissionsMax = 128;
// As the turns of /dev/fuse: how long a request may keep the others waiting, and looks without one
// after which the watch sleeps.
constexpr auto kLook = 2ms;
constexpr int kRingIdleLooks = 50;
constexpr auto kEndLook = 10ms;
// What is moved by larger requests is better moved by two processors.
constexpr size_t kSmallRequestBytes = 32 * kKiB;
constexpr int kAnywhere = -1, kInherited = -2;

// The ring whose request the thread handles, for waits of remotes.
thread_local void* ring_of_thread = nullptr;
thread_local bool helps_now = false;
thread_local int place_of_thread = kInherited;

}  // namespace

struct FuseRings::Allowed {
  cpu_set_t set;
};

struct FuseRings::Ring {
  int processor = 0;
  uint16_t queue = 0;  // that gets further entries
  // Of its own, so that they stay on its processor.
  std::unique_ptr<FuseHelpers> helpers;
  UniqueFd wake{::eventfd(0, EFD_CLOEXEC)};

  std::mutex leading;  // held by who leads; guards what follows
  io_uring ring{};
  bool is_set_up = false;
  bool connected = true;
  int failure = 0;  // an errno, where the connection did not just end
  bool wake_is_read = false;
  uint64_t wakes = 0;
  size_t passed_on = 0;  // entries with requests that are being handled
  std::vector<std::unique_ptr<FuseRingEntry>> entries;

  std::mutex mutex;                      // a leaf; guards what follows
  std::vector<FuseRingEntry*> answered;  // by others than who leads
  std::condition_variable answered_changed;
  size_t away = 0;     // requests that wait for a remote
  size_t further = 0;  // entries that came for such
  size_t wanted = 0;   // that are to come

  std::atomic<bool> owner_waits{false};
  std::atomic<bool> led{true};     // or its owner has not come yet
  std::atomic<uint64_t> leads{0};  // how often somebody began to lead or to handle
  uint64_t seen = 0;               // the watch's: leads at its last look

  ~Ring() {
    if (is_set_up) io_uring_queue_exit(&ring);
  }
  io_uring_sqe* submission();
  void read_wake();
  void ring_the_bell() {
    const uint64_t one = 1;
    (void)!::write(wake.get(), &one, sizeof one);
  }
};

io_uring_sqe* FuseRings::Ring::submission() {
  io_uring_sqe* free = io_uring_get_sqe(&ring);
  if (free == nullptr) {
    (void)io_uring_submit(&ring);
    free = io_uring_get_sqe(&ring);
  }
  return free;
}

// So that who waits in the ring hears of what others have answered.
void FuseRings::Ring::read_wake() {
  if (wake_is_read) return;
  io_uring_sqe* read = submission();
  if (read == nullptr) return;
  std::memset(read, 0, 2 * sizeof *read);
  io_uring_prep_read(read, wake.get(), &wakes, sizeof wakes, 0);
  io_uring_sqe_set_data(read, nullptr);
  wake_is_read = true;
}

FuseRings::FuseRings(int device, Parts parts)
    : device_(device), parts_(std::move(parts)), allowed_(std::make_unique<Allowed>()) {
  CPU_ZERO(&allowed_->set);
  (void)::sched_getaffinity(0, sizeof allowed_->set, &allowed_->set);
}

FuseRings::~FuseRings() = default;

Result<std::unique_ptr<FuseRings>> FuseRings::open(int device, Parts parts) {
  std::unique_ptr<FuseRings> rings(new FuseRings(device, std::move(parts)));
  VARVE_TRY(rings->add_rings());
  return rings;
}

// The kernel waits for a queue of every processor that there might ever be; those that cannot run
// anything of ours share the rings of the others.
Result<void> FuseRings::add_rings() {
  const int possible = ::get_nprocs_conf();
  std::vector<uint16_t> others;
  for (int processor = 0; processor < possible; processor++) {
    if (processor >= CPU_SETSIZE || !CPU_ISSET(processor, &allowed_->set)) {
      others.push_back(static_cast<uint16_t>(processor));
      continue;
    }
    auto ring = std::make_unique<Ring>();
    ring->processor = processor;
    ring->queue = static_cast<uint16_t>(processor);
    io_uring_params params{};
    params.flags = IORING_SETUP_SQE128;
    const int result = io_uring_queue_init_params(kSubmissionsMax, &ring->ring, &params);
    if (result < 0) return error_from_errno(-result, "io_uring is not to be had");
    ring->is_set_up = true;
    for (size_t i = 0; i < kEntries; i++) add_entry(*ring, ring->queue);
    rings_.push_back(std::move(ring));
  }
  if (rings_.empty()) return Error(Errc::kUnsupported, "io_uring: no processor is known");
  for (size_t i = 0; i < rings_.size(); i++) {
    rings_[i]->helpers =
        std::make_unique<FuseHelpers>(parts_.helpers, [this, i] { parts_.start_helper(i); });
  }
  for (size_t i = 0; i < others.size(); i++) {
    for (size_t j = 0; j < kEntries; j++) add_entry(*rings_[i % rings_.size()], others[i]);
  }
  return {};
}

void FuseRings::add_entry(Ring& ring, uint16_t queue) {
  ring.entries.push_back(std::make_unique<FuseRingEntry>(queue));
}

Result<void> FuseRings::register_entries(Ring& ring) {
  for (const auto& entry : ring.entries) {
    io_uring_sqe* submission = ring.submission();
    if (submission == nullptr) return Error(Errc::kIo, "the ring takes no entries");
    entry->prepare_to_register(submission, device_);
  }
  const int submitted = io_uring_submit(&ring.ring);
  if (submitted < 0) return error_from_errno(-submitted, "registering ring entries failed");
  return {};
}

Result<void> FuseRings::own(size_t index) {
  Ring& ring = *rings_[index];
  move_to(ring.processor);
  ring.leading.lock();
  Result<void> registered = register_entries(ring);
  if (registered.ok()) lead(ring, true);
  if (ring.failure != 0) registered = error_from_errno(ring.failure, "a ring entry is lost");
  ring.led = false;
  ring.leading.unlock();
  stop();
  ring.helpers->stop();
  return registered;
}

// Has the lead when it is called, and when it returns true.
bool FuseRings::lead(Ring& ring, bool owner) {
  ring_of_thread = &ring;
  ring.led = true;
  while (leads_on(ring, owner)) {
    take_back(ring);
    ring.read_wake();
    FuseRingEntry* entry = next_request(ring);
    if (entry == nullptr) {
      // Not where answers of others have just been announced. EINTR is as good.
      if (ring.connected && ring.wake_is_read) (void)io_uring_submit_and_wait(&ring.ring, 1);
      continue;
    }
    if (pass_on(ring, *entry)) continue;
    if (!handle_here(ring, *entry, owner)) return false;
  }
  return true;
}

bool FuseRings::leads_on(Ring& ring, bool owner) {
  if (!ring.connected) return false;
  if (!owner) return !stopped_ && !ring.owner_waits;
  while (stopped_ && ring.connected && ring.passed_on > 0) await_answers(ring);
  return !stopped_;
}

// At the end: what helpers still have is answered, and nothing new is taken.
void FuseRings::await_answers(Ring& ring) {
  {
    std::unique_lock lock(ring.mutex);
    ring.answered_changed.wait_for(lock, kEndLook, [&] { return !ring.answered.empty(); });
  }
  take_back(ring);
  (void)io_uring_submit(&ring.ring);
}

// What others have answered goes to the kernel, and entries come in place of those that are away.
void FuseRings::take_back(Ring& ring) {
  std::vector<FuseRingEntry*> answered;
  size_t wanted = 0;
  {
    std::lock_guard lock(ring.mutex);
    answered.swap(ring.answered);
    wanted = std::exchange(ring.wanted, 0);
  }
  for (FuseRingEntry* entry : answered) {
    ring.passed_on--;
    if (io_uring_sqe* submission = ring.submission()) entry->prepare_to_commit(submission, device_);
  }
  for (size_t i = 0; i < wanted; i++) {
    add_entry(ring, ring.queue);
    if (io_uring_sqe* submission = ring.submission())
      ring.entries.back()->prepare_to_register(submission, device_);
  }
}

FuseRingEntry* FuseRings::next_request(Ring& ring) {
  io_uring_cqe* completion = nullptr;
  while (ring.connected && io_uring_peek_cqe(&ring.ring, &completion) == 0) {
    auto* entry = static_cast<FuseRingEntry*>(io_uring_cqe_get_data(completion));
    const int result = completion->res;
    io_uring_cqe_seen(&ring.ring, completion);
    if (entry == nullptr) {
      ring.wake_is_read = false;
      return nullptr;
    } else if (result >= 0 && entry->take_request()) {
      return entry;
    } else {
      const bool ended = result == -ENOTCONN || result == -ECONNABORTED || result == -ECANCELED;
      if (!ended) ring.failure = result < 0 ? -result : EBADMSG;
      ring.connected = false;
    }
  }
  return nullptr;
}

bool FuseRings::pass_on(Ring& ring, FuseRingEntry& entry) {
  const ByteView request = entry.request();
  if (!FuseWire::may_block(request)) return false;
  ring.passed_on++;
  const bool small = FuseWire::summary_of(request).bytes <= kSmallRequestBytes;
  ring.helpers->add([this, &ring, &entry, small] {
    move_to(small ? ring.processor : kAnywhere);
    ring_of_thread = &ring;
    helps_now = true;
    handle(entry);
    helps_now = false;
    give_back(ring, entry);
  });
  return true;
}

// False: somebody else leads by now, and has the answer; the owner waits for the lead instead. What
// is answered already must not wait for this request.
bool FuseRings::handle_here(Ring& ring, FuseRingEntry& entry, bool owner) {
  if (io_uring_sq_ready(&ring.ring) > 0) (void)io_uring_submit(&ring.ring);
  ring.passed_on++;
  ring.leads++;
  ring.led = false;
  note_work();
  ring.leading.unlock();
  handle(entry);
  if (!ring.leading.try_lock()) {
    if (owner) ring.owner_waits = true;
    give_back(ring, entry);
    if (!owner) return false;
    ring.leading.lock();
    ring.owner_waits = false;
  } else {
    ring.passed_on--;
    if (io_uring_sqe* submission = ring.submission()) entry.prepare_to_commit(submission, device_);
  }
  ring.leads++;
  ring.led = true;
  return true;
}

void FuseRings::handle(FuseRingEntry& entry) {
  parts_.handle(entry, entry.request());
  entry.end_request();
}

void FuseRings::give_back(Ring& ring, FuseRingEntry& entry) {
  {
    std::lock_guard lock(ring.mutex);
    ring.answered.push_back(&entry);
    ring.answered_changed.notify_all();
  }
  ring.ring_the_bell();
}

void FuseRings::call_for_a_leader(Ring& ring) {
  ring.helpers->add_urgent([this, &ring] {
    if (!ring.leading.try_lock()) return;
    move_to(ring.processor);
    if (!lead(ring, false)) return;
    ring.led = false;
    ring.leading.unlock();
  });
}

// Behind `led`, as the watch looks at that behind `watch_sleeps_`: one of the two sees the other.
void FuseRings::note_work() {
  if (!watch_sleeps_) return;
  std::lock_guard lock(watch_mutex_);
  watch_sleeps_ = false;
  watch_changed_.notify_one();
}

void FuseRings::look_after(Ring& ring) {
  const uint64_t leads = ring.leads;
  if (!ring.led && leads == ring.seen && !stopped_) call_for_a_leader(ring);
  ring.seen = leads;
}

bool FuseRings::all_led() const {
  return std::all_of(rings_.begin(), rings_.end(),
                     [](const auto& ring) { return ring->led.load(); });
}

void FuseRings::watch() {
  int idle_looks = 0;
  uint64_t before = 0;
  std::unique_lock lock(watch_mutex_);
  while (!stopped_) {
    if (idle_looks < kRingIdleLooks) {
      watch_changed_.wait_for(lock, kLook, [&] { return stopped_.load(); });
    } else {
      watch_sleeps_ = true;
      watch_changed_.wait(lock, [&] { return stopped_ || !watch_sleeps_ || !all_led(); });
      watch_sleeps_ = false;
      idle_looks = 0;
    }
    lock.unlock();
    uint64_t all = 0;
    for (const auto& ring : rings_) {
      look_after(*ring);
      all += ring->leads;
    }
    idle_looks = all == before && all_led() ? idle_looks + 1 : 0;
    before = all;
    lock.lock();
  }
}

void FuseRings::help(size_t index) {
  rings_[index]->helpers->serve();
}

void FuseRings::stop() {
  std::lock_guard lock(watch_mutex_);
  stopped_ = true;
  watch_changed_.notify_all();
}

void FuseRings::wait_begins() {
  Ring* const ring = static_cast<Ring*>(ring_of_thread);
  if (ring == nullptr) return;
  if (helps_now) ring->helpers->wait_begins();
  {
    std::lock_guard lock(ring->mutex);
    if (++ring->away <= ring->further || ring->further >= kRemoteWaitsMax) return;
    ring->further++;
    ring->wanted++;
  }
  ring->ring_the_bell();
}

void FuseRings::wait_ends() {
  Ring* const ring = static_cast<Ring*>(ring_of_thread);
  if (ring == nullptr) return;
  if (helps_now) ring->helpers->wait_ends();
  std::lock_guard lock(ring->mutex);
  ring->away--;
}

void FuseRings::move_to(int processor) {
  if (processor == place_of_thread) return;
  place_of_thread = processor;
  cpu_set_t set = allowed_->set;
  if (processor != kAnywhere) {
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(processor), &set);
  }
  // Best effort: a thread that stays where it is serves as well.
  (void)::sched_setaffinity(0, sizeof set, &set);
}

}  // namespace varve
