// The kernel's requests over io_uring: a ring and a thread for each processor, which asks and is
// answered there.
//
// A program that asks and the thread that answers take turns on one processor, without waking
// another. FORGET, INTERRUPT and what the session tells the kernel still go through /dev/fuse.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "dedup/base/bytes.h"
#include "dedup/base/result.h"
#include "fs/fuse_answers.h"

namespace varve {

/// A place that requests come in, one after the other, and that takes the answer to each.
class FuseRingEntry : public FuseAnswers {
 public:
  /// The request as /dev/fuse would give it; until the answer, which is put into the same memory.
  virtual ByteView request() const = 0;
};

class FuseRings {
 public:
  /// kUnsupported and the like where there is no io_uring, or not for this process.
  static Result<std::unique_ptr<FuseRings>> open();
  ~FuseRings();
  FuseRings(const FuseRings&) = delete;
  FuseRings& operator=(const FuseRings&) = delete;

  /// As many threads have to serve.
  size_t size() const { return rings_.size(); }
  using Handle = std::function<void(FuseRingEntry&)>;
  /// Serves the requests of one processor until the connection ends or stop() is called and the
  /// thread gets a signal. `device`: of the connection, whose INIT has been answered.
  /// An error: the kernel refused the entries, and the connection is of no more use.
  Result<void> serve(size_t index, int device, const Handle& handle);
  /// Any thread.
  void stop() { stopped_ = true; }

 private:
  class Entry;
  struct Ring;
  FuseRings();
  static Result<void> set_up(Ring& ring);
  static void add_entries(FuseRings& rings, size_t possible);
  static Result<void> register_entries(Ring& ring, int device);
  void take_completions(Ring& ring, int device, const Handle& handle, bool& connected);

  std::vector<std::unique_ptr<Ring>> rings_;
  std::atomic<bool> stopped_{false};
};

}  // namespace varve
