// Threads that do what would keep a ring's own thread from the next request. Any thread may call.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

namespace varve {

class FuseHelpers {
 public:
  /// `start`: makes a thread that calls serve() once. `limit`: work done at once, that of threads
  /// that wait for a remote not counted.
  FuseHelpers(size_t limit, std::function<void()> start)
      : limit_(limit), start_(std::move(start)) {}

  using Work = std::function<void()>;
  /// Begins when fewer than the limit are at work.
  void add(Work work);
  /// Begins at once, whatever the limit.
  void add_urgent(Work work);
  /// Does what is added until stop(), and what had been added by then.
  void serve();
  void stop();

  /// The calling thread, which does some of the work, waits for a remote; it does no more.
  void wait_begins();
  void wait_ends();

 private:
  bool may_begin() const { return !urgent_.empty() || (!work_.empty() && busy_ < limit_ + away_); }
  void call();

  const size_t limit_;
  const std::function<void()> start_;
  std::mutex mutex_;  // guards what follows; start_ is called under it
  std::condition_variable changed_;
  std::deque<Work> work_, urgent_;
  size_t idle_ = 0;  // threads that wait for work, or have been started for some
  size_t busy_ = 0;  // that do some which is not urgent
  size_t away_ = 0;  // that wait for a remote
  bool stopped_ = false;
};

}  // namespace varve
