// Goal: replicators and expiry, one after the other and one inside the other: what has expired is
// not sent again but where it is needed; what comes in while a run is under way is whole when that
// run has ended, also where the rule does not keep it, or keeps others in its place; and what
// expires while a pass is under way is not sent again by it.

#include <gtest/gtest.h>

#include "tests/replicator/expiry_world.h"

namespace varve {
namespace {

TEST_F(ExpiryTest, WhatHasExpiredThereDoesNotGoAgainAndTheStoreKeepsIt) {
  const auto made = snapshots(4);
  ASSERT_TRUE(pass().done.ok());
  run_twice("last 1");
  const PassResult again = pass(2);
  ASSERT_TRUE(again.done.ok());
  EXPECT_EQ(again.figures.files_sent, 0u);
  EXPECT_EQ(again.figures.files_left, 0u);
  EXPECT_FALSE(is_at_remote(made[0].file()));
  EXPECT_TRUE(store.exists(path_of(made[0].pack_file())).value());
  const PassResult relisted = pass(3, true);
  ASSERT_TRUE(relisted.done.ok());
  EXPECT_EQ(relisted.figures.files_sent, 0u) << "a ledger that looks anew has the log's word";
  store.remove_all("local/replication");
  const PassResult without_ledger = pass(4, true);
  ASSERT_TRUE(without_ledger.done.ok()) << without_ledger.done.error().message();
  EXPECT_EQ(without_ledger.figures.files_sent, 0u);
}

TEST_F(ExpiryTest, ASnapshotThatNeedsWhatWasDeletedBringsItAgain) {
  const auto made = snapshots(3);
  ASSERT_TRUE(pass().done.ok());
  run_twice("last 1");
  EXPECT_FALSE(is_at_remote(made[0].pack_file()));
  const FileHash needs_it = maker.snapshot(maker.list({made[0].list}, {maker.pack(300)}));
  const PassResult sent = pass(2);
  ASSERT_TRUE(sent.done.ok());
  EXPECT_EQ(sent.figures.files_left, 0u);
  EXPECT_TRUE(is_at_remote({FileClass::kSnapshot, needs_it}));
  EXPECT_TRUE(is_at_remote(made[0].pack_file()));
  EXPECT_FALSE(is_at_remote(made[0].file()));
  expect_good_store(remote, maker.config, "again");
}

TEST_F(ExpiryTest, ALogThatIsAnotherOneIsNotBelievedToGoOn) {
  snapshots(3);
  ASSERT_TRUE(pass().done.ok());
  run_twice("last 1");
  ASSERT_TRUE(pass(2).done.ok());
  ASSERT_TRUE(remote.unlink(kExpiryLogPath).ok());
  const PassResult after = pass(3);
  ASSERT_TRUE(after.done.ok());
  expect_good_store(remote, maker.config, "without a log");
  EXPECT_EQ(after.figures.files_left, 0u);
}

TEST_F(ExpiryTest, ARunAtEveryStepOfAPass) {
  const auto made = snapshots(4);
  ASSERT_TRUE(pass().done.ok());
  ASSERT_TRUE(run("last 1").ok());
  // They need what is condemned, or was about to be.
  maker.snapshot(maker.list({made[1].list}, {maker.pack(5000)}));
  maker.snapshot(maker.list({made[3].list}, {maker.pack(300)}), SnapshotClass::kSet, 8);
  for (uint64_t at = 0;; at++) {
    SCOPED_TRACE(testing::Message() << "expiry at effect " << at << " of the pass");
    const auto world = copy();
    uint64_t effect = 0;
    bool inside = false;
    world->remote_power.before_effects([&] {
      if (inside || effect++ != at) return;
      inside = true;
      ASSERT_TRUE(run_at(*world->remote, "last 1").ok());
      expect_good_store(*world->remote, maker.config, "after the run");
      inside = false;
    });
    const PassResult result = pass_between(*world, at);
    world->remote_power.before_effects({});
    ASSERT_TRUE(result.done.ok()) << result.done.error().message();
    EXPECT_EQ(result.figures.files_left, 0u);
    expect_good_store(*world->remote, maker.config, "after the pass");
    expect_two_more_runs_and_a_pass_agree(*world);
    if (HasFailure() || effect <= at) break;
  }
}

TEST_F(ExpiryTest, APassAtEveryStepOfARun) {
  const auto made = snapshots(4);
  ASSERT_TRUE(pass().done.ok());
  ASSERT_TRUE(run("last 2").ok());
  maker.snapshot(maker.list({made[0].list}, {maker.pack(5000)}));
  maker.snapshot(maker.list({made[2].list}, {maker.pack(300)}), SnapshotClass::kSet, 8);
  for (uint64_t at = 0;; at++) {
    SCOPED_TRACE(testing::Message() << "a pass at effect " << at << " of the run");
    const auto world = copy();
    uint64_t effect = 0;
    bool inside = false;
    world->remote_power.before_effects([&] {
      if (inside || effect++ != at) return;
      inside = true;
      ASSERT_TRUE(pass_between(*world, at).done.ok());
      inside = false;
    });
    const Result<ExpiryReport> done = run_at(*world->remote, "last 1");
    world->remote_power.before_effects({});
    ASSERT_TRUE(done.ok()) << done.error().message();
    expect_good_store(*world->remote, maker.config, "after the run");
    ASSERT_TRUE(pass_between(*world, at + 1).done.ok());
    expect_good_store(*world->remote, maker.config, "after the next pass");
    expect_two_more_runs_and_a_pass_agree(*world);
    if (HasFailure() || effect <= at) break;
  }
}

struct ExpiryArrivalsTest : ExpiryTest {
  std::vector<MadeSnapshot> made;
  FileHash overtaken, newest;

  ExpiryArrivalsTest() {
    made = snapshots(3);
    EXPECT_TRUE(pass().done.ok());
  }

  /// Two that one pass brings: the rule "last 1" keeps the second, and the first needs what a run
  /// by that rule condemns.
  void publish_two() {
    maker.time += kDay;
    overtaken = maker.snapshot(maker.list({made[0].list}, {maker.pack(300)}));
    newest = make_snapshot(maker).hash;
  }

  Result<ExpiryReport> run_with(Storage& place, const std::function<Result<void>()>& wait) {
    return expire(place, {parse_retention("last 1").value(), false, wait}, machine);
  }
};

TEST_F(ExpiryArrivalsTest, WhatTheRuleDoesNotKeepIsWholeAndGoesByTheNextRun) {
  const Result<ExpiryReport> done = run_with(remote, [&]() -> Result<void> {
    publish_two();
    return pass(2).done;
  });
  ASSERT_TRUE(done.ok()) << done.error().message();
  EXPECT_TRUE(is_at_remote({FileClass::kSnapshot, overtaken}));
  EXPECT_TRUE(is_at_remote({FileClass::kSnapshot, newest}));
  EXPECT_TRUE(is_at_remote(made[2].file())) << "it was not logged";
  EXPECT_TRUE(is_at_remote(made[0].pack_file())) << "what came in needs it";
  EXPECT_FALSE(is_at_remote(made[1].pack_file()));
  expect_good_store(remote, maker.config, "the run");
  run_twice("last 1");
  EXPECT_FALSE(is_at_remote({FileClass::kSnapshot, overtaken}));
  EXPECT_FALSE(is_at_remote(made[0].pack_file()));
  EXPECT_TRUE(is_at_remote({FileClass::kSnapshot, newest}));
  expect_good_store(remote, maker.config, "the runs after it");
}

TEST_F(ExpiryArrivalsTest, WhatTheRuleDoesNotKeepIsWholeWhereverInTheRunItCame) {
  publish_two();
  for (uint64_t at = 0;; at++) {
    SCOPED_TRACE(testing::Message() << "a pass at effect " << at << " of the run");
    const auto world = copy();
    uint64_t effect = 0;
    bool inside = false;
    world->remote_power.before_effects([&] {
      if (inside || effect++ != at) return;
      inside = true;
      ASSERT_TRUE(pass_between(*world, at).done.ok());
      inside = false;
    });
    const Result<ExpiryReport> done = run_with(*world->remote, {});
    world->remote_power.before_effects({});
    ASSERT_TRUE(done.ok()) << done.error().message();
    expect_good_store(*world->remote, maker.config, "after the run");
    ASSERT_TRUE(pass_between(*world, at + 1).done.ok());
    expect_good_store(*world->remote, maker.config, "after the next pass");
    expect_two_more_runs_and_a_pass_agree(*world);
    if (HasFailure() || effect <= at) break;
  }
}

/// What expires while a pass is at work that does not know what is there: it is not sent again
/// alone, without the list and the packs that went with it.
TEST_F(ExpiryArrivalsTest, WhatExpiresUnderAPassThatLooksAnewDoesNotComeBack) {
  for (uint64_t at = 0;; at++) {
    SCOPED_TRACE(testing::Message() << "expiry at effect " << at << " of the pass");
    const auto world = copy();
    uint64_t effect = 0;
    bool inside = false;
    world->remote_power.before_effects([&] {
      if (inside || effect++ != at) return;
      inside = true;
      ASSERT_TRUE(run_at(*world->remote, "last 1").ok());
      inside = false;
    });
    const PassResult result =
        run_pass(*world->store, *world->remote, maker.config, config, at, 3, true);
    world->remote_power.before_effects({});
    ASSERT_TRUE(result.done.ok()) << result.done.error().message();
    EXPECT_EQ(result.figures.files_left, 0u);
    EXPECT_TRUE(result.problems.empty());
    expect_good_store(*world->remote, maker.config, "after the pass");
    expect_two_more_runs_and_a_pass_agree(*world);
    if (HasFailure() || effect <= at) break;
  }
}

}  // namespace
}  // namespace varve
