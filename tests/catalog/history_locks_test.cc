// Goal: a lock holds until its date by the place's own clock, whatever becomes of the wall clock
// and however often the machine is booted; it is extended, never shortened; policies lock new
// snapshots.
#include <gmock/gmock.h>

#include "dedup/statement.h"
#include "tests/catalog/history_world.h"

namespace varve {
namespace {

constexpr Nanoseconds kDay = 86400 * kSecond;

struct HistoryLocksTest : testing::Test, HistoryWorld {
  std::string boot = "first";

  void tell_time() {
    history->tell_time_by([this] {
      return Result<MachineTime>(MachineTime{clock.now(), boot, clock.monotonic()});
    });
    history->save_time();
  }
  int64_t in_days(int days) { return history->lock_time() / kSecond + int64_t{days} * 86400; }
  Errc drop(const SnapshotInfo& snapshot) {
    const auto dropped = history->drop(snapshot.hash);
    EXPECT_FALSE(dropped.ok());
    return dropped.ok() ? Errc::kIo : dropped.error().code();
  }
};

TEST_F(HistoryLocksTest, TheWallClockEndsNoLock) {
  const SnapshotInfo one = *take("web", "one");
  tell_time();
  ASSERT_TRUE(history->lock(one.hash, in_days(10)).ok());
  clock.set_wall(clock.now() + 50 * 366 * kDay);
  EXPECT_EQ(drop(one), Errc::kPermission);
  EXPECT_TRUE(history->locked_until(one.hash));
  clock.advance(11 * kDay);
  EXPECT_FALSE(history->locked_until(one.hash));
  EXPECT_TRUE(history->drop(one.hash).ok());
}

TEST_F(HistoryLocksTest, NeitherDoesABootWithAWrongClock) {
  const SnapshotInfo one = *take("web", "one");
  tell_time();
  ASSERT_TRUE(history->lock(one.hash, in_days(10)).ok());
  clock.set_wall(clock.now() + 50 * 366 * kDay);
  ASSERT_TRUE(take("web", "two").ok());  // this site's own time counts for nothing
  boot = "second";
  reopen();
  tell_time();
  EXPECT_EQ(drop(one), Errc::kPermission);
  clock.advance(9 * kDay);
  EXPECT_EQ(drop(one), Errc::kPermission);
  clock.advance(2 * kDay);
  EXPECT_TRUE(history->drop(one.hash).ok());
}

TEST_F(HistoryLocksTest, WhatAnotherWriterPublishedSinceMovesTheClockOverADowntime) {
  const SnapshotInfo one = *take("web", "one");
  tell_time();
  const int64_t until = in_days(10);
  ASSERT_TRUE(history->lock(one.hash, until).ok());
  clock.advance(20 * kDay);
  const WriterId mine = writer;
  writer = same_bytes<WriterId>(33);
  reopen();
  ASSERT_TRUE(take("db", "elsewhere").ok());
  writer = mine;
  boot = "second";
  reopen();
  tell_time();
  EXPECT_FALSE(history->locked_until(one.hash));
}

TEST_F(HistoryLocksTest, ALockIsExtendedNeverShortened) {
  const SnapshotInfo one = *take("web", "one");
  tell_time();
  const int64_t ten = in_days(10);
  ASSERT_TRUE(history->lock(one.hash, ten).ok());
  EXPECT_EQ(history->lock(one.hash, ten - 1).error().code(), Errc::kPermission);
  EXPECT_TRUE(history->lock(one.hash, ten).ok());
  ASSERT_TRUE(history->lock(one.hash, ten + 5).ok());
  EXPECT_EQ(*history->locked_until(one.hash), ten + 5);
  const SnapshotInfo two = *take("web", "two");
  EXPECT_EQ(history->lock(two.hash, in_days(-1)).error().code(), Errc::kInvalid);
  EXPECT_EQ(history->lock(same_bytes<FileHash>(1), ten).error().code(), Errc::kNotFound);
  ASSERT_TRUE(history->publish_base().ok());
  reopen();
  tell_time();
  EXPECT_EQ(*history->locked_until(one.hash), ten + 5);
}

TEST_F(HistoryLocksTest, APolicyLocksNewSnapshots) {
  const SnapshotInfo before = *take("web", "before");
  tell_time();
  const SetId web = set_named("web");
  ASSERT_TRUE(history->publish_record({policy_statement(web, R"({"lock":"2d"})")}).ok());
  const SnapshotInfo after = *take("web", "after");
  const int64_t until = clock.now() / kSecond + 2 * 86400;
  const SnapshotInfo other = *take("db", "other");
  EXPECT_FALSE(history->locked_until(before.hash));
  EXPECT_FALSE(history->locked_until(other.hash));
  ASSERT_TRUE(history->locked_until(after.hash));
  EXPECT_EQ(*history->locked_until(after.hash), until);
  EXPECT_EQ(drop(after), Errc::kPermission);
  ASSERT_TRUE(checkpoint().ok());
  ASSERT_TRUE(history->publish_record({policy_statement(web, R"({})")}).ok());
  EXPECT_FALSE(history->locked_until(take("web", "later")->hash));
}

TEST_F(HistoryLocksTest, AClockThatIsBehindLocksForNoShorterTime) {
  tell_time();
  const SetId web = set_named("web");
  ASSERT_TRUE(history->publish_record({policy_statement(web, R"({"lock":"2d"})")}).ok());
  const int64_t now = clock.now() / kSecond;
  clock.set_wall(clock.now() - 1000 * kDay);
  EXPECT_GE(*history->locked_until(take("web", "one")->hash), now + 2 * 86400);
}

}  // namespace
}  // namespace varve
