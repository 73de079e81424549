// Brings dirty data into chunks and the tree: when a stream has enough of it, at close, fsync, by
// age, under pressure.
//
// flush() works in the caller's thread, request() in one of a few threads of this object's own (in
// the caller's, where it has none); one file is worked on by one thread at a time (its
// content_mutex). What cannot be flushed stays dirty and readable; the error is latched in the
// file's state and logged.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "catalog/live_tree.h"
#include "dedup/base/metrics.h"
#include "dedup/chunker.h"
#include "dedup/fetch.h"
#include "fs/dirty_budget.h"
#include "fs/open_files.h"

namespace varve {

class Flusher {
 public:
  struct Parts {
    LiveTree& tree;
    Ingest& ingest;
    Fetch& fetch;
    const Chunker& chunker;
    DirtyBudget& budget;
    OpenFiles& files;
    Clock& clock;
    Metrics& metrics;
  };
  Flusher(Parts parts, size_t threads);
  /// Ends after the jobs that run; what is queued stays dirty.
  ~Flusher();

  enum class Depth {
    kStream,  // the end of a file that is still being appended to may stay dirty, less than a chunk
              // of it
    kAll,
  };
  Result<void> flush(FileState& file, Depth depth);
  void request(FileRef file, Depth depth);
  /// Everything that was written before the call; waits. The first error.
  Result<void> flush_all(Depth depth = Depth::kAll);
  /// The last failure, as long as nothing was stored since: whoever waits for room waits in vain.
  std::optional<Error> failing() const;
  /// Queues files that are dirty and not just being written: memory is short. Cheap to call often.
  void request_pressure();
  /// Queues what is dirty for longer than that; 0: everything.
  void request_older_than(Nanoseconds age);

 private:
  class Source;
  struct Job {
    FileRef file;
    Depth depth = Depth::kAll;
    std::function<void(Result<void>)> done;
  };

  Result<void> flush_locked(FileState& file, Depth depth);
  Result<void> cut(FileState& file, Depth depth, const std::vector<FileRange>& runs,
                   uint64_t version);
  Result<void> settle(FileState& file, uint64_t size, uint64_t version);
  void choose_stream(FileState& file, const std::vector<FileRange>& runs);
  bool gone(FileState& file);
  void latch(FileState& file, const Error& error);
  void push(Job job);
  void work();
  void run(Job job);

  Parts parts_;
  Metric& failures_;
  Metric& flushes_;
  mutable std::mutex mutex_;
  std::condition_variable more_;
  std::deque<Job> queue_;
  bool stopping_ = false;
  std::optional<Error> failing_;
  std::atomic<Nanoseconds> pressed_at_{0};
  std::vector<std::thread> threads_;
};

/// Tells the budget what the file costs now. The file's mutex is held.
void account(FileState& file, DirtyBudget& budget);

}  // namespace varve
