// Goal: what comes in while a run of expiry is under way is whole when that run has ended, also
// where the rule does not keep it, or keeps others in its place; and what expires while a pass is
// under way is not sent again by it.

#include <gtest/gtest.h>

#include "tests/replicator/expiry_world.h"

namespace varve {
namespace {

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
