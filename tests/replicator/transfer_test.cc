// Goal: drives are absorbed in any order, any part of a store, again and again: what is damaged
// stays out, a snapshot is seen when it is whole, and a carried drive brings a remote up to date.

#include "replicator/transfer.h"

#include <gmock/gmock.h>

#include "tests/replicator/replication_world.h"

namespace varve {
namespace {

struct TransferTest : testing::Test {
  SimulatedStorage store, target;
  StoreMaker maker{store};
  PackInfo first = maker.pack(5000), second = maker.pack(9000);
  PackInfo tree = maker.pack(300, PackClass::kCatalog);
  FileHash early_list = maker.list({}, {first});
  FileHash early = maker.snapshot(early_list);
  FileHash late = maker.snapshot(maker.list({early_list}, {second, tree}));
  FileHash record = maker.record();

  TransferTest() { EXPECT_TRUE(settle_store_config(target, store).ok()); }
  /// Files whose number, in the order of publishing, is `part` modulo `parts`; store.json always.
  std::unique_ptr<SimulatedStorage> drive(size_t part, size_t parts) {
    auto made = std::make_unique<SimulatedStorage>();
    EXPECT_TRUE(settle_store_config(*made, store).ok());
    const StoreFiles files = list_store_files(store).value();
    for (size_t i = 0; i < files.files.size(); i++) {
      if (i % parts == part) copy(files.files[i], *made);
    }
    return made;
  }
  void copy(const StoreFile& file, Storage& to) {
    const std::string path = path_of(file);
    EXPECT_TRUE(to.make_directories(path.substr(0, path.rfind('/'))).ok());
    EXPECT_TRUE(write_whole(to, path, read_whole(store, path, 1 << 20).value()).ok());
  }
  TransferFigures take(Storage& from) { return absorb(from, target, "drive-1", {}).value(); }
  bool arrived(FileClass file_class, const FileHash& hash) {
    return target.exists(path_of({file_class, hash})).value();
  }
};

TEST_F(TransferTest, AWholeDriveArrivesAndASecondTimeNothingIsCopied) {
  const auto all = drive(0, 1);
  const TransferFigures figures = take(*all);
  EXPECT_EQ(figures.files_copied, 9u);
  EXPECT_TRUE(figures.problems.empty());
  expect_good_store(target, maker.config, "absorbed");
  EXPECT_TRUE(arrived(FileClass::kSnapshot, late));
  const TransferFigures again = take(*all);
  EXPECT_EQ(again.files_copied, 0u);
  EXPECT_EQ(again.files_were_there, 7u);  // snapshots that are there are not looked at again
}

TEST_F(TransferTest, PartsArriveInAnyOrderAndNoSnapshotIsSeenBeforeItIsWhole) {
  for (const std::vector<size_t>& order :
       {std::vector<size_t>{0, 1, 2, 0, 1, 2}, {2, 1, 0, 2, 1, 0}, {1, 0, 2, 1, 0, 2}}) {
    target.remove_all("packs");
    for (const char* folder : {"catalog", "lists", "snapshots", "records", "keys"})
      target.remove_all(folder);
    for (const size_t part : order) {
      const auto some = drive(part, 3);
      take(*some);
      // Without keys/ there, nobody could check the rest.
      if (list_if_there(target, "keys")->empty()) continue;
      expect_good_store(target, maker.config, "part " + std::to_string(part));
    }
    EXPECT_TRUE(arrived(FileClass::kSnapshot, early));
    EXPECT_TRUE(arrived(FileClass::kSnapshot, late));
    EXPECT_TRUE(arrived(FileClass::kRecord, record));
  }
}

TEST_F(TransferTest, DamagedFilesStayOutAndAreNamed) {
  const auto all = drive(0, 1);
  ASSERT_TRUE(all->flip_bit(path_of(file_of_pack(first)), 4321));
  const TransferFigures figures = take(*all);
  ASSERT_EQ(figures.problems.size(), 1u);
  EXPECT_THAT(figures.problems[0], testing::HasSubstr("do not hash to its name; it is not copied"));
  EXPECT_FALSE(arrived(FileClass::kPack, first.hash));
  EXPECT_FALSE(arrived(FileClass::kSnapshot, early));
  EXPECT_EQ(figures.snapshots_waiting, 2u);
  expect_good_store(target, maker.config, "damaged");
  all->repair_all();
  EXPECT_TRUE(take(*all).problems.empty());
  EXPECT_TRUE(arrived(FileClass::kSnapshot, early));
}

TEST_F(TransferTest, AnotherStoresDriveIsRefused) {
  SimulatedStorage other;
  StoreMaker others(other, 99);
  const auto refused = absorb(other, target, "drive-1", {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Errc::kForeign);
}

TEST_F(TransferTest, AFullTargetIsToldAndNothingIsSeenThatIsNotWhole) {
  const auto all = drive(0, 1);
  target.set_capacity(9'500);
  const auto full = absorb(*all, target, "drive-1", {});
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().code(), Errc::kNoSpace);
  target.set_capacity(std::nullopt);
  expect_good_store(target, maker.config, "full");
  EXPECT_TRUE(take(*all).problems.empty());
  EXPECT_TRUE(arrived(FileClass::kSnapshot, late));
}

TEST_F(TransferTest, ACarriedDriveHoldsWhatTheRemoteLacksAndNoMore) {
  const std::set<FileHash> there{first.hash, early_list, early};
  SimulatedStorage empty;
  const auto carried = carry(store, empty, maker.config, "drive-2",
                             [&](const StoreFile& file) { return there.contains(file.hash); }, {});
  ASSERT_TRUE(carried.ok());
  EXPECT_FALSE(empty.exists(path_of(file_of_pack(first))).value());
  EXPECT_TRUE(empty.exists(path_of(file_of_pack(second))).value());
  // The remote as it was, and the drive absorbed into it.
  copy(file_of_pack(first), target);
  copy({FileClass::kList, early_list}, target);
  const StoreFiles files = list_store_files(store).value();
  for (const StoreFile& file : files.files)
    if (file.file_class == FileClass::kKeys) copy(file, target);
  copy({FileClass::kSnapshot, early}, target);
  EXPECT_EQ(take(empty).snapshots_waiting, 0u);
  EXPECT_TRUE(arrived(FileClass::kSnapshot, late));
  expect_good_store(target, maker.config, "carried");
}

}  // namespace
}  // namespace varve
