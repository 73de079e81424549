// Goal: the number of streams finds what a line can carry, soon and for good: also where data
// leaves in blocks that arrive later, where every new stream stops the others for a while, and
// where the line changes.

#include "replicator/stream_tuner.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "dedup/base/limits.h"

namespace varve {
namespace {

constexpr Nanoseconds kTick = kSecond / 10;
constexpr double kBlock = 4.0 * kMiB;

/// A line, as the mounts show it: a block is written at once, and the next one when it has arrived.
class SimulatedLine {
 public:
  SimulatedLine(double each_in, double all_in) : each(each_in), all(all_in) {}

  /// The average number of streams in the last half of that time.
  double run(double seconds) {
    const int ticks = static_cast<int>(seconds * 10);
    double sum = 0;
    for (int i = 0; i < ticks; i++) {
      tick();
      if (i >= ticks / 2) sum += static_cast<double>(tuner_.streams());
    }
    return sum / (ticks - ticks / 2);
  }
  size_t streams() const { return tuner_.streams(); }
  uint64_t bytes() const { return progress_.bytes; }

  double each, all;      // bytes a second
  double stops_for = 0;  // seconds, for each stream that was not there before

 private:
  void tick() {
    now_ += kTick;
    if (tuner_.streams() > connected_) {
      stands_until_ = std::max(stands_until_, now_) +
                      static_cast<Nanoseconds>(stops_for * 1e9) *
                          static_cast<Nanoseconds>(tuner_.streams() - connected_);
      connected_ = tuner_.streams();
    }
    const auto running = static_cast<double>(tuner_.streams());
    if (now_ >= stands_until_) arrived_ += std::min(each * running, all) / 10;
    // What every stream has under way has left already.
    progress_.bytes = static_cast<uint64_t>((std::floor(arrived_ / kBlock) + running) * kBlock);
    left_ = std::max(left_, progress_.bytes);
    progress_.bytes = left_;
    tuner_.note(now_, progress_, true);
  }

  Nanoseconds now_ = 0, stands_until_ = 0;
  StreamTuner tuner_{32, 0};
  StreamTuner::Progress progress_;
  uint64_t left_ = 0;
  double arrived_ = 0;
  size_t connected_ = 0;
};

TEST(StreamTuner, ManySlowStreamsAreTaken) {
  SimulatedLine line(0.3e6, 12e6);
  line.run(300);
  EXPECT_GT(line.streams(), 20u);
  EXPECT_GT(line.run(2000), 20);
}

TEST(StreamTuner, OneFastStreamIsEnough) {
  EXPECT_LT(SimulatedLine(500e6, 500e6).run(600), 3);
}

TEST(StreamTuner, StaysWhereTheLineIsFull) {
  SimulatedLine line(2e6, 12e6);
  line.run(60);
  const double streams = line.run(1200);
  EXPECT_GT(streams, 5);
  EXPECT_LT(streams, 14);
  // 0.9 of the line, over all that is tried.
  const uint64_t before = line.bytes();
  line.run(1200);
  EXPECT_GT(static_cast<double>(line.bytes() - before), 0.9 * 1200 * 12e6);
}

TEST(StreamTuner, ConnectionsThatAreMadeAnewDoNotTellAgainstMore) {
  SimulatedLine line(0.8e6, 12e6);
  line.stops_for = 4;
  line.run(400);
  EXPECT_GT(line.streams(), 10u);
}

TEST(StreamTuner, FollowsALineThatChanges) {
  SimulatedLine line(12e6, 12e6);
  EXPECT_LT(line.run(600), 4);
  line.each = 0.4e6;
  EXPECT_GT(line.run(3000), 15);
  line.each = 12e6;
  EXPECT_LT(line.run(3000), 8);
}

TEST(StreamTuner, FilesCountWhereNothingIsSent) {
  StreamTuner tuner(32, 0);
  StreamTuner::Progress progress;
  double done = 0;
  for (Nanoseconds now = kTick; now < 60 * kSecond; now += kTick) {
    done += static_cast<double>(tuner.streams()) / 10;  // each stream looks at one file a second
    progress.files = static_cast<uint64_t>(done);
    tuner.note(now, progress, true);
  }
  EXPECT_GT(tuner.streams(), 20u);
}

TEST(StreamTuner, WhereFewerAreUnderWayThanMayBeNothingChanges) {
  StreamTuner tuner(32, 0);
  const size_t before = tuner.streams();
  for (int i = 1; i < 5000; i++)
    tuner.note(i * kTick, {static_cast<uint64_t>(i) << 20, static_cast<uint64_t>(i)}, i % 15 != 0);
  EXPECT_EQ(tuner.streams(), before);
}

TEST(StreamTuner, NeverLeavesItsBounds) {
  StreamTuner tuner(32, 0);
  StreamTuner::Progress progress;
  for (int i = 1; i < 100'000; i++) {
    progress.bytes += static_cast<uint64_t>((i * 7919) % 13) << 20;
    tuner.note(i * kTick, progress, true);
    ASSERT_GE(tuner.streams(), 1u);
    ASSERT_LE(tuner.streams(), 32u);
  }
}

}  // namespace
}  // namespace varve
