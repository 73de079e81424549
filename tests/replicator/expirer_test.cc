// Goal: whatever stops an expiry, wherever, and whatever arrives meanwhile, every snapshot that
// stays is whole, what is locked or held is there, nothing is deleted in the run that condemned it,
// and the next run and the next pass complete what was begun.

#include "replicator/expirer.h"

#include <gmock/gmock.h>

#include "tests/replicator/expiry_world.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

using testing::HasSubstr;

TEST_F(ExpiryTest, TwoRunsExpireWhatTheRuleDoesNotKeep) {
  const auto made = snapshots(5);
  ASSERT_TRUE(pass().done.ok());
  const ExpiryReport first = run("last 2").value();
  EXPECT_EQ(first.snapshots_kept, 2u);
  EXPECT_EQ(first.snapshots_expired, 3u);
  EXPECT_EQ(first.files_condemned, 9u);  // snapshot, list and pack of each
  EXPECT_EQ(first.bytes_condemned, 3u * kTestPackBytes);
  EXPECT_EQ(first.files_deleted, 0u);
  for (size_t i = 0; i < made.size(); i++) {
    EXPECT_EQ(is_at_remote(made[i].file()), i >= 3);
    EXPECT_EQ(is_at_remote(made[i].pack_file()), i >= 3);
    EXPECT_EQ(is_condemned(made[i].pack_file()), i < 3);
  }
  expect_good_store(remote, maker.config, "first");
  const ExpiryReport second = run("last 2").value();
  EXPECT_EQ(second.files_condemned, 0u);
  EXPECT_EQ(second.bytes_deleted, 3u * kTestPackBytes);
  EXPECT_TRUE(list_store_files(condemned).value().files.empty());
  expect_good_store(remote, maker.config, "second");
  EXPECT_FALSE(remote.exists(".tmp").value());
}

TEST_F(ExpiryTest, WhatIsStillNamedOrSharedStays) {
  const PackInfo shared = maker.pack(700), own = maker.pack(800), late = maker.pack(900);
  const FileHash base = maker.list({}, {shared, own});
  const FileHash old_one = maker.snapshot(base), newer = maker.snapshot(maker.list({base}, {late}));
  const FileHash other_set = maker.snapshot(maker.list({}, {shared}), SnapshotClass::kSet, 8);
  ASSERT_TRUE(pass().done.ok());
  run_twice("last 1");
  EXPECT_FALSE(is_at_remote({FileClass::kSnapshot, old_one}));
  EXPECT_TRUE(is_at_remote({FileClass::kSnapshot, newer}));
  EXPECT_TRUE(is_at_remote({FileClass::kSnapshot, other_set}));
  EXPECT_TRUE(is_at_remote({FileClass::kList, base})) << "another list names it";
  EXPECT_TRUE(is_at_remote(file_of_pack(own))) << "the newer list is a superset";
  expect_good_store(remote, maker.config, "shared");
}

TEST_F(ExpiryTest, AfterCollectionWhatOnlyOlderListsNameGoes) {
  const PackInfo sparse = maker.pack(2000), merged = maker.pack(900);
  const FileHash snapshot = maker.snapshot(maker.list({}, {sparse}));
  ASSERT_TRUE(pass().done.ok());
  maker.exact_list({snapshot}, {merged});
  ASSERT_TRUE(pass(2).done.ok());
  run_twice("last 1");
  EXPECT_FALSE(is_at_remote(file_of_pack(sparse)));
  EXPECT_TRUE(is_at_remote(file_of_pack(merged)));
  expect_good_store(remote, maker.config, "collected");
  // The store has it still, and nobody needs it there.
  const PassResult again = pass(3);
  ASSERT_TRUE(again.done.ok());
  EXPECT_EQ(again.figures.files_left, 0u);
  EXPECT_FALSE(is_at_remote(file_of_pack(sparse)));
}

TEST_F(ExpiryTest, LocksWinUntilTheirDateOnTheReplicasClock) {
  const auto made = snapshots(3);
  const int64_t until = maker.time / kSecond + 1000;
  maker.record({lock_statement(made[0].hash, until)});
  maker.record({lock_statement(made[0].hash, until - 900)});  // nobody shortens a lock
  ASSERT_TRUE(pass().done.ok());
  const ExpiryReport first = run("last 1").value();
  EXPECT_THAT(first.snapshots[0].why, HasSubstr("locked until"));
  run_twice("last 1");
  EXPECT_TRUE(is_at_remote(made[0].file()));
  EXPECT_TRUE(is_at_remote(made[0].pack_file()));
  EXPECT_FALSE(is_at_remote(made[1].file()));
  machine.wall += 100 * 365 * kDay;  // the wall clock alone moves nothing
  run_twice("last 1");
  EXPECT_TRUE(is_at_remote(made[0].file()));
  machine.since_boot += 1001 * kSecond;
  run_twice("last 1");
  EXPECT_FALSE(is_at_remote(made[0].file()));
  EXPECT_FALSE(is_at_remote(made[0].pack_file()));
}

TEST_F(ExpiryTest, ALockThatComesBetweenTheRunsBringsItsSnapshotBack) {
  const auto made = snapshots(3);
  ASSERT_TRUE(pass().done.ok());
  ASSERT_TRUE(run("last 1").ok());
  EXPECT_FALSE(is_at_remote(made[0].file()));
  maker.record({lock_statement(made[0].hash, maker.time / kSecond + 1000)});
  ASSERT_TRUE(pass(2).done.ok());
  const ExpiryReport second = run("last 1").value();
  EXPECT_EQ(second.files_returned, 3u);
  EXPECT_TRUE(is_at_remote(made[0].file()));
  EXPECT_TRUE(is_at_remote(made[0].pack_file()));
  EXPECT_FALSE(is_condemned(made[1].pack_file()));
  expect_good_store(remote, maker.config, "locked");
}

TEST_F(ExpiryTest, HeldListsStayWithTheirPacksUntilTheyAreReleased) {
  const auto made = snapshots(3);
  maker.record({hold(5, true, {made[0].list})});
  ASSERT_TRUE(pass().done.ok());
  run_twice("last 1");
  EXPECT_FALSE(is_at_remote(made[0].file()));
  EXPECT_TRUE(is_at_remote({FileClass::kList, made[0].list}));
  EXPECT_TRUE(is_at_remote(made[0].pack_file()));
  EXPECT_FALSE(is_at_remote(made[1].pack_file()));
  maker.record({hold(5, false, {made[0].list})});
  ASSERT_TRUE(pass(2).done.ok());
  machine.since_boot += kUnclaimedListGrace + kDay;
  run_twice("last 1");
  machine.since_boot += kUnclaimedListGrace + kDay;
  run_twice("last 1");
  EXPECT_FALSE(is_at_remote(made[0].pack_file()));
}

TEST_F(ExpiryTest, AHoldOnAListThatIsNotThereStopsEverythingButReturning) {
  const auto made = snapshots(3);
  ASSERT_TRUE(pass().done.ok());
  ASSERT_TRUE(run("last 1").ok());
  maker.record({hold(5, true, {filled_id<FileHash>(99)})});
  maker.record({lock_statement(made[1].hash, maker.time / kSecond + 1000)});
  ASSERT_TRUE(pass(2).done.ok());
  const ExpiryReport second = run("last 1").value();
  ASSERT_EQ(second.unknown.size(), 1u);
  EXPECT_THAT(second.unknown[0], HasSubstr("a hold names lists/"));
  EXPECT_EQ(second.files_deleted, 0u);
  EXPECT_TRUE(is_condemned(made[0].pack_file()));
  EXPECT_TRUE(is_at_remote(made[1].pack_file()));
}

TEST_F(ExpiryTest, DropsBindTheReplicaThatTheyName) {
  const auto made = snapshots(4);
  maker.record({drop_statement(made[0].hash, config.replica),
                drop_statement(made[1].hash, filled_id<ReplicaId>(77))});
  ASSERT_TRUE(pass().done.ok());
  run_twice("last 9");
  EXPECT_FALSE(is_at_remote(made[0].file()));
  EXPECT_TRUE(is_at_remote(made[1].file()));
}

TEST_F(ExpiryTest, ForgottenEverywhereGoesAfterItsGraceAndNeverAgainstALock) {
  const auto made = snapshots(3);
  maker.record(
      {forget(made[0].hash), forget(made[1].hash), lock_statement(made[1].hash, INT64_MAX / 2)});
  ASSERT_TRUE(pass().done.ok());
  run_twice("last 9");
  EXPECT_TRUE(is_at_remote(made[0].file()));
  machine.since_boot += kForgetGrace;
  run_twice("last 9");
  EXPECT_FALSE(is_at_remote(made[0].file()));
  EXPECT_TRUE(is_at_remote(made[1].file()));
}

TEST_F(ExpiryTest, TheNewestCheckpointThatIsWholeStays) {
  const FileHash older =
      maker.snapshot(maker.list({}, {maker.pack(500)}), SnapshotClass::kCheckpoint);
  ASSERT_TRUE(pass().done.ok());
  const PackInfo lost = maker.pack(600);
  const FileHash list = maker.list({}, {lost});
  const FileHash newer = maker.snapshot(list, SnapshotClass::kCheckpoint);
  // By hand, and not all of it.
  for (const StoreFile& file :
       {StoreFile{FileClass::kList, list}, StoreFile{FileClass::kSnapshot, newer}})
    ASSERT_TRUE(
        write_whole(remote, path_of(file), read_whole(store, path_of(file), 1 << 20).value()).ok());
  run_twice("last 1");
  EXPECT_TRUE(is_at_remote({FileClass::kSnapshot, older}));
  ASSERT_TRUE(remote.make_directories(folder_of(file_of_pack(lost))).ok());
  ASSERT_TRUE(write_whole(remote, path_of(file_of_pack(lost)),
                          read_whole(store, path_of(file_of_pack(lost)), 1 << 20).value())
                  .ok());
  run_twice("last 1");
  EXPECT_FALSE(is_at_remote({FileClass::kSnapshot, older}));
  EXPECT_TRUE(is_at_remote({FileClass::kSnapshot, newer}));
}

TEST_F(ExpiryTest, StrangersAndWhatIsOnItsWayInStay) {
  snapshots(3);
  const PackInfo stranger = maker.pack(400), carried = maker.pack(500);
  const FileHash list = maker.list({}, {carried});
  ASSERT_TRUE(pass().done.ok());
  put_at_remote({FileClass::kList, list});  // its snapshot will come by another drive
  run_twice("last 1");
  EXPECT_TRUE(is_at_remote(file_of_pack(stranger)));
  EXPECT_TRUE(is_at_remote(file_of_pack(carried)));
  EXPECT_EQ(run("last 1").value().strangers, 1u);
  machine.since_boot += kUnclaimedListGrace;
  run_twice("last 1");
  EXPECT_FALSE(is_at_remote(file_of_pack(carried))) << "nothing came for thirty days";
  EXPECT_TRUE(is_at_remote(file_of_pack(stranger)));
}

TEST_F(ExpiryTest, WhatASnapshotThatIsNotWholeNeedsStays) {
  const auto made = snapshots(3);
  ASSERT_TRUE(pass().done.ok());
  const PackInfo first = maker.pack(400), second = maker.pack(500);
  const FileHash list = maker.list({}, {first, second});
  const FileHash partial = maker.snapshot(list);
  for (const StoreFile& file : {file_of_pack(first), StoreFile{FileClass::kList, list},
                                StoreFile{FileClass::kSnapshot, partial}})
    put_at_remote(file);
  run_twice("last 1");
  EXPECT_TRUE(is_at_remote(file_of_pack(first)));
  EXPECT_TRUE(is_at_remote({FileClass::kSnapshot, partial}));
  EXPECT_TRUE(is_at_remote(made[2].file())) << "it takes no whole one's turn";
  EXPECT_TRUE(is_at_remote(made[2].pack_file()));
  EXPECT_FALSE(is_at_remote(made[1].file()));
}

TEST_F(ExpiryTest, DamageStopsIt) {
  const auto made = snapshots(3);
  ASSERT_TRUE(pass().done.ok());
  ASSERT_TRUE(remote.flip_bit(path_of({FileClass::kList, made[2].list}), 900));
  const ExpiryReport stopped = run("last 1").value();
  ASSERT_FALSE(stopped.unknown.empty());
  EXPECT_EQ(stopped.files_condemned, 0u);
  EXPECT_TRUE(is_at_remote(made[0].file()));
  remote.repair_all();
  EXPECT_TRUE(run("last 1").value().unknown.empty());
  EXPECT_FALSE(is_at_remote(made[0].file()));
}

TEST_F(ExpiryTest, ALiveStoreAndAPlaceWithoutAGuardAreRefused) {
  EXPECT_EQ(check_place_to_expire(store, maker.config).error().code(), Errc::kBusy);
  EXPECT_THAT(check_place_to_expire(store, maker.config).error().message(), HasSubstr("rmdir"));
  ASSERT_TRUE(remote.make_directories("local").ok());
  EXPECT_EQ(run("last 1").error().code(), Errc::kBusy);
  remote.remove_all("local");
  ASSERT_TRUE(remote.unlink("replica/guard").ok());
  EXPECT_EQ(run("last 1").error().code(), Errc::kNotFound);
}

TEST_F(ExpiryTest, ADryRunWritesNothingAndSaysWhatARunDoes) {
  snapshots(4);
  ASSERT_TRUE(pass().done.ok());
  const auto files = remote.files();
  dry_run = true;
  const ExpiryReport said = run("last 1").value();
  EXPECT_EQ(remote.files(), files);
  dry_run = false;
  const ExpiryReport done = run("last 1").value();
  EXPECT_EQ(said.files_condemned, done.files_condemned);
  EXPECT_EQ(said.bytes_condemned, done.bytes_condemned);
  EXPECT_EQ(said.snapshots_expired, done.snapshots_expired);
}

TEST_F(ExpiryTest, ARunThatHasNothingToDoWritesNoRow) {
  snapshots(2);
  ASSERT_TRUE(pass().done.ok());
  run_twice("last 1");
  const Bytes before = read_whole(remote, kExpiryLogPath, 1 << 20).value();
  run_twice("last 1");
  EXPECT_EQ(read_whole(remote, kExpiryLogPath, 1 << 20).value(), before);
}

TEST_F(ExpiryTest, PowerCutsAtEveryEffectOfTheRemote) {
  const auto made = snapshots(5);
  maker.record({lock_statement(made[1].hash, INT64_MAX / 2), hold(3, true, {made[2].list})});
  ASSERT_TRUE(pass().done.ok());
  const auto states = {std::string("nothing condemned"), std::string("something condemned")};
  for (const std::string& state : states) {
    if (state != *states.begin()) {
      ASSERT_TRUE(run("last 2").ok());
      maker.record({lock_statement(made[0].hash, INT64_MAX / 2)});
      ASSERT_TRUE(pass(9).done.ok());
    }
    for (uint64_t cut = 0;; cut++) {
      const std::string what = state + ", cut at effect " + std::to_string(cut);
      const auto world = copy();
      world->remote_power.stop_after(cut);
      const bool done = run_at(*world->remote, "last 1").ok();
      world->remote_power.restore();
      world->remote->power_cut(cut * 31 + 7);
      expect_good_store(*world->remote, maker.config, what);
      EXPECT_TRUE(world->remote->exists(path_of(made[1].pack_file())).value()) << what;
      EXPECT_TRUE(world->remote->exists(path_of(made[2].pack_file())).value()) << what;
      ASSERT_TRUE(pass_between(*world, cut).done.ok()) << what;
      expect_good_store(*world->remote, maker.config, what + ", after a pass");
      expect_two_more_runs_and_a_pass_agree(*world);
      EXPECT_FALSE(world->remote->exists(path_of(made[3].pack_file())).value()) << what;
      if (HasFailure()) return;
      if (done) break;
    }
  }
}

TEST_F(ExpiryTest, AReplicatorThatDiesRightAfterItPublishedIsMadeUpFor) {
  const auto made = snapshots(3);
  ASSERT_TRUE(pass().done.ok());
  maker.snapshot(maker.list({made[0].list}, {maker.pack(300)}));
  for (uint64_t cut = 0;; cut++) {
    const auto world = copy();
    world->remote_power.stop_after(cut);
    const bool done = pass_between(*world, 1).done.ok();
    world->remote_power.restore();
    ASSERT_TRUE(run_at(*world->remote, "last 1").ok());
    expect_good_store(*world->remote, maker.config, "after the run");
    ASSERT_TRUE(run_at(*world->remote, "last 1").ok());
    expect_good_store(*world->remote, maker.config, "after the next");
    ASSERT_TRUE(pass_between(*world, 2).done.ok());
    expect_good_store(*world->remote, maker.config, "after the next pass");
    if (HasFailure() || done) break;
  }
}

TEST_F(ExpiryTest, RandomRuns) {
  const uint64_t seed = test_seed();
  const int runs = is_full_scale() ? 1500 : 50;
  for (int number = 0; number < runs && !HasFailure(); number++) {
    SCOPED_TRACE(testing::Message() << "VARVE_SEED=" << seed << ", run " << number);
    RandomExpiry(seed + static_cast<uint64_t>(number)).run();
  }
}

}  // namespace
}  // namespace varve
