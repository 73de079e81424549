// Goal: a file that goes from local/ on one disk into the store on another is whole under one of
// its names, whenever the power of both goes.
#include "catalog/split_storage.h"

#include <gtest/gtest.h>

#include "tests/support/simulated_storage.h"
#include "tests/support/simulation.h"

namespace varve {
namespace {

constexpr const char* kFrom = "local/open/pack";
constexpr const char* kTo = "packs/ab/name";

/// The disks of a store and of its local/, in one machine.
struct Disks {
  SimulatedPower power;
  std::unique_ptr<SimulatedStorage> place = std::make_unique<SimulatedStorage>(&power);
  std::unique_ptr<SimulatedStorage> local = std::make_unique<SimulatedStorage>(&power);

  std::unique_ptr<Storage> both(SplitPlace use = SplitPlace::kWritten) {
    // The disks outlive the storage that a program has of them.
    return make_split_storage(std::make_unique<Borrowed>(*place),
                              std::make_unique<Borrowed>(*local), use);
  }
  void cut(uint64_t seed) {
    power.restore();
    place->power_cut(seed);
    local->power_cut(seed + 1);
  }

  struct Borrowed final : Storage {
    explicit Borrowed(Storage& below_in) : below(below_in) {}
    Result<std::unique_ptr<StorageFile>> open_read(const std::string& path) override {
      return below.open_read(path);
    }
    Result<std::unique_ptr<StorageFile>> open_write(const std::string& path) override {
      return below.open_write(path);
    }
    Result<std::unique_ptr<StorageFile>> create(const std::string& path) override {
      return below.create(path);
    }
    Result<void> rename(const std::string& from, const std::string& to) override {
      return below.rename(from, to);
    }
    Result<void> unlink(const std::string& path) override { return below.unlink(path); }
    Result<void> make_directories(const std::string& path) override {
      return below.make_directories(path);
    }
    Result<void> sync_dir(const std::string& path) override { return below.sync_dir(path); }
    Result<std::vector<StorageEntry>> list(const std::string& path) override {
      return below.list(path);
    }
    Result<bool> exists(const std::string& path) override { return below.exists(path); }
    Result<StorageSpace> space() override { return below.space(); }
    Storage& below;
  };
};

const Bytes& content() {
  static const Bytes bytes = random_bytes(7, 1'200'000);
  return bytes;
}

/// A durable file in local/, and the folder that it is to go to.
void prepare(Storage& storage) {
  ASSERT_TRUE(storage.make_directories("local/open").ok());
  ASSERT_TRUE(storage.make_directories("packs/ab").ok());
  ASSERT_TRUE(write_whole(storage, kFrom, content()).ok());
}

bool is_whole(Storage& storage, const char* path) {
  const Result<Bytes> bytes = read_whole(storage, path, 16 << 20);
  return bytes.ok() && *bytes == content();
}

TEST(SplitStorageTest, AMovedFileIsThereAndNowhereElse) {
  Disks disks;
  const auto storage = disks.both();
  prepare(*storage);
  ASSERT_TRUE(storage->rename(kFrom, kTo).ok());
  EXPECT_TRUE(is_whole(*storage, kTo));
  EXPECT_EQ(disks.place->files(), std::vector<std::string>{kTo});
  EXPECT_TRUE(disks.local->files().empty());
}

TEST(SplitStorageTest, APlaceThatIsOnlyReadTakesNothing) {
  Disks disks;
  prepare(*disks.both());
  const auto storage = disks.both(SplitPlace::kOnlyRead);
  EXPECT_EQ(storage->rename(kFrom, kTo).error().code(), Errc::kReadOnly);
  EXPECT_EQ(storage->unlink("packs/ab/x").error().code(), Errc::kReadOnly);
  EXPECT_TRUE(is_whole(*storage, kFrom));
  EXPECT_TRUE(disks.place->files().empty());
}

TEST(SplitStorageTest, AFullPlaceTakesNothingAndKeepsNothing) {
  Disks disks;
  const auto storage = disks.both();
  prepare(*storage);
  disks.place->set_capacity(600 << 10);
  EXPECT_EQ(storage->rename(kFrom, kTo).error().code(), Errc::kNoSpace);
  EXPECT_TRUE(is_whole(*storage, kFrom));
  EXPECT_TRUE(disks.place->files().empty());
  disks.place->set_capacity(std::nullopt);
  ASSERT_TRUE(storage->rename(kFrom, kTo).ok());
  EXPECT_TRUE(is_whole(*storage, kTo));
}

TEST(SplitStorageTest, WheneverThePowerGoesItIsWholeUnderOneName) {
  for (uint64_t effects = 0;; effects++) {
    bool moved = false;
    for (uint64_t seed = 0; seed < 6; seed++) {
      SCOPED_TRACE("effect " + std::to_string(effects) + ", seed " + std::to_string(seed));
      Disks disks;
      prepare(*disks.both());
      disks.power.stop_after(effects);
      moved = disks.both()->rename(kFrom, kTo).ok();
      disks.cut(seed);
      const auto storage = disks.both();
      const bool there = storage->exists(kTo).value();
      EXPECT_TRUE(!there || is_whole(*storage, kTo)) << "a torn file has the name";
      EXPECT_TRUE(there || is_whole(*storage, kFrom)) << "it is nowhere";
      EXPECT_TRUE(!moved || there) << "the move was done";
      if (is_whole(*storage, kFrom)) {
        ASSERT_TRUE(storage->rename(kFrom, kTo).ok());
      }
      EXPECT_TRUE(is_whole(*storage, kTo));
      EXPECT_EQ(disks.place->files().size(), 1u);
    }
    if (moved) return;
  }
}

}  // namespace
}  // namespace varve
