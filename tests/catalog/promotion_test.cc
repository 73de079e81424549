// Goal: a remote becomes a live store, whole, whenever the power goes meanwhile; a site that was
// succeeded so waits, and goes on with their live trees or its own, and nothing is lost.
#include "catalog/promotion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/catalog/promotion_world.h"

namespace varve {
namespace {

using testing::HasSubstr;

struct PromotionTest : testing::Test {
  std::unique_ptr<SimulatedMachine> site = site_machine();
  std::unique_ptr<SimulatedMachine> remote = site->copy(2);
  WriterId old = read_writer_head(*site->disk).value()->writer;

  PromotionTest() { make_remote(*remote); }

  /// What a promoted store has to show.
  void expect_promoted(SimulatedSite& promoted) {
    promoted.open();
    EXPECT_EQ(promoted.read("web/first"), first_file());
    EXPECT_EQ(promoted.read("web/later"), later_file());
    EXPECT_EQ(promoted.names("web"), std::vector<std::string>{"one"});
    const WriterId writer = promoted.copy->history().writer();
    EXPECT_NE(writer, old);
    const Guard guard = promoted.guard();
    EXPECT_EQ(guard.writer, writer);
    EXPECT_FALSE(guard.promoting);
    const auto promotions = promoted.copy->history().promotions();
    const auto is_ours = [&](const Promotion& one) {
      return one.from == old && one.to == writer && one.replica == guard.replica;
    };
    EXPECT_TRUE(std::any_of(promotions.begin(), promotions.end(), is_ours));
    const auto report = promoted.check();
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(report->damages, 0u);
  }

  /// The remote promoted, with a new file, closed; the site has its files.
  std::unique_ptr<SimulatedSite> succeeded_site() {
    SimulatedSite promoted(std::move(remote));
    EXPECT_TRUE(promoted.promote().ok());
    promoted.open();
    promoted.file(promoted.set("web"), "theirs", StoreWorld::content(3, 70'000));
    EXPECT_TRUE(promoted.snapshot("web", "two").ok());
    promoted.close();
    auto back = std::make_unique<SimulatedSite>(std::move(site));
    back->open();
    back->file(back->set("web"), "mine", StoreWorld::content(4, 60'000));
    back->commit();
    back->crash();
    back->absorb(*promoted.machine);
    remote = std::move(promoted.machine);
    return back;
  }
};

TEST_F(PromotionTest, ARemoteBecomesALiveStore) {
  SimulatedSite promoted(std::move(remote));
  const ReplicaId replica = promoted.guard().replica;
  EXPECT_THAT(promoted.try_to_open().error().message(), HasSubstr("is a remote"));
  const Result<WriterId> writer = promoted.promote();
  ASSERT_TRUE(writer.ok()) << writer.error().message();
  expect_promoted(promoted);
  EXPECT_EQ(promoted.guard().replica, replica);
  EXPECT_FALSE(promoted.guard().anywhere) << "it lies on a disk of its own";
  EXPECT_EQ(promoted.copy->history().writer(), *writer);
  promoted.close();
  const Result<WriterId> again = promoted.promote();
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code(), Errc::kBusy);
  EXPECT_THAT(again.error().message(), HasSubstr("is a live store already"));
}

TEST_F(PromotionTest, OneThatLooksDifferentEachTimeStaysUnbound) {
  SimulatedSite promoted(std::move(remote));
  ASSERT_TRUE(promoted.promote(true).ok());
  expect_promoted(promoted);
  EXPECT_TRUE(promoted.guard().anywhere);
}

TEST_F(PromotionTest, AfterThePowerWentItIsARemoteOrALiveStoreAndTheNextRunCompletesIt) {
  size_t remotes = 0, live = 0;
  bool done = false;
  for (uint64_t effects = 0; !done; effects++) {
    for (uint64_t seed = 0; seed < 3; seed++) {
      SCOPED_TRACE("effect " + std::to_string(effects) + ", seed " + std::to_string(seed));
      SimulatedSite promoted(remote->copy(100 + effects));
      promoted.machine->power.stop_after(effects);
      done = promoted.promote().ok();
      promoted.machine->cut_power(seed);
      const bool mounts_first = seed == 2;
      const Guard guard = promoted.guard();
      (guard.writer.is_zero() ? remotes : live)++;
      if (guard.writer.is_zero()) {
        EXPECT_THAT(promoted.try_to_open().error().message(), HasSubstr("is a remote"));
      } else if (mounts_first) {
        promoted.open();
        promoted.crash();
      }
      const Result<WriterId> again = promoted.promote();
      EXPECT_TRUE(again.ok() || again.error().code() == Errc::kBusy) << again.error().message();
      expect_promoted(promoted);
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(remotes, 0u);
  EXPECT_GT(live, 20u);
}

TEST_F(PromotionTest, WhatIsNotWholeIsRefusedAndStaysARemote) {
  SimulatedSite torn(remote->copy(3));
  for (const std::string& path : torn.machine->disk->files()) {
    if (!path.starts_with("packs/")) continue;
    ASSERT_TRUE(torn.machine->disk->unlink(path).ok());
    const Result<WriterId> refused = torn.promote();
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code(), Errc::kNotFound);
    EXPECT_THAT(refused.error().message(), HasSubstr(path));
    break;
  }
  EXPECT_TRUE(torn.guard().writer.is_zero());
  EXPECT_TRUE(torn.guard().anywhere);
  SimulatedSite empty(remote->copy(4));
  empty.machine->disk->remove_all("snapshots");
  EXPECT_THAT(empty.promote().error().message(), HasSubstr("no snapshot and no checkpoint"));
  SimulatedSite strange(remote->copy(5));
  const AccessSecret wrong = StoreWorld::secret("another key");
  const auto plan =
      plan_promotion(strange.place(), wrong, "", strange.machine->clock, strange.machine->random);
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code(), Errc::kWrongPassphrase);
}

TEST_F(PromotionTest, ALiveStoreIsNotPromoted) {
  SimulatedSite live(std::move(site));
  const Result<WriterId> refused = live.promote();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Errc::kBusy);
  EXPECT_EQ(live.guard().writer, old);
}

TEST_F(PromotionTest, ALostWorkingCopyOfAPromotedStoreIsFollowed) {
  SimulatedSite promoted(std::move(remote));
  ASSERT_TRUE(promoted.promote().ok());
  promoted.machine->lose_local();
  promoted.open();
  const auto promotions = promoted.copy->history().promotions();
  const auto first = std::find_if(promotions.begin(), promotions.end(),
                                  [&](const Promotion& one) { return one.from == old; });
  ASSERT_NE(first, promotions.end());
  EXPECT_NE(first->to, promoted.copy->history().writer());
  EXPECT_EQ(present_writer_after(*first, promotions), promoted.copy->history().writer());
  EXPECT_FALSE(promoted.copy->succeeded_by());
}

TEST_F(PromotionTest, ASiteThatWasSucceededWaits) {
  const auto back = succeeded_site();
  const Result<void> opened = back->try_to_open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), Errc::kBusy);
  EXPECT_THAT(opened.error().message(), HasSubstr("varve rejoin"));
  const auto config = read_store_config(*back->machine->disk).value();
  const auto promotions = read_promotions(*back->machine->disk, config);
  ASSERT_TRUE(promotions.ok());
  EXPECT_TRUE(unsettled_promotion(*promotions, {old}, back->guard().replica)) << "without a key";
  auto options = SimulatedSite::options();
  options.read_only = true;
  back->copy =
      WorkingCopy::open(back->machine->world(), StoreWorld::secret(), options, back->metrics)
          .value();
  EXPECT_EQ(back->read("web/mine"), StoreWorld::content(4, 60'000)) << "it can be looked at";
}

TEST_F(PromotionTest, ItTakesTheirLiveTreesAndKeepsItsOwnAsASnapshot) {
  const auto back = succeeded_site();
  const Result<Rejoined> done = back->come_back(false);
  ASSERT_TRUE(done.ok()) << done.error().message();
  back->open();
  EXPECT_EQ(back->read("web/theirs"), StoreWorld::content(3, 70'000));
  EXPECT_FALSE(back->read("web/mine"));
  EXPECT_EQ(back->names("web"), (std::vector<std::string>{"one", "two"}));
  ASSERT_EQ(back->whole_snapshots().size(), 1u);
  EXPECT_EQ(back->whole_snapshots()[0].name, done->saved);
  EXPECT_NE(done->mine, old);
  EXPECT_NE(done->mine, done->theirs);
  EXPECT_EQ(back->guard().writer, done->mine);
  EXPECT_EQ(back->check()->damages, 0u);
  back->file(back->set("web"), "after", first_file());
  back->close();
  back->open();
  EXPECT_EQ(back->read("web/after"), first_file());
  EXPECT_EQ(back->come_back(false).error().code(), Errc::kInvalid) << "that is settled";
  // And what the site has published tells the promoted store nothing about itself.
  SimulatedSite promoted(std::move(remote));
  promoted.absorb(*back->machine);
  promoted.open();
  EXPECT_EQ(promoted.read("web/theirs"), StoreWorld::content(3, 70'000));
}

TEST_F(PromotionTest, OrGoesOnWithItsOwn) {
  const auto back = succeeded_site();
  const Result<Rejoined> done = back->come_back(true);
  ASSERT_TRUE(done.ok()) << done.error().message();
  back->open();
  EXPECT_EQ(back->read("web/mine"), StoreWorld::content(4, 60'000));
  EXPECT_FALSE(back->read("web/theirs"));
  EXPECT_EQ(back->names("web"), (std::vector<std::string>{"one", "two"}));
  EXPECT_NE(back->copy->history().writer(), old);
  EXPECT_EQ(back->guard().writer, done->mine);
  back->machine->lose_local();
  back->open();
  EXPECT_EQ(back->read("web/mine"), StoreWorld::content(4, 60'000));
}

TEST_F(PromotionTest, WithoutTheirFilesNothingChanges) {
  SimulatedSite promoted(std::move(remote));
  ASSERT_TRUE(promoted.promote().ok());
  SimulatedSite back(std::move(site));
  const StoreFiles files = list_store_files(*promoted.machine->disk).value();
  for (const StoreFile& file : files.files) {
    if (file.file_class != FileClass::kRecord) continue;
    const std::string path = path_of(file);
    ASSERT_TRUE(back.machine->disk->make_directories("records").ok());
    const Bytes bytes = *read_whole(*promoted.machine->disk, path, 1 << 30);
    ASSERT_TRUE(write_whole(*back.machine->disk, path, bytes).ok());
  }
  const Result<Rejoined> refused = back.come_back(false);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Errc::kNotFound);
  EXPECT_THAT(back.try_to_open().error().message(), HasSubstr("varve rejoin"));
  EXPECT_TRUE(back.come_back(true).ok());
}

TEST_F(PromotionTest, ARejoinThatIsInterruptedLosesNothing) {
  const auto prepared = succeeded_site();
  bool done = false;
  for (uint64_t effects = 0; !done; effects += 3) {
    SCOPED_TRACE("effect " + std::to_string(effects));
    SimulatedSite back(prepared->machine->copy(200 + effects));
    back.machine->power.stop_after(effects);
    done = back.come_back(false).ok();
    back.machine->cut_power(effects);
    const Result<Rejoined> again = back.come_back(false);
    EXPECT_TRUE(again.ok() || again.error().code() == Errc::kInvalid) << again.error().message();
    back.open();
    EXPECT_EQ(back.read("web/theirs"), StoreWorld::content(3, 70'000));
    bool kept = false;
    for (const SnapshotInfo& info : back.whole_snapshots()) {
      const auto body = back.copy->look_into(info);
      ASSERT_TRUE(body.ok());
      for (const SnapshotTree& tree : body->trees) {
        if (tree.set_name != "web" || !tree.top.below) continue;
        ASSERT_TRUE(back.copy->revert(back.copy->tree().set_named("web")->number, info).ok());
        kept = kept || back.read("web/mine") == StoreWorld::content(4, 60'000);
      }
    }
    EXPECT_TRUE(kept) << "what the site had is gone";
    EXPECT_EQ(back.check()->damages, 0u);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace varve
