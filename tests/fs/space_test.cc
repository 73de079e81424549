// Goal: nothing is admitted that the disk, with what is outstanding and the reserve, might not
// hold.
#include "fs/space.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

class ToyClock : public Clock {
 public:
  Nanoseconds now() override { return time; }
  Nanoseconds monotonic() override { return time; }
  Nanoseconds time = 1;
};

/// A disk of which only the space counts.
class ToyDisk : public Storage {
 public:
  Result<std::unique_ptr<StorageFile>> open_read(const std::string&) override {
    return Errc::kNotFound;
  }
  Result<std::unique_ptr<StorageFile>> open_write(const std::string&) override {
    return Errc::kNotFound;
  }
  Result<std::unique_ptr<StorageFile>> create(const std::string&) override {
    return Errc::kReadOnly;
  }
  Result<void> rename(const std::string&, const std::string&) override { return Errc::kReadOnly; }
  Result<void> unlink(const std::string&) override { return Errc::kReadOnly; }
  Result<void> make_directories(const std::string&) override { return Errc::kReadOnly; }
  Result<void> sync_dir(const std::string&) override { return {}; }
  Result<std::vector<StorageEntry>> list(const std::string&) override { return Errc::kNotFound; }
  Result<bool> exists(const std::string&) override { return false; }
  Result<StorageSpace> space() override {
    asked++;
    return StorageSpace{total, available};
  }
  uint64_t total = uint64_t{1} << 30, available = uint64_t{200} << 20;
  int asked = 0;
};

TEST(Space, CountsWhatIsOutstandingAndWhatWasAdmittedSince) {
  ToyDisk disk;
  ToyClock clock;
  uint64_t outstanding = 10 << 20;
  Space space(disk, clock, [&] { return outstanding; });
  uint64_t room = disk.available - space_reserve_bytes(disk.total) - outstanding;
  EXPECT_TRUE(space.admit(room / 2).ok());
  EXPECT_TRUE(space.admit(room / 2).ok());
  Result<void> refused = space.admit(1 << 20);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Errc::kNoSpace);
  EXPECT_EQ(disk.asked, 1);
}

TEST(Space, AsksTheDiskAgainAfterAWhileOrWhenTold) {
  ToyDisk disk;
  ToyClock clock;
  Space space(disk, clock, [] { return uint64_t{0}; });
  disk.available = 0;
  EXPECT_FALSE(space.admit(1).ok());
  disk.available = uint64_t{200} << 20;
  EXPECT_FALSE(space.admit(1).ok());
  space.forget();
  EXPECT_TRUE(space.admit(1).ok());
  disk.available = 0;
  clock.time += 1'000'000'000;
  EXPECT_FALSE(space.admit(1).ok());
}

TEST(Space, GivesTheLastToWhoHasWaited) {
  ToyDisk disk;
  ToyClock clock;
  Space space(disk, clock, [] { return uint64_t{0}; });
  disk.available = space_reserve_bytes(disk.total);
  EXPECT_FALSE(space.admit(1).ok());
  EXPECT_TRUE(space.admit_last(space_last_bytes(disk.total)).ok());
  EXPECT_FALSE(space.admit_last(1).ok());
}

TEST(Space, ReservesLittleOfASmallDisk) {
  EXPECT_LT(space_reserve_bytes(uint64_t{128} << 20), uint64_t{12} << 20);
  EXPECT_LE(space_reserve_bytes(uint64_t{1} << 50), uint64_t{576} << 20);
}

}  // namespace
}  // namespace varve
