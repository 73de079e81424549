// Goal: expiry at places of every kind: where sites keep their catalog packs back, where several
// sites send, and where a remote was made a live store.
#include <gmock/gmock.h>

#include "replicator/transfer.h"
#include "tests/replicator/expiry_world.h"

namespace varve {
namespace {

using testing::HasSubstr;

struct ExpiryPlacesTest : ExpiryTest {
  /// A snapshot with a data pack and a catalog pack of its own.
  MadeSnapshot make_with_catalog() {
    MadeSnapshot made;
    maker.time += kDay;
    made.pack = maker.pack(kTestPackBytes);
    catalog.push_back(maker.pack(700, PackClass::kCatalog));
    made.list = maker.list({}, {made.pack, catalog.back()});
    made.hash = maker.snapshot(made.list);
    return made;
  }
  PassResult pass_without_catalog(Storage& place, uint64_t seed = 1) {
    EXPECT_TRUE(note_catalog_mode(place, sender_named(), CatalogMode::kDistributed).ok());
    PassRun way(store, place, maker.config, config, seed,
                {3, false, sender_named(), CatalogMode::kDistributed});
    return run_to_its_end(way);
  }
  /// All packs of every snapshot that is seen are there, catalog packs apart.
  void expect_data_is_whole(Storage& place, const std::string& what) {
    const StoreFiles files = list_store_files(place).value();
    const std::set<StoreFile> there(files.files.begin(), files.files.end());
    CarriedHistory history;
    ASSERT_TRUE(history.refresh(place, maker.config, files).ok()) << what;
    for (const CarriedSnapshot& snapshot : history.snapshots()) {
      const auto settled = [&](const StoreFile& file) {
        return file.file_class == FileClass::kCatalogPack || there.contains(file);
      };
      EXPECT_TRUE(history.lacking(snapshot, settled).nothing()) << what;
    }
  }
  std::vector<PackInfo> catalog;  // of each that was made
};

TEST_F(ExpiryPlacesTest, WithoutCatalogPacksSnapshotsAreWholeAndTheRuleHolds) {
  std::vector<MadeSnapshot> made;
  for (int i = 0; i < 5; i++) made.push_back(make_with_catalog());
  ASSERT_TRUE(pass_without_catalog(remote).done.ok());
  const ExpiryReport first = run("last 2").value();
  EXPECT_TRUE(first.unknown.empty());
  EXPECT_EQ(first.snapshots_kept, 2u);
  EXPECT_EQ(first.snapshots_expired, 3u);
  for (const JudgedSnapshot& snapshot : first.snapshots) EXPECT_TRUE(snapshot.whole);
  run_twice("last 2");
  for (size_t i = 0; i < made.size(); i++) {
    EXPECT_EQ(is_at_remote(made[i].file()), i >= 3);
    EXPECT_EQ(is_at_remote(made[i].pack_file()), i >= 3);
  }
  expect_data_is_whole(remote, "expired");
  EXPECT_EQ(pass_without_catalog(remote, 2).figures.files_sent, 0u);
  // Going back brings the catalog packs of what is kept; what has expired stays out.
  const PassResult back = pass(3);
  ASSERT_TRUE(back.done.ok());
  EXPECT_EQ(back.figures.files_left, 0u);
  EXPECT_TRUE(is_at_remote(file_of_pack(catalog[4])));
  EXPECT_FALSE(is_at_remote(made[0].file()));
  expect_good_store(remote, maker.config, "back");
}

TEST_F(ExpiryPlacesTest, WhatIsNotSaidToKeepThemBackIsNotWholeWithoutThem) {
  const MadeSnapshot whole = make_with_catalog(), partial = make_with_catalog();
  ASSERT_TRUE(pass().done.ok());
  ASSERT_TRUE(remote.unlink(path_of(file_of_pack(catalog[1]))).ok());
  run_twice("last 1");
  EXPECT_TRUE(is_at_remote(whole.file())) << "one that is not whole takes no whole one's turn";
  EXPECT_TRUE(is_at_remote(partial.file()));
}

TEST_F(ExpiryPlacesTest, WhatOnlyAnOlderListIsCompleteByStaysWithIt) {
  const MadeSnapshot made = make_with_catalog();
  ASSERT_TRUE(pass().done.ok());
  const PackInfo merged = maker.pack(900), newer = maker.pack(300, PackClass::kCatalog);
  maker.exact_list({made.hash}, {merged, newer});
  ASSERT_TRUE(pass_without_catalog(remote, 2).done.ok());
  EXPECT_FALSE(is_at_remote(file_of_pack(newer)));
  run_twice("last 1");
  EXPECT_TRUE(is_at_remote(made.pack_file()));
  EXPECT_TRUE(is_at_remote(file_of_pack(catalog[0])));
  EXPECT_TRUE(is_at_remote(file_of_pack(merged)));
  expect_good_store(remote, maker.config, "complete by the older one");
  ASSERT_TRUE(pass(3).done.ok());
  ASSERT_TRUE(note_catalog_mode(remote, sender_named(), CatalogMode::kReplicated).ok());
  run_twice("last 1");
  EXPECT_FALSE(is_at_remote(made.pack_file()));
  EXPECT_FALSE(is_at_remote(file_of_pack(catalog[0])));
  expect_good_store(remote, maker.config, "complete by the newer one");
}

TEST_F(ExpiryPlacesTest, ARunAtEveryStepOfAPassWithoutCatalogPacks) {
  const MadeSnapshot first = make_with_catalog();
  make_with_catalog();
  ASSERT_TRUE(pass_without_catalog(remote).done.ok());
  ASSERT_TRUE(run("last 1").ok());
  maker.time += kDay;
  maker.snapshot(maker.list({first.list}, {maker.pack(2'000), maker.pack(300)}));
  for (uint64_t at = 0;; at++) {
    SCOPED_TRACE(testing::Message() << "expiry at effect " << at << " of the pass");
    SimulatedPower power;
    const auto here = store.copy_of(nullptr), there = remote.copy_of(&power);
    uint64_t effect = 0;
    bool inside = false;
    power.before_effects([&] {
      if (inside || effect++ != at) return;
      inside = true;
      EXPECT_TRUE(run_at(*there, "last 1").ok());
      expect_data_is_whole(*there, "after the run");
      inside = false;
    });
    PassRun way(*here, *there, maker.config, config, at,
                {3, false, sender_named(), CatalogMode::kDistributed});
    const PassResult result = run_to_its_end(way);
    power.before_effects({});
    ASSERT_TRUE(result.done.ok()) << result.done.error().message();
    EXPECT_EQ(result.figures.files_left, 0u);
    expect_data_is_whole(*there, "after the pass");
    if (HasFailure() || effect <= at) break;
  }
}

TEST_F(ExpiryPlacesTest, WhatAnInterruptedCopyHasLeftCountsAsAbsent) {
  const auto made = snapshots(3);
  ASSERT_TRUE(pass().done.ok());
  const auto tear = [&](const MadeSnapshot& one) {
    const std::string path = path_of(one.pack_file());
    const Bytes bytes = read_whole(store, path, 1 << 20).value();
    ASSERT_TRUE(write_whole(remote, path, ByteView(bytes).first(bytes.size() / 2)).ok());
  };
  tear(made[2]);
  const ExpiryReport first = run("last 1").value();
  EXPECT_FALSE(first.snapshots[2].whole);
  EXPECT_TRUE(is_at_remote(made[1].file())) << "one that is not whole takes no whole one's turn";
  EXPECT_TRUE(is_at_remote(made[2].file()));
  EXPECT_TRUE(is_condemned(made[0].pack_file()));
  // A copy of what is condemned comes in and is cut off; then it is needed.
  tear(made[0]);
  maker.record({lock_statement(made[0].hash, INT64_MAX / 2)});
  put_at_remote(made[2].pack_file());
  ASSERT_TRUE(pass(2).done.ok());
  run_twice("last 1");
  EXPECT_EQ(read_whole(remote, path_of(made[0].pack_file()), 1 << 20).value().size(),
            kTestPackBytes);
  EXPECT_FALSE(is_at_remote(made[1].file()));
  EXPECT_TRUE(list_store_files(condemned).value().files.empty());
  expect_good_store(remote, maker.config, "mended");
}

TEST_F(ExpiryPlacesTest, SitesAreJudgedByOneRuleAndNeitherBringsBackWhatHasExpired) {
  maker.live_here();
  const auto made = snapshots(3);
  maker.snapshot(made[2].list, SnapshotClass::kCheckpoint);
  ASSERT_TRUE(pass().done.ok());
  SimulatedStorage second;
  const WriterId writer = filled_id<WriterId>(22);
  StoreMaker joined(second, maker, writer);
  ASSERT_TRUE(absorb(remote, second, "drive", {}).ok());
  joined.time = maker.time;
  const MadeSnapshot first_there = make_snapshot(joined), last_there = make_snapshot(joined);
  const FileHash checkpoint = joined.snapshot(last_there.list, SnapshotClass::kCheckpoint);
  const auto pass_of_second = [&](uint64_t seed) {
    return run_pass(second, remote, maker.config, config, seed, 3, false, sender_named(writer));
  };
  ASSERT_TRUE(pass_of_second(2).done.ok());
  // Its snapshots are of the same set: the newest of all is kept, and each one's checkpoint.
  run_twice("last 1");
  EXPECT_TRUE(is_at_remote(last_there.file()));
  EXPECT_FALSE(is_at_remote(first_there.file()));
  EXPECT_FALSE(is_at_remote(made[2].file()));
  EXPECT_TRUE(is_at_remote(made[2].pack_file())) << "the first site's checkpoint needs it";
  EXPECT_TRUE(is_at_remote({FileClass::kSnapshot, checkpoint}));
  expect_good_store(remote, maker.config, "expired");
  for (const PassResult& again : {pass(3), pass_of_second(4)}) {
    ASSERT_TRUE(again.done.ok()) << again.done.error().message();
    EXPECT_EQ(again.figures.files_sent, 0u);
    EXPECT_EQ(again.figures.files_left, 0u);
  }
  // What the second site needs of it goes there again, though the first had sent it.
  const FileHash needs_it = joined.snapshot(joined.list({made[0].list}, {joined.pack(300)}));
  ASSERT_TRUE(pass_of_second(5).done.ok());
  EXPECT_TRUE(is_at_remote({FileClass::kSnapshot, needs_it}));
  EXPECT_TRUE(is_at_remote(made[0].pack_file()));
  expect_good_store(remote, maker.config, "again");
}

TEST_F(ExpiryPlacesTest, APlaceThatIsPromotedDuringTheRunIsLeftAsItIs) {
  const auto made = snapshots(3);
  ASSERT_TRUE(pass().done.ok());
  const auto promote = [&]() -> Result<void> {
    return write_unbound_guard(remote, maker.config.store_id,
                               {config.replica, maker.writer, true, true});
  };
  const auto done = expire(remote, {parse_retention("last 1").value(), false, promote}, machine);
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code(), Errc::kBusy);
  EXPECT_THAT(done.error().message(), HasSubstr("promoted"));
  for (const MadeSnapshot& one : made) {
    EXPECT_TRUE(is_at_remote(one.file()));
    EXPECT_TRUE(is_at_remote(one.pack_file()));
  }
  EXPECT_EQ(run("last 1").error().code(), Errc::kBusy);
}

TEST_F(ExpiryPlacesTest, WhatHasExpiredComesBackToAPlaceThatWasPromotedSince) {
  const auto made = snapshots(3);
  ASSERT_TRUE(pass().done.ok());
  run_twice("last 1");
  EXPECT_EQ(absorb(store, remote, "drive", {})->snapshots_expired, 2u);
  EXPECT_FALSE(is_at_remote(made[0].file()));
  ASSERT_TRUE(
      write_unbound_guard(remote, maker.config.store_id, {config.replica, maker.writer, true})
          .ok());
  ASSERT_TRUE(absorb(store, remote, "drive", {}).ok());
  EXPECT_TRUE(is_at_remote(made[0].file()));
  expect_good_store(remote, maker.config, "promoted");
}

}  // namespace
}  // namespace varve
