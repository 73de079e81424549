// Threads that run tasks, first come first served, with a bounded queue.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace varve {

class Executor {
 public:
  virtual ~Executor() = default;
  /// Runs `task` on some thread, some time. Blocks while the queue is full; never call it from a
  /// task of the same executor with a task that must run before the caller can go on.
  virtual void run(std::function<void()> task) = 0;
};

/// A pool of `threads` threads named `name` (15 characters at most). The destructor runs what is
/// queued, then joins.
std::unique_ptr<Executor> make_thread_pool(const char* name, size_t threads, size_t queue_limit);

}  // namespace varve
