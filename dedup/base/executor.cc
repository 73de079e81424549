#include "dedup/base/executor.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace varve {
namespace {

class ThreadPool final : public Executor {
 public:
  ThreadPool(const char* name, size_t threads, size_t queue_limit)
      : queue_limit_(queue_limit == 0 ? 1 : queue_limit) {
    for (size_t i = 0; i < (threads == 0 ? 1 : threads); i++) {
      threads_.emplace_back([this] { work(); });
      pthread_setname_np(threads_.back().native_handle(), name);
    }
  }

  ~ThreadPool() override {
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
    }
    filled_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void run(std::function<void()> task) override {
    {
      std::unique_lock lock(mutex_);
      drained_.wait(lock, [this] { return queue_.size() < queue_limit_; });
      queue_.push_back(std::move(task));
    }
    filled_.notify_one();
  }

 private:
  void work() {
    for (;;) {
      std::function<void()> task;
      {
        std::unique_lock lock(mutex_);
        filled_.wait(lock, [this] { return closing_ || !queue_.empty(); });
        if (queue_.empty()) return;
        task = std::move(queue_.front());
        queue_.pop_front();
      }
      drained_.notify_one();
      task();
    }
  }

  const size_t queue_limit_;
  std::mutex mutex_;
  std::condition_variable filled_, drained_;
  std::deque<std::function<void()>> queue_;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<Executor> make_thread_pool(const char* name, size_t threads, size_t queue_limit) {
  return std::make_unique<ThreadPool>(name, threads, queue_limit);
}

}  // namespace varve
