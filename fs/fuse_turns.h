// Which of the session's threads waits for the kernel's next request: one at a time, as long as one
// can keep up.
//
// A thread that waits for a remote serves nobody: a substitute may take its place meanwhile, so
// that threads which wait for nothing are as many as ever.
//
// Were all to wait, the kernel would wake them in turn, each on another processor with cold caches:
// half the speed. So the thread that has answered waits again, and the others rest until requests
// queue up or a request takes long. Invariant: while a thread rests, another waits for the kernel,
// or will be found handling by the watch within kWatch.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace varve {

class FuseTurns {
 public:
  /// Returns when the calling thread is to wait for the kernel; false: there is nothing more to do.
  bool take();
  /// The calling thread has stopped waiting. `more`: further requests are there already, somebody
  /// else should take them.
  void give_back(bool more);
  /// The calling thread will wait for a remote; it does no more.
  void wait_begins();
  void wait_ends();
  /// As take(), of a thread that serves only in place of one that waits.
  bool take_place();
  /// The request that it took is served.
  void leave_place();
  /// Run by a thread of its own until stop(): calls a resting thread, or a substitute where there
  /// is none, where those that are not resting all take long.
  void watch();
  void stop();

 private:
  std::mutex mutex_;  // a leaf: guards everything
  std::condition_variable resting_changed_, watch_changed_, substitutes_changed_;
  unsigned away_ = 0;         // threads that wait for a remote
  unsigned substitutes_ = 0;  // that serve
  unsigned waiting_ = 0;
  unsigned resting_ = 0;
  uint64_t requests_ = 0;  // turns given back
  bool watch_sleeps_ = false;
  bool stopped_ = false;
};

}  // namespace varve
