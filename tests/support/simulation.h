// The small pieces of a simulated world: a clock that is set, random bytes that replay, an executor
// without threads.
#pragma once

#include <algorithm>
#include <cstring>
#include <mutex>
#include <random>

#include "dedup/base/clock.h"
#include "dedup/base/executor.h"
#include "dedup/base/random.h"

namespace varve {

/// Stands still until it is moved. Any thread.
class SimulatedClock final : public Clock {
 public:
  explicit SimulatedClock(Nanoseconds start = 1'800'000'000'000'000'000) : now_(start) {}
  Nanoseconds now() override {
    std::lock_guard lock(mutex_);
    return now_;
  }
  Nanoseconds monotonic() override {
    std::lock_guard lock(mutex_);
    return monotonic_;
  }
  void advance(Nanoseconds by) {
    std::lock_guard lock(mutex_);
    now_ += by;
    monotonic_ += by;
  }
  /// Wall time alone, as an administrator or NTP does.
  void set_wall(Nanoseconds now) {
    std::lock_guard lock(mutex_);
    now_ = now;
  }

 private:
  std::mutex mutex_;
  Nanoseconds now_;
  Nanoseconds monotonic_ = 0;
};

/// The same bytes for the same seed. Any thread.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : engine_(seed) {}
  void fill(ByteSpan out) override {
    std::lock_guard lock(mutex_);
    for (uint8_t& byte : out) byte = static_cast<uint8_t>(engine_());
  }

 private:
  std::mutex mutex_;
  std::mt19937_64 engine_;
};

/// Bytes that do not compress, the same for the same seed.
inline Bytes random_bytes(uint64_t seed, size_t size) {
  std::mt19937_64 engine(seed);
  Bytes bytes(size);
  for (size_t at = 0; at < size; at += 8) {
    const uint64_t eight = engine();
    std::memcpy(bytes.data() + at, &eight, std::min<size_t>(8, size - at));
  }
  return bytes;
}

/// Runs every task at once, in the caller's thread.
class InlineExecutor final : public Executor {
 public:
  void run(std::function<void()> task) override { task(); }
};

}  // namespace varve
