// What a mounted store does by itself: bounds the age of what is not durable, takes checkpoints,
// notices files that came or went, erases garbage, settles the index. Two threads, so that a long
// checkpoint delays no commit.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "catalog/working_copy.h"
#include "dedup/base/metrics.h"
#include "fs/status.h"
#include "fs/volume.h"

namespace varve {

class Upkeep {
 public:
  struct Parts {
    WorkingCopy& working_copy;
    Volume& volume;
    Status& status;
    KernelCache& kernel;
    Clock& clock;
    Metrics& metrics;
  };
  /// `checkpoint_seconds` 0: none.
  /// A commit is due, at whatever age, when `staged_bytes` of rows wait for it.
  Upkeep(Parts parts, int64_t checkpoint_seconds, size_t staged_bytes);
  /// Waits for what runs.
  ~Upkeep();

 private:
  bool wait(int milliseconds);
  void commit_loop();
  void slow_loop();
  void commit_if_due();
  void checkpoint_if_due();
  void refresh_history();
  void meet_successor();
  void tidy();

  Parts parts_;
  const Nanoseconds checkpoint_interval_;
  const size_t staged_bytes_max_;
  Metric& commit_failures_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  bool commit_failed_ = false;       // of the commit thread
  Nanoseconds committed_at_ = 0;     // of the commit thread
  Nanoseconds checkpointed_at_ = 0;  // of the slow thread
  uint64_t history_version_ = 0;     // of the slow thread
  bool refresh_failed_ = false;      // of the slow thread
  bool succeeded_ = false;           // of the slow thread
  std::thread commits_, slow_;
};

}  // namespace varve
