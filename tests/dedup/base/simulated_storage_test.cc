// Goal: the simulated disk loses all that a disk may lose, and nothing that was synced; the same
// seed loses the same.
#include "tests/support/simulated_storage.h"

#include <gtest/gtest.h>

#include <set>

#include "dedup/base/codec.h"
#include "tests/support/simulated_kv.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

TEST(SimulatedStorage, SyncedStays) {
  for (uint64_t seed = 0; seed < 50; seed++) {
    SimulatedStorage storage;
    ASSERT_TRUE(storage.make_directories("d").ok());
    ASSERT_TRUE(write_whole(storage, "d/file", as_bytes("all of it")).ok());
    storage.power_cut(seed);
    EXPECT_EQ(as_text(*read_whole(storage, "d/file", 100)), "all of it");
  }
}

TEST(SimulatedStorage, UnsyncedIsThereTornOrGone) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < 100; seed++) {
    SimulatedStorage storage;
    ASSERT_TRUE(write_whole(storage, "file", Bytes(1024, 'a')).ok());
    auto file = storage.open_write("file").value();
    ASSERT_TRUE(file->write_at(0, Bytes(1024, 'b')).ok());
    storage.power_cut(seed);
    EXPECT_FALSE(file->sync().ok()) << "a file that was open before the cut is dead";
    Bytes bytes = *read_whole(storage, "file", 2000);
    ASSERT_EQ(bytes.size(), 1024u);
    outcomes.insert({static_cast<char>(bytes[0]), static_cast<char>(bytes[512])});
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"aa", "ab", "ba", "bb"}));
}

TEST(SimulatedStorage, NamesNeedTheirDirectorySynced) {
  std::set<std::vector<std::string>> outcomes;
  for (uint64_t seed = 0; seed < 100; seed++) {
    SimulatedStorage storage;
    ASSERT_TRUE(storage.make_directories("a").ok());
    ASSERT_TRUE(storage.make_directories("b").ok());
    ASSERT_TRUE(write_whole(storage, "a/x", as_bytes("x")).ok());
    ASSERT_TRUE(storage.rename("a/x", "b/x").ok());
    if (seed % 2 == 0) {
      ASSERT_TRUE(storage.sync_dir("b").ok());
    }
    storage.power_cut(seed);
    outcomes.insert(storage.files());
    if (seed % 2 == 0) {
      EXPECT_TRUE(*storage.exists("b/x"));
    }
    for (const std::string& path : storage.files())
      EXPECT_EQ(as_text(*read_whole(storage, path, 9)), "x");
  }
  EXPECT_EQ(outcomes, (std::set<std::vector<std::string>>{{"a/x"}, {"b/x"}, {"a/x", "b/x"}}));
}

TEST(SimulatedStorage, CutAtEveryEffectLeavesOldOrNew) {
  for (uint64_t effect = 0;; effect++) {
    SimulatedPower power;
    SimulatedStorage storage(&power);
    ASSERT_TRUE(write_whole(storage, "file", as_bytes("old")).ok());
    power.stop_after(effect);
    bool done = write_whole(storage, "file", as_bytes("the new one")).ok();
    power.restore();
    storage.power_cut(effect);
    std::string found(as_text(*read_whole(storage, "file", 100)));
    EXPECT_TRUE(found == "the new one" || (!done && found == "old")) << effect << ": " << found;
    if (done) {
      EXPECT_GE(effect, 5u) << "create, write, sync, rename, sync_dir";
      break;
    }
  }
}

TEST(SimulatedStorage, SameSeedSameDisk) {
  uint64_t seed = test_seed();
  auto disk = [&] {
    SimulatedStorage storage;
    for (int i = 0; i < 20; i++) {
      auto file = storage.create(std::to_string(i)).value();
      (void)file->write_at(0, Bytes(2000, static_cast<uint8_t>(i)));
    }
    storage.power_cut(seed);
    Encoder all;
    for (const std::string& path : storage.files())
      all.blob(path).blob(*read_whole(storage, path, 5000));
    return all.take();
  };
  EXPECT_EQ(disk(), disk());
}

TEST(SimulatedStorage, FullDiskTakesWhatFits) {
  SimulatedStorage storage;
  storage.set_capacity(1000);
  auto file = storage.create("file").value();
  EXPECT_EQ(file->reserve(1001).error().code(), Errc::kNoSpace);
  EXPECT_TRUE(file->reserve(800).ok());
  EXPECT_EQ(storage.space()->available, 200u);
  EXPECT_TRUE(file->write_at(0, Bytes(800, 1)).ok());
  EXPECT_EQ(file->write_at(800, Bytes(201, 1)).error().code(), Errc::kNoSpace);
  EXPECT_EQ(*file->length(), 1000u);
  EXPECT_EQ(file->sync().error().code(), Errc::kNoSpace) << "broken stays broken";
  ASSERT_TRUE(storage.unlink("file").ok());
  EXPECT_EQ(storage.space()->available, 1000u);
}

TEST(SimulatedStorage, InjectedFaultsStrikeOnceAndLatch) {
  SimulatedStorage storage;
  auto file = storage.create("file").value();
  storage.fail_write(2);
  EXPECT_TRUE(file->write_at(0, as_bytes("a")).ok());
  EXPECT_EQ(file->write_at(1, as_bytes("b")).error().code(), Errc::kIo);
  EXPECT_FALSE(file->write_at(1, as_bytes("b")).ok());
  storage.fail_sync(1);
  EXPECT_EQ(storage.sync_dir("").error().code(), Errc::kIo);
  EXPECT_EQ(storage.sync_dir("").error().code(), Errc::kIo);
  storage.fail_read(1);
  EXPECT_EQ(read_whole(storage, "file", 10).error().code(), Errc::kIo);
  EXPECT_EQ(as_text(*read_whole(storage, "file", 10)), "a");
}

TEST(SimulatedStorage, FlippedBitsLieOverPristineBytes) {
  SimulatedStorage storage;
  ASSERT_TRUE(write_whole(storage, "file", as_bytes("abc")).ok());
  EXPECT_FALSE(storage.flip_bit("file", 24));
  ASSERT_TRUE(storage.flip_bit("file", 8));
  EXPECT_EQ(as_text(*read_whole(storage, "file", 10)), "acc");
  storage.repair_all();
  EXPECT_EQ(as_text(*read_whole(storage, "file", 10)), "abc");
  ASSERT_TRUE(storage.flip_bit("file", 8));
  ASSERT_TRUE(storage.open_write("file").value()->write_at(1, as_bytes("x")).ok());
  EXPECT_EQ(as_text(*read_whole(storage, "file", 10)), "axc");
}

TEST(SimulatedKv, CommitUnderWayHappensOrNot) {
  std::set<size_t> outcomes;
  for (uint64_t seed = 0; seed < 20; seed++) {
    SimulatedPower power;
    SimulatedKv kv(&power);
    power.stop_after(0);
    EXPECT_FALSE(kv.commit({{"key", "value"}}).ok());
    EXPECT_FALSE(kv.view().ok());
    power.restore();
    kv.power_cut(seed);
    outcomes.insert(kv.contents().size());
  }
  EXPECT_EQ(outcomes, (std::set<size_t>{0, 1}));
}

}  // namespace
}  // namespace varve
