// Goal: where catalog packs stay at the site, everything else goes, the remote says that it is no
// disaster copy, and going back brings what was kept back; whatever stops it, wherever.
#include "dedup/catalog_mode.h"

#include <gmock/gmock.h>

#include "replicator/heal.h"
#include "tests/replicator/replication_world.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct CatalogModeTest : testing::Test {
  SimulatedPower power;
  SimulatedStorage store, remote{&power};
  StoreMaker maker{store};
  RemoteConfig config{"offsite", "/mnt/offsite", {}, "", ""};
  FileHash last;

  CatalogModeTest() {
    SeededRandom random(5);
    config.replica = settle_remote(remote, store, maker.config, random).value();
    const auto tree = maker.pack(700, PackClass::kCatalog);
    const FileHash list = maker.list({}, {maker.pack(9'000), maker.pack(5'000), tree});
    maker.snapshot(list);
    const FileHash next =
        maker.list({list}, {maker.pack(6'000), maker.pack(650, PackClass::kCatalog)});
    last = maker.snapshot(next);
    maker.snapshot(next, SnapshotClass::kCheckpoint);
    maker.record();
    maker.pack(3'000);
    maker.pack(300, PackClass::kCatalog);
  }
  static PassResult pass(Storage& from, Storage& to, const CatalogModeTest& test, CatalogMode mode,
                         uint64_t seed) {
    PassRun run(from, to, test.maker.config, test.config, seed, {3, false, sender_named(), mode});
    return run_to_its_end(run);
  }
  PassResult pass(CatalogMode mode, uint64_t seed = 1) {
    return pass(store, remote, *this, mode, seed);
  }
  static size_t count(Storage& place, FileClass file_class) {
    size_t found = 0;
    for (const StoreFile& file : list_store_files(place).value().files)
      found += file.file_class == file_class ? 1 : 0;
    return found;
  }
  /// Every snapshot that is seen has all its packs but catalog packs.
  void expect_data_whole(Storage& place, const std::string& what) {
    const StoreFiles files = list_store_files(place).value();
    const std::set<StoreFile> there(files.files.begin(), files.files.end());
    if (count(place, FileClass::kSnapshot) == 0) return;
    CarriedHistory history;
    ASSERT_TRUE(history.refresh(place, maker.config, files).ok()) << what;
    for (const CarriedSnapshot& snapshot : history.snapshots()) {
      const Lacking lacking =
          history.lacking(snapshot, [&](const StoreFile& file) { return there.contains(file); });
      EXPECT_TRUE(lacking.lists.empty()) << what;
      for (const PackInfo& pack : lacking.packs)
        EXPECT_EQ(pack.pack_class, PackClass::kCatalog) << what;
    }
  }
};

TEST_F(CatalogModeTest, EverythingButCatalogPacksGoesAndASecondPassSendsNothing) {
  const PassResult first = pass(CatalogMode::kDistributed);
  ASSERT_TRUE(first.done.ok()) << first.done.error().message();
  EXPECT_EQ(first.figures.files_left, 0u);
  EXPECT_EQ(first.figures.snapshots_waiting, 0u);
  EXPECT_TRUE(first.problems.empty());
  EXPECT_EQ(count(remote, FileClass::kCatalogPack), 0u);
  for (const FileClass one : {FileClass::kKeys, FileClass::kPack, FileClass::kList,
                              FileClass::kSnapshot, FileClass::kRecord})
    EXPECT_EQ(count(remote, one), count(store, one));
  EXPECT_EQ(pass(CatalogMode::kDistributed, 2).figures.files_sent, 0u);
}

TEST_F(CatalogModeTest, GoingBackBringsWhatWasKeptBackAndNothingElse) {
  ASSERT_TRUE(pass(CatalogMode::kDistributed).done.ok());
  const PassResult back = pass(CatalogMode::kReplicated, 2);
  ASSERT_TRUE(back.done.ok());
  EXPECT_EQ(back.figures.files_sent, count(store, FileClass::kCatalogPack));
  EXPECT_EQ(back.figures.files_left, 0u);
  expect_good_store(remote, maker.config, "back");
  // And there again: what is there stays.
  ASSERT_TRUE(pass(CatalogMode::kDistributed, 3).done.ok());
  expect_good_store(remote, maker.config, "and there again");
}

TEST_F(CatalogModeTest, ALostDataPackHoldsASnapshotBackAllTheSame) {
  const PackInfo lost = maker.pack(2'000);
  const FileHash waits =
      maker.snapshot(maker.list({}, {lost, maker.pack(200, PackClass::kCatalog)}));
  ASSERT_TRUE(store.unlink(path_of(file_of_pack(lost))).ok());
  const PassResult result = pass(CatalogMode::kDistributed);
  ASSERT_TRUE(result.done.ok());
  EXPECT_EQ(result.figures.snapshots_waiting, 1u);
  EXPECT_FALSE(*remote.exists(path_of({FileClass::kSnapshot, waits})));
}

TEST_F(CatalogModeTest, WhereverThePowerGoesOnTheWayThereAndBack) {
  for (const CatalogMode mode : {CatalogMode::kDistributed, CatalogMode::kReplicated}) {
    if (mode == CatalogMode::kReplicated) {
      ASSERT_TRUE(pass(CatalogMode::kDistributed).done.ok());
    }
    SimulatedPower counted;
    const auto untouched = remote.copy_of(&counted);
    ASSERT_TRUE(pass(*store.copy_of(nullptr), *untouched, *this, mode, 1).done.ok());
    ASSERT_GT(counted.effects(), 10u);
    for (uint64_t cut = 0; cut < counted.effects() && !HasFailure(); cut++) {
      const std::string what = std::string(name_of(mode)) + ", effect " + std::to_string(cut);
      SimulatedPower going;
      const auto here = store.copy_of(nullptr), there = remote.copy_of(&going);
      going.stop_after(cut);
      EXPECT_FALSE(pass(*here, *there, *this, mode, 1).done.ok()) << what;
      going.restore();
      there->power_cut(cut * 31 + 7);
      expect_data_whole(*there, what);
      const PassResult resumed = pass(*here, *there, *this, mode, cut + 1000);
      ASSERT_TRUE(resumed.done.ok()) << what << ": " << resumed.done.error().message();
      EXPECT_EQ(resumed.figures.files_left, 0u) << what;
      if (mode == CatalogMode::kReplicated) expect_good_store(*there, maker.config, what);
      if (mode == CatalogMode::kDistributed) expect_data_whole(*there, what);
    }
  }
}

TEST_F(CatalogModeTest, ThePlaceSaysWhoKeepsCatalogPacksBack) {
  EXPECT_THAT(*senders_without_catalog(remote), IsEmpty());
  ASSERT_TRUE(note_catalog_mode(remote, "b", CatalogMode::kDistributed).ok());
  ASSERT_TRUE(note_catalog_mode(remote, "a", CatalogMode::kDistributed).ok());
  ASSERT_TRUE(note_catalog_mode(remote, "c", CatalogMode::kReplicated).ok());
  remote.power_cut(1, Unsynced::kLost);
  EXPECT_THAT(*senders_without_catalog(remote), ElementsAre("a", "b"));
  const uint64_t before = power.effects();
  ASSERT_TRUE(note_catalog_mode(remote, "a", CatalogMode::kDistributed).ok());
  EXPECT_EQ(power.effects(), before) << "what is so is not written again";
  ASSERT_TRUE(note_catalog_mode(remote, "a", CatalogMode::kReplicated).ok());
  EXPECT_THAT(*senders_without_catalog(remote), ElementsAre("b"));
  EXPECT_THAT(no_disaster_copy({"b"}), HasSubstr("not a disaster copy"));
}

TEST_F(CatalogModeTest, HealDoesNotBringWhatIsKeptBack) {
  ASSERT_TRUE(note_catalog_mode(remote, "a", CatalogMode::kDistributed).ok());
  ASSERT_TRUE(pass(CatalogMode::kDistributed).done.ok());
  const auto mended = heal(remote, store, "healer", HealLook::kBytes, {});
  ASSERT_TRUE(mended.ok()) << mended.error().message();
  EXPECT_EQ(mended->missing, 0u);
  EXPECT_THAT(mended->unhealed, IsEmpty());
  ASSERT_TRUE(note_catalog_mode(remote, "a", CatalogMode::kReplicated).ok());
  ASSERT_TRUE(heal(remote, store, "healer", HealLook::kBytes, {}).ok());
  expect_good_store(remote, maker.config, "healed");
}

}  // namespace
}  // namespace varve
