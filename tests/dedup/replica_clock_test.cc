// Goal: nobody ends a lock early by setting a clock: a replica's clock moves with time since boot,
// and over a downtime no further than somebody else confirms; it never goes back, and survives
// power cuts and nonsense in its file.

#include "dedup/replica_clock.h"

#include <gtest/gtest.h>

#include "tests/support/simulated_storage.h"
#include "tests/support/simulation.h"

namespace varve {
namespace {

constexpr Nanoseconds kOneDay = 24 * 3600 * kSecond;
constexpr Nanoseconds kFiftyYears = 50 * 365 * kOneDay;

/// A replica on a machine whose wall clock anybody may set, and what is published there.
struct ReplicaClockTest : testing::Test {
  SimulatedClock clock;
  std::string boot = "first";
  Nanoseconds booted = 0;  // by the monotonic clock
  std::vector<PublishedAt> published{{1, clock.now()}};
  std::optional<ReplicaTime> state;
  const Nanoseconds start = clock.now();

  MachineTime machine() { return {clock.now(), boot, clock.monotonic() - booted}; }
  /// A run: the clock is read, and written down.
  Nanoseconds run() {
    const Nanoseconds before = state ? state->time : INT64_MIN;
    state = advance_replica_clock(state, machine(), published);
    EXPECT_GE(state->time, before) << "it never goes back";
    return state->time;
  }
  void reboot(Nanoseconds downtime) {
    clock.advance(downtime);
    boot += "+";
    booted = clock.monotonic();
  }
  void publish() { published.push_back({published.back().sequence + 1, clock.now()}); }
};

TEST_F(ReplicaClockTest, ItMovesWithTimeSinceBoot) {
  EXPECT_EQ(run(), start);
  clock.advance(3 * kOneDay);
  EXPECT_EQ(run(), start + 3 * kOneDay);
}

TEST_F(ReplicaClockTest, JumpsOfTheWallClockMoveNothing) {
  run();
  for (const Nanoseconds jump : {kFiftyYears, -kFiftyYears}) {
    clock.set_wall(start + jump);
    const Nanoseconds before = run();
    clock.advance(kOneDay);
    EXPECT_EQ(run(), before + kOneDay);
  }
}

TEST_F(ReplicaClockTest, OverADowntimeItTakesTheLesserOfWallClockAndWhatWasPublished) {
  run();
  reboot(10 * kOneDay);
  EXPECT_EQ(run(), start) << "nobody confirms that time has passed";
  publish();
  reboot(2 * kOneDay);
  EXPECT_EQ(run(), start + 10 * kOneDay) << "so far it is confirmed";
  publish();
  clock.set_wall(start + 11 * kOneDay);
  reboot(0);
  EXPECT_EQ(run(), start + 11 * kOneDay) << "the wall clock is the lesser";
}

TEST_F(ReplicaClockTest, JumpsOverADowntimeMoveItNoFurtherThanIsConfirmed) {
  run();
  clock.advance(kOneDay);
  publish();
  clock.set_wall(start + kFiftyYears);
  reboot(kOneDay);
  EXPECT_EQ(run(), start + kOneDay);
  clock.set_wall(start - kFiftyYears);
  reboot(kOneDay);
  EXPECT_EQ(run(), start + kOneDay) << "longer perhaps, never shorter";
  clock.advance(kOneDay);
  EXPECT_EQ(run(), start + 2 * kOneDay);
}

TEST_F(ReplicaClockTest, WhatWasPublishedBeforeConfirmsNothingLater) {
  // A site whose clock stood in 2076 once has published that.
  published.push_back({2, start + kFiftyYears});
  EXPECT_EQ(run(), start);
  clock.set_wall(start + kFiftyYears);
  reboot(kOneDay);
  EXPECT_EQ(run(), start) << "it lay here already";
}

TEST_F(ReplicaClockTest, TwoMachinesInTurnCountNoTimeTwice) {
  run();
  const MachineTime other{clock.now(), "other", 100 * kOneDay};
  state = advance_replica_clock(state, other, published);
  EXPECT_EQ(state->time, start) << "what it ran before is no time that has passed since";
  state = advance_replica_clock(state, {other.wall, "other", 101 * kOneDay}, published);
  EXPECT_EQ(state->time, start + kOneDay);
}

TEST_F(ReplicaClockTest, ANewClockBeginsAtTheLesser) {
  clock.set_wall(start + kFiftyYears);
  EXPECT_EQ(run(), start);
  state.reset();
  clock.set_wall(start - kFiftyYears);
  EXPECT_EQ(run(), start - kFiftyYears);
  state.reset();
  published.clear();
  EXPECT_EQ(run(), start - kFiftyYears);
}

TEST(ReplicaClockFileTest, ItIsWrittenWholeOrNotAtAll) {
  SimulatedPower power;
  SimulatedStorage disk(&power);
  const ReplicaTime first{5, "a", 6, 7}, second{kFiftyYears, "b", 8, UINT64_MAX};
  EXPECT_FALSE(read_replica_clock(disk).value());
  ASSERT_TRUE(write_replica_clock(disk, first).ok());
  for (uint64_t cut = 0;; cut++) {
    SimulatedPower cut_power;
    const auto machine = disk.copy_of(&cut_power);
    cut_power.stop_after(cut);
    const bool done = write_replica_clock(*machine, second).ok();
    cut_power.restore();
    machine->power_cut(cut);
    const auto read = read_replica_clock(*machine).value();
    ASSERT_TRUE(read) << cut;
    EXPECT_TRUE(read->time == first.time || read->time == second.time) << cut;
    if (!done) continue;
    EXPECT_EQ(read->time, second.time);
    EXPECT_EQ(read->boot, "b");
    EXPECT_EQ(read->since_boot, 8);
    EXPECT_EQ(read->sequence, UINT64_MAX);
    break;
  }
}

TEST(ReplicaClockFileTest, NonsenseCountsAsAbsent) {
  SimulatedStorage disk;
  ASSERT_TRUE(disk.make_directories("replica").ok());
  for (const char* text :
       {"", "{}", "[]", "{\"format_version\":2,\"time\":1}", "\xff",
        R"({"format_version":1,"time":1,"since_boot":-1,"sequence":1,"boot":"x"})",
        R"({"format_version":1,"time":"1","since_boot":1,"sequence":1,"boot":"x"})"}) {
    ASSERT_TRUE(write_whole(disk, kReplicaClockPath, as_bytes(text)).ok());
    EXPECT_FALSE(read_replica_clock(disk).value()) << text;
  }
}

TEST(ReplicaClockFileTest, TheMachineSaysWhichBootItIs) {
  const MachineTime one = machine_time().value(), two = machine_time().value();
  EXPECT_EQ(one.boot, two.boot);
  EXPECT_GE(two.since_boot, one.since_boot);
}

}  // namespace
}  // namespace varve
