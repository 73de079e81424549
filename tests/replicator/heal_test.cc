// Goal: a store is mended from another place of it: damaged and missing files are there again, byte
// for byte, what was removed on purpose stays away, and what nobody has whole is named.

#include "replicator/heal.h"

#include <gmock/gmock.h>

#include "dedup/scrub.h"
#include "tests/replicator/replication_world.h"

namespace varve {
namespace {

struct HealTest : testing::Test {
  SimulatedStorage store, other;
  StoreMaker maker{store};
  PackInfo first = maker.pack(5000), second = maker.pack(9000);
  PackInfo tree = maker.pack(300, PackClass::kCatalog);
  FileHash early_list = maker.list({}, {first});
  FileHash early = maker.snapshot(early_list);
  FileHash late_list = maker.list({early_list}, {second, tree});
  FileHash late = maker.snapshot(late_list);
  FileHash record = maker.record();
  std::vector<StoreFile> all = list_store_files(store).value().files;

  HealTest() {
    EXPECT_TRUE(settle_store_config(other, store).ok());
    for (const StoreFile& file : all) {
      const std::string path = path_of(file);
      EXPECT_TRUE(other.make_directories(path.substr(0, path.rfind('/'))).ok());
      EXPECT_TRUE(write_whole(other, path, read_whole(store, path, 1 << 20).value()).ok());
    }
  }
  HealFigures mend(HealLook look = HealLook::kBytes) {
    auto done = heal(store, other, "heal-1", look, {});
    EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().message());
    return done.ok() ? *done : HealFigures();
  }
  bool is_here(const StoreFile& file) { return store.exists(path_of(file)).value(); }
  void remove(const StoreFile& file) { ASSERT_TRUE(store.unlink(path_of(file)).ok()); }
  /// As bit rot does it: the bytes themselves are others.
  void damage(SimulatedStorage& in, const StoreFile& file, size_t at) {
    auto opened = in.open_write(path_of(file)).value();
    Bytes byte(1);
    ASSERT_EQ(opened->read_at(at, byte).value(), 1u);
    byte[0] ^= 0x10;
    ASSERT_TRUE(opened->write_at(at, byte).ok());
  }
  void truncate(const StoreFile& file) {
    ASSERT_TRUE(store.open_write(path_of(file)).value()->truncate(100).ok());
  }
  void expect_all_whole() {
    for (const StoreFile& file : all)
      EXPECT_TRUE(hash_store_file(store, file).ok()) << path_of(file);
    EXPECT_TRUE(list_store_files(store).value().temporaries.empty());
  }
};

TEST_F(HealTest, AWholeStoreStaysAsItIs) {
  const HealFigures figures = mend();
  EXPECT_EQ(figures.files_looked_at, all.size());
  EXPECT_EQ(figures.brought.files_copied, 0u);
  EXPECT_EQ(figures.damaged + figures.missing, 0u);
}

TEST_F(HealTest, EachFileIsMendedWhateverHappenedToIt) {
  for (const StoreFile& file : all) {
    damage(store, file, 90);
    const HealFigures figures = mend();
    EXPECT_EQ(figures.damaged, 1u) << path_of(file);
    EXPECT_EQ(figures.brought.files_copied, 1u) << path_of(file);
    EXPECT_TRUE(figures.unhealed.empty()) << figures.unhealed[0];
    expect_all_whole();
  }
}

TEST_F(HealTest, WhatSnapshotsNeedIsBroughtBack) {
  for (const StoreFile& file :
       {file_of_pack(first), file_of_pack(second), file_of_pack(tree),
        StoreFile{FileClass::kList, early_list}, StoreFile{FileClass::kList, late_list}}) {
    remove(file);
    EXPECT_EQ(mend().missing, 1u) << path_of(file);
    expect_all_whole();
  }
  // A list, and what nobody knows of before the list is here.
  remove({FileClass::kList, early_list});
  remove({FileClass::kList, late_list});
  remove(file_of_pack(first));
  EXPECT_EQ(mend().missing, 3u);
  expect_all_whole();
}

TEST_F(HealTest, AStoreWithoutAnyGenerationOfAccessGetsThem) {
  for (const StoreFile& file : all) {
    if (file.file_class == FileClass::kKeys) remove(file);
  }
  remove(file_of_pack(second));
  EXPECT_TRUE(mend().unhealed.empty());
  expect_all_whole();
}

TEST_F(HealTest, WhatWasRemovedOnPurposeStaysAway) {
  remove({FileClass::kSnapshot, late});
  remove({FileClass::kList, late_list});
  remove(file_of_pack(second));
  remove({FileClass::kRecord, record});
  EXPECT_EQ(mend().brought.files_copied, 0u);
  EXPECT_FALSE(is_here({FileClass::kSnapshot, late}));
  EXPECT_FALSE(is_here(file_of_pack(second)));
  EXPECT_FALSE(is_here({FileClass::kRecord, record}));
}

TEST_F(HealTest, WhatIsDamagedThereTooIsNamedAndNotBrought) {
  damage(store, file_of_pack(first), 3000);
  damage(other, file_of_pack(first), 2000);
  remove(file_of_pack(second));
  ASSERT_TRUE(other.unlink(path_of(file_of_pack(second))).ok());
  const Bytes before = read_whole(store, path_of(file_of_pack(first)), 1 << 20).value();
  const HealFigures figures = mend();
  EXPECT_EQ(figures.unhealed.size(), 2u);
  EXPECT_EQ(figures.brought.problems.size(), 1u);
  EXPECT_EQ(read_whole(store, path_of(file_of_pack(first)), 1 << 20).value(), before);
  EXPECT_FALSE(is_here(file_of_pack(second)));
}

TEST_F(HealTest, ByLengthsATornFileIsFoundWithoutReading) {
  truncate(file_of_pack(first));
  const HealFigures figures = mend(HealLook::kLengths);
  EXPECT_EQ(figures.damaged, 1u);
  EXPECT_EQ(figures.bytes_read, 0u);
  expect_all_whole();
}

TEST_F(HealTest, AnotherStoreIsRefused) {
  SimulatedStorage stranger;
  StoreMaker others(stranger, 99);
  const auto refused = heal(store, stranger, "heal-1", HealLook::kBytes, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Errc::kForeign);
}

}  // namespace
}  // namespace varve
