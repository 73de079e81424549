// A stream of bytes from whoever writes it to the thread that reads it, with a bounded amount in
// between.
//
// One reader; writers from any thread, one after the other.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include "dedup/base/bytes.h"
#include "dedup/base/result.h"

namespace varve {

class TarStream {
 public:
  explicit TarStream(size_t capacity_bytes) : capacity_(capacity_bytes) {}

  // The writer's side.
  /// Waits for room. Once the reader is done: its error; or, if it succeeded, kIo unless the bytes
  /// are the zeros that fill an archive's last record.
  Result<void> write(ByteView bytes);
  /// No more bytes come.
  void end();
  /// Waits until the reader is done, or has read all there is and wants more; whether it is done,
  /// and how.
  struct Standing {
    bool done = false;
    Result<void> outcome;
  };
  Standing wait_for_reader();
  uint64_t written() const;

  // The reader's side.
  /// The next bytes, which stay until the next call; none at the end.
  Result<ByteView> next();
  /// The reader reads no more.
  void done(Result<void> outcome);

  /// Both sides are told kInterrupted from now on.
  void abort();

 private:
  bool worth_reading() const;

  const size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable room_, more_, standing_;
  std::deque<Bytes> blocks_;  // the last one is being filled
  Bytes reading_, spare_;
  uint64_t written_ = 0;
  size_t held_ = 0;  // bytes in blocks_
  bool ended_ = false, aborted_ = false, hurried_ = false, starved_ = false;
  std::optional<Result<void>> outcome_;
};

}  // namespace varve
