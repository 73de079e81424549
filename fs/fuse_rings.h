// The kernel's requests over io_uring: a ring and a thread for each processor, so that who asks is
// answered where it runs and no other processor is woken. FORGET, INTERRUPT and what the session
// tells the kernel still go through /dev/fuse.
//
// Invariants:
// 1. One thread at a time leads a ring: waits in it, and submits. Mostly its owner, which handles
//    what is soon done itself and leaves the lead meanwhile; what may take long goes to helpers.
// 2. Where nobody has led a ring for kLook and requests may be there, the watch has a helper lead
//    it until the owner is back.
// 3. An entry's command completes by work of the thread that submitted it, so no thread that led
//    ends before all do.
// 4. A ring has kEntries entries more than requests that wait for remotes, as long as that many may
//    wait: a remote that hangs stops no other request.
//
// Locks: Ring::leading, then the mutexes of the ring and of its helpers, under none of which the
// other is taken.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "dedup/base/bytes.h"
#include "dedup/base/result.h"
#include "fs/fuse_answers.h"
#include "fs/fuse_helpers.h"
#include "fs/waiting_elsewhere.h"

namespace varve {

class FuseRingEntry;

class FuseRings final : public Substitution {
 public:
  struct Parts {
    /// Handles a request and answers it; called by any of the threads.
    std::function<void(FuseAnswers&, ByteView)> handle;
    /// Makes a thread that calls help() with the same index, once.
    std::function<void(size_t index)> start_helper;
    size_t helpers = 8;  // requests that may take long, handled at once by each ring
  };
  /// kUnsupported and the like where there is no io_uring, or not for this process. `device` is
  /// the connection's.
  static Result<std::unique_ptr<FuseRings>> open(int device, Parts parts);
  ~FuseRings() override;
  FuseRings(const FuseRings&) = delete;
  FuseRings& operator=(const FuseRings&) = delete;

  /// As many threads have to call own(), each with another index, once INIT has been answered; one
  /// has to call watch(). They return when the connection has ended, or behind stop() once what was
  /// being handled is answered; a thread that waits needs a signal then. An error: the connection
  /// is of no more use.
  size_t size() const { return rings_.size(); }
  Result<void> own(size_t index);
  void watch();
  void help(size_t index);
  /// Any thread; requests that come afterwards are not answered.
  void stop();

  /// Of the calling thread, which handles one of the requests.
  void wait_begins() override;
  void wait_ends() override;

 private:
  struct Ring;
  struct Allowed;
  FuseRings(int device, Parts parts);

  Result<void> add_rings();
  Result<void> register_entries(Ring& ring);
  void add_entry(Ring& ring, uint16_t queue);
  bool lead(Ring& ring, bool owner);
  bool leads_on(Ring& ring, bool owner);
  void await_answers(Ring& ring);
  void take_back(Ring& ring);
  FuseRingEntry* next_request(Ring& ring);
  bool pass_on(Ring& ring, FuseRingEntry& entry);
  bool handle_here(Ring& ring, FuseRingEntry& entry, bool owner);
  void handle(FuseRingEntry& entry);
  void give_back(Ring& ring, FuseRingEntry& entry);
  void call_for_a_leader(Ring& ring);
  void note_work();
  void look_after(Ring& ring);
  bool all_led() const;
  void move_to(int processor);

  const int device_;
  const Parts parts_;
  std::unique_ptr<Allowed> allowed_;  // the processors that the process may use
  std::vector<std::unique_ptr<Ring>> rings_;
  std::atomic<bool> stopped_{false};

  std::mutex watch_mutex_;  // a leaf
  std::condition_variable watch_changed_;
  std::atomic<bool> watch_sleeps_{false};
};

}  // namespace varve
