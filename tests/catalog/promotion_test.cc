// Goal: a remote becomes a live store, whole, whenever the power goes meanwhile; a site that was
// succeeded so waits, and goes on with their live trees or its own, and nothing is lost.
#include "catalog/promotion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "catalog/checker.h"
#include "catalog/rejoin.h"
#include "dedup/store_files.h"
#include "dedup/writer_head.h"
#include "tests/catalog/store_world.h"
#include "tests/support/simulated_machine.h"

namespace varve {
namespace {

using testing::HasSubstr;

constexpr const char* kShown = "simulated";

/// Words for files come from StoreWorld; the store is the simulated machine's.
struct Site : StoreWorld {
  explicit Site(std::unique_ptr<SimulatedMachine> machine_in) : machine(std::move(machine_in)) {}
  ~Site() { copy.reset(); }

  std::unique_ptr<SimulatedMachine> machine;

  static WorkingCopy::Options options() {
    WorkingCopy::Options options;
    options.threads = 1;
    options.cache_bytes = 1 << 20;
    return options;
  }
  Result<void> try_to_open() {
    copy.reset();
    copy = VARVE_TRY(WorkingCopy::open(machine->world(), secret(), options(), metrics));
    return {};
  }
  void open() {
    const Result<void> opened = try_to_open();
    ASSERT_TRUE(opened.ok()) << opened.error().message();
  }
  Guard guard() {
    const auto config = read_store_config(*machine->disk).value();
    const AskPlace place = [&] { return machine->world()->place(); };
    return read_guard(*machine->disk, place, config.store_id).value().guard.value_or(Guard{});
  }
  PromotionPlace place() {
    return {*machine->disk, kShown, [this] { return machine->world()->place(); }};
  }
  Result<WriterId> promote(bool unbound = false) {
    PromotionPlace here = place();
    here.unbound = unbound;
    const PromotionPlan plan =
        VARVE_TRY(plan_promotion(here, secret(), machine->clock, machine->random));
    VARVE_TRY(begin_promotion(here, plan));
    return complete_promotion(machine->world(), secret(), options());
  }
  Result<Rejoined> come_back(bool keep_mine) {
    copy.reset();
    return rejoin([this] { return Result<std::unique_ptr<World>>(machine->world()); }, secret(),
                  keep_mine, options(), machine->clock);
  }
  /// As absorb does.
  void absorb(SimulatedMachine& from) {
    const StoreFiles files = list_store_files(*from.disk).value();
    for (const StoreFile& file : files.files) {
      const std::string path = path_of(file);
      if (machine->disk->exists(path).value()) continue;
      ASSERT_TRUE(machine->disk->make_directories(path.substr(0, path.rfind('/'))).ok());
      ASSERT_TRUE(write_whole(*machine->disk, path, *read_whole(*from.disk, path, 1 << 30)).ok());
    }
  }
  /// The whole mount's snapshots, as names.
  std::vector<SnapshotInfo> whole_snapshots() {
    std::vector<SnapshotInfo> result;
    for (const SnapshotInfo& info : copy->history().snapshots()) {
      if (info.header.snapshot_class == SnapshotClass::kMount) result.push_back(info);
    }
    return result;
  }
  Result<CheckReport> check() {
    CheckOptions how;
    how.read_data = true;
    how.threads = 1;
    return copy->check(how);
  }
};

const Bytes& first_file() {
  static const Bytes bytes = StoreWorld::content(1, 100'000);
  return bytes;
}
const Bytes& later_file() {
  static const Bytes bytes = StoreWorld::content(2, 50'000);
  return bytes;
}

/// A site whose checkpoint has both files, and whose snapshot has the first; closed.
std::unique_ptr<SimulatedMachine> site_machine() {
  auto machine = std::make_unique<SimulatedMachine>(1);
  std::vector<AccessSecret> secrets;
  secrets.push_back(StoreWorld::secret());
  const auto made = create_store(*machine->disk, ChunkerSizes::of_average(16 << 10).value(),
                                 secrets, machine->random, "2026-11-22T05:30:00Z");
  EXPECT_TRUE(made.ok());
  Site site(std::move(machine));
  site.open();
  site.file(site.set("web"), "first", first_file());
  site.commit();
  EXPECT_TRUE(site.snapshot("web", "one").ok());
  site.file(site.set("web"), "later", later_file());
  site.close();
  return std::move(site.machine);
}

void make_remote(SimulatedMachine& machine) {
  machine.lose_local();
  machine.disk->remove_all("replica");
  const auto config = read_store_config(*machine.disk).value();
  const Guard guard{machine.random.id<ReplicaId>(), {}};
  ASSERT_TRUE(write_unbound_guard(*machine.disk, config.store_id, guard).ok());
}

struct PromotionTest : testing::Test {
  std::unique_ptr<SimulatedMachine> site = site_machine();
  std::unique_ptr<SimulatedMachine> remote = site->copy(2);
  WriterId old = read_writer_head(*site->disk).value()->writer;

  PromotionTest() { make_remote(*remote); }

  /// What a promoted store has to show.
  void expect_promoted(Site& promoted) {
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
  std::unique_ptr<Site> succeeded_site() {
    Site promoted(std::move(remote));
    EXPECT_TRUE(promoted.promote().ok());
    promoted.open();
    promoted.file(promoted.set("web"), "theirs", StoreWorld::content(3, 70'000));
    EXPECT_TRUE(promoted.snapshot("web", "two").ok());
    promoted.close();
    auto back = std::make_unique<Site>(std::move(site));
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
  Site promoted(std::move(remote));
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
  Site promoted(std::move(remote));
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
      Site promoted(remote->copy(100 + effects));
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
  Site torn(remote->copy(3));
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
  Site empty(remote->copy(4));
  empty.machine->disk->remove_all("snapshots");
  EXPECT_THAT(empty.promote().error().message(), HasSubstr("no snapshot and no checkpoint"));
  Site strange(remote->copy(5));
  const AccessSecret wrong = StoreWorld::secret("another key");
  const auto plan =
      plan_promotion(strange.place(), wrong, strange.machine->clock, strange.machine->random);
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code(), Errc::kWrongPassphrase);
}

TEST_F(PromotionTest, ALiveStoreIsNotPromoted) {
  Site live(std::move(site));
  const Result<WriterId> refused = live.promote();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Errc::kBusy);
  EXPECT_EQ(live.guard().writer, old);
}

TEST_F(PromotionTest, ALostWorkingCopyOfAPromotedStoreIsFollowed) {
  Site promoted(std::move(remote));
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
  auto options = Site::options();
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
  Site promoted(std::move(remote));
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
  Site promoted(std::move(remote));
  ASSERT_TRUE(promoted.promote().ok());
  Site back(std::move(site));
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
    Site back(prepared->machine->copy(200 + effects));
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
