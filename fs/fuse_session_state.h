// What stands behind FuseSession; included by its implementation alone: fuse_session.cc begins and
// ends a session, fuse_serving.cc has the threads that serve it.
#pragma once

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>
#include <thread>

#include "dedup/base/unique_fd.h"
#include "fs/fuse_placement.h"
#include "fs/fuse_rings.h"
#include "fs/fuse_session.h"
#include "fs/fuse_turns.h"
#include "fs/fuse_wire.h"

namespace varve {

// Interrupts a thread that waits for the kernel's next request; does nothing by itself.
inline constexpr int kWakeSignal = SIGURG;

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
  Result<void> take_over_io();
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

template <typename Notify>
void FuseSession::State::notify(const Notify& send) {
  std::shared_lock lock(notifying);
  if (!notifiable) return;
  notifications_begun++;
  send();
  notifications_done++;
}

}  // namespace varve
