// Goal: the small pieces do what their headers promise: hashes by published vectors, times,
// secrets, errors, metrics, threads.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "dedup/base/checksum.h"
#include "dedup/base/clock.h"
#include "dedup/base/executor.h"
#include "dedup/base/metrics.h"
#include "dedup/base/random.h"
#include "dedup/base/result.h"
#include "dedup/base/secret.h"

namespace varve {
namespace {

TEST(Sha256, PublishedVectors) {
  EXPECT_EQ(sha256({}).hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256(as_bytes("abc")).hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, PiecesAreTheWhole) {
  Bytes bytes(100000, 0x5a);
  Sha256 hash;
  for (size_t done = 0; done < bytes.size();) {
    size_t count = std::min<size_t>(bytes.size() - done, done + 1);
    hash.update(ByteView(bytes).subspan(done, count));
    done += count;
  }
  Sha256 moved = std::move(hash);
  EXPECT_EQ(moved.finish(), sha256(bytes));
}

TEST(Xxh3, SeedAndBytesCount) {
  EXPECT_EQ(xxh3({}), 0x2d06800538d394c2u);
  EXPECT_NE(xxh3(as_bytes("a")), xxh3(as_bytes("b")));
  EXPECT_NE(xxh3(as_bytes("a"), 1), xxh3(as_bytes("a"), 2));
}

TEST(Clock, NamesAreUtc) {
  EXPECT_EQ(utc_name(0), "1970-01-01T000000Z");
  EXPECT_EQ(utc_name(1'795'325'400'000'000'000), "2026-11-22T053000Z");
  EXPECT_EQ(utc_iso(1'795'325'400'999'999'999), "2026-11-22T05:30:00Z");
  EXPECT_EQ(utc_iso(-1), "1969-12-31T23:59:59Z");
}

TEST(Secret, MovesAndLeavesNothingBehind) {
  Secret secret = Secret::copy_of(as_bytes("key"));
  Secret moved = std::move(secret);
  EXPECT_EQ(as_text(moved.view()), "key");
  EXPECT_EQ(secret.size(), 0u);  // NOLINT(bugprone-use-after-move)
  moved = Secret(5);
  EXPECT_EQ(Bytes(moved.view().begin(), moved.view().end()), Bytes(5, 0));
  EXPECT_EQ(Secret(0).size(), 0u);
}

TEST(Random, GivesDifferentIds) {
  EXPECT_NE(system_random().id<PackId>(), system_random().id<PackId>());
  Bytes large((1 << 20) + 17);
  system_random().fill(large);
  EXPECT_FALSE(std::all_of(large.end() - 17, large.end(), [](uint8_t b) { return b == 0; }));
}

Result<int> double_of(Result<int> value) {
  return 2 * VARVE_TRY(std::move(value));
}

TEST(Result, TryPassesErrorsOn) {
  EXPECT_EQ(*double_of(4), 8);
  Error error = double_of(Error(Errc::kNotFound, "gone")).error();
  EXPECT_EQ(error.code(), Errc::kNotFound);
  EXPECT_EQ(std::move(error).with_context("reading x").message(), "reading x: gone");
  EXPECT_EQ(error_from_errno(ENOSPC, "writing x").code(), Errc::kNoSpace);
  EXPECT_EQ(error_from_errno(ENOSPC, "writing x").message(), "writing x: No space left on device");
}

TEST(Metrics, PrometheusText) {
  Metrics metrics;
  metrics.counter("varve_reads_total", "Reads\nanswered").add(3);
  metrics.gauge("varve_cache_bytes", "Cache").set(7);
  metrics.counter("varve_reads_total", "Reads").add();
  EXPECT_EQ(
      metrics.prometheus(),
      "# HELP varve_reads_total Reads\\nanswered\n# TYPE varve_reads_total "
      "counter\nvarve_reads_total 4\n"
      "# HELP varve_cache_bytes Cache\n# TYPE varve_cache_bytes gauge\nvarve_cache_bytes 7\n");
}

TEST(ThreadPool, RunsEverythingBeforeItGoes) {
  std::atomic<int> done{0};
  {
    auto pool = make_thread_pool("test", 3, 2);
    for (int i = 0; i < 1000; i++) pool->run([&] { done++; });
  }
  EXPECT_EQ(done, 1000);
}

TEST(ThreadPool, QueueIsBounded) {
  std::mutex mutex;
  std::condition_variable changed;
  bool go = false;
  std::atomic<int> accepted{0};
  auto pool = make_thread_pool("test", 1, 2);
  auto wait_for_go = [&] {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return go; });
  };
  auto feeder = make_thread_pool("feeder", 1, 1);
  feeder->run([&] {
    for (int i = 0; i < 10; i++) {
      pool->run(wait_for_go);
      accepted++;
    }
  });
  // One runs, two wait; the fourth can be accepted only after the gate opens, however long this
  // takes.
  while (accepted < 3) std::this_thread::yield();
  EXPECT_EQ(accepted, 3);
  {
    std::lock_guard lock(mutex);
    go = true;
  }
  changed.notify_all();
  feeder.reset();
  EXPECT_EQ(accepted, 10);
}

}  // namespace
}  // namespace varve
