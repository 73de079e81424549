// The same work on many things at once, where each waits most of its time.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>

#include "dedup/base/executor.h"

namespace varve {

/// Runs work(0) to work(count - 1) on the executor's threads; all are over on return. Not from a
/// task of the same executor.
inline void run_parallel(Executor& executor, size_t count,
                         const std::function<void(size_t)>& work) {
  std::mutex mutex;
  std::condition_variable over;
  size_t left = count;
  for (size_t i = 0; i < count; i++) {
    executor.run([&, i] {
      work(i);
      std::lock_guard lock(mutex);
      if (--left == 0) over.notify_all();
    });
  }
  std::unique_lock lock(mutex);
  over.wait(lock, [&] { return left == 0; });
}

}  // namespace varve
