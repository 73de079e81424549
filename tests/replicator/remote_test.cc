// Goal: nothing is written to a directory that is not the remote that it is taken for: an empty
// mountpoint, another store, another place, a live store, a copy or a remote that was rolled back.

#include "replicator/remote.h"

#include <gmock/gmock.h>

#include "tests/replicator/replication_world.h"

namespace varve {
namespace {

struct RemoteTest : testing::Test {
  SimulatedStorage store, remote;
  StoreMaker maker{store};
  SeededRandom random{3};
  RemoteConfig config{"offsite", "/mnt/offsite", {}, "2026-11-22T05:30:00Z", "2M"};
  std::unique_ptr<ReplicationLedger> ledger =
      ReplicationLedger::open(store, "local/ledger").value();

  RemoteTest() { config.replica = settle_remote(remote, store, maker.config, random).value(); }
  Errc identity(Storage& place) {
    const Result<void> checked = check_remote_identity(place, maker.config, config);
    return checked.ok() ? Errc::kBadHandle : checked.error().code();
  }
  Result<void> visit(Storage& place) { return visit_remote(place, "me", *ledger, random); }
};
constexpr Errc kFine = Errc::kBadHandle;

TEST_F(RemoteTest, ConfigurationsComeBack) {
  ASSERT_TRUE(write_remote(store, config).ok());
  const RemoteConfig read = find_remote(store, "offsite").value();
  EXPECT_EQ(read.directory, config.directory);
  EXPECT_EQ(read.replica, config.replica);
  EXPECT_EQ(read.limit, "2M");
  EXPECT_EQ(read.catalog, CatalogMode::kReplicated);
  config.catalog = CatalogMode::kDistributed;
  ASSERT_TRUE(write_remote(store, config).ok());
  EXPECT_EQ(find_remote(store, "offsite")->catalog, CatalogMode::kDistributed);
  EXPECT_EQ(list_remotes(store)->size(), 1u);
  EXPECT_THAT(find_remote(store, "other").error().message(),
              testing::HasSubstr("there are offsite"));
  ASSERT_TRUE(remove_remote(store, "offsite").ok());
  EXPECT_TRUE(list_remotes(store)->empty());
  ASSERT_TRUE(store.create("replica/remotes/bad.json").ok());
  EXPECT_EQ(list_remotes(store).error().code(), Errc::kCorrupt);
}

TEST_F(RemoteTest,
       AConfigurationWithoutACatalogModeIsReplicatedAndOneWithAnUnknownModeMakesNoSense) {
  const std::string head = R"({"format_version": 1, "directory": "/mnt/offsite", "added": "",
    "limit": "", "replica_id": ")" +
                           config.replica.hex() + "\"";
  const auto write = [&](const std::string& text) {
    ASSERT_TRUE(store.make_directories("replica/remotes").ok());
    ASSERT_TRUE(write_whole(store, "replica/remotes/offsite.json", as_bytes(text)).ok());
  };
  write(head + "}");
  EXPECT_EQ(find_remote(store, "offsite")->catalog, CatalogMode::kReplicated);
  write(head + R"(, "catalog": "scattered"})");
  EXPECT_EQ(find_remote(store, "offsite").error().code(), Errc::kCorrupt);
}

TEST_F(RemoteTest, NamesThatCouldLeaveTheFolderAreRefused) {
  for (const char* name : {"", ".", "..", ".hidden", "-option", "a/b", "a b", "a\nb"})
    EXPECT_FALSE(check_remote_name(name).ok()) << name;
  EXPECT_FALSE(check_remote_name(std::string(65, 'a')).ok());
  EXPECT_TRUE(check_remote_name("off-site_2.b").ok());
}

TEST_F(RemoteTest, OnlyTheRemoteItselfIsTaken) {
  EXPECT_EQ(identity(remote), kFine);
  SimulatedStorage mountpoint;
  EXPECT_EQ(identity(mountpoint), Errc::kNotFound);
  EXPECT_TRUE(mountpoint.files().empty());
  SimulatedStorage drive;
  ASSERT_TRUE(settle_remote(drive, store, maker.config, random).ok());
  EXPECT_EQ(identity(drive), Errc::kForeign);
  SimulatedStorage other_store, others_remote;
  StoreMaker other(other_store, 99);
  ASSERT_TRUE(settle_remote(others_remote, other_store, other.config, random).ok());
  EXPECT_EQ(identity(others_remote), Errc::kForeign);
  ASSERT_TRUE(
      write_unbound_guard(remote, maker.config.store_id, {config.replica, filled_id<WriterId>(5)})
          .ok());
  EXPECT_EQ(identity(remote), Errc::kBusy);
}

TEST_F(RemoteTest, OnlyAnEmptyPlaceOrOneOfThisStoreBecomesARemote) {
  const auto check = [&](Storage& place) {
    const Result<void> checked = check_place_for_files(place, maker.config, "/mnt");
    return checked.ok() ? kFine : checked.error().code();
  };
  SimulatedStorage empty, something_else, live;
  EXPECT_EQ(check(empty), kFine);
  EXPECT_EQ(check(remote), kFine);
  ASSERT_TRUE(something_else.create("holiday.jpg").ok());
  EXPECT_EQ(check(something_else), Errc::kInvalid);
  ASSERT_TRUE(live.make_directories("local").ok());
  EXPECT_EQ(check(live), Errc::kBusy);
  SimulatedStorage other_store;
  StoreMaker other(other_store, 99);
  other_store.remove_all("local");
  EXPECT_EQ(check(other_store), Errc::kForeign);
}

TEST_F(RemoteTest, SitesThatShareARemoteShareItsGuard) {
  EXPECT_EQ(settle_remote(remote, store, maker.config, random).value(), config.replica);
}

TEST_F(RemoteTest, ARolledBackRemoteAndACopyAreRefused) {
  ASSERT_TRUE(visit(remote).ok());
  const auto image = remote.copy_of(nullptr);
  ASSERT_TRUE(visit(remote).ok());
  const Result<void> rolled_back = visit(*image);
  ASSERT_FALSE(rolled_back.ok());
  EXPECT_EQ(rolled_back.error().code(), Errc::kForeign);
  ASSERT_TRUE(visit(remote).ok());
  // Taken as it is: from now on the copy is the remote, and the other is refused.
  const StoreFile file{FileClass::kPack, filled_id<FileHash>(1)};
  ledger->note_there(file, {});
  ASSERT_TRUE(visit_remote_anew(*image, "me", *ledger, random).ok());
  EXPECT_FALSE(ledger->is_there(file));
  EXPECT_TRUE(visit(*image).ok());
  EXPECT_FALSE(visit(remote).ok());
}

TEST_F(RemoteTest, AnOlderLedgerForgetsWhatItKnew) {
  ASSERT_TRUE(visit(remote).ok());
  const StoreFile file{FileClass::kPack, filled_id<FileHash>(1)};
  ledger->note_there(file, {});
  ASSERT_TRUE(ledger->save().ok());
  const auto local_of_yesterday = store.copy_of(nullptr);
  ASSERT_TRUE(visit(remote).ok());
  ledger = ReplicationLedger::open(*local_of_yesterday, "local/ledger").value();
  EXPECT_TRUE(ledger->is_there(file));
  EXPECT_TRUE(visit(remote).ok());
  EXPECT_FALSE(ledger->is_there(file));
}

TEST_F(RemoteTest, ACrashInAVisitIsNoRollback) {
  ASSERT_TRUE(visit(remote).ok());
  for (uint64_t cut = 0; cut < 12; cut++) {
    SimulatedPower here_power, there_power;
    const auto here = store.copy_of(&here_power);
    const auto there = remote.copy_of(&there_power);
    SimulatedPower& power = cut % 2 == 0 ? here_power : there_power;
    auto opened = ReplicationLedger::open(*here, "local/ledger").value();
    power.stop_after(cut / 2);
    (void)visit_remote(*there, "me", *opened, random);
    power.restore();
    (cut % 2 == 0 ? here : there)->power_cut(cut);
    opened = ReplicationLedger::open(*here, "local/ledger").value();
    const Result<void> after = visit_remote(*there, "me", *opened, random);
    EXPECT_TRUE(after.ok()) << cut << ": " << after.error().message();
  }
}

TEST_F(RemoteTest, AnUnboundGuardHoldsAnywhere) {
  const AskPlace elsewhere = [] { return Result<Place>(Place{"elsewhere", 17}); };
  const GuardFound found = read_guard(remote, elsewhere, maker.config.store_id).value();
  ASSERT_TRUE(found.guard);
  EXPECT_EQ(found.guard->replica, config.replica);
  EXPECT_TRUE(found.guard->writer.is_zero());
}

}  // namespace
}  // namespace varve
