// Goal: the ballast is taken only where there is room, survives its process, and gives its space
// back part by part, as often as what needs it finds none.
#include "catalog/ballast.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "dedup/base/posix_storage.h"
#include "tests/support/simulated_storage.h"
#include "tests/support/temporary_directory.h"

namespace varve {
namespace {

TEST(Ballast, IsPartOfASmallDiskAndLittleOfALargeOne) {
  EXPECT_EQ(Ballast::bytes_for(uint64_t{64} << 20), uint64_t{1} << 20);
  EXPECT_EQ(Ballast::bytes_for(uint64_t{1} << 50), uint64_t{64} << 20);
}

TEST(Ballast, HoldsSpaceUntilItIsGiven) {
  TemporaryDirectory directory;
  auto storage = open_posix_storage(directory.path()).value();
  ASSERT_TRUE(storage->make_directories("local").ok());
  const StorageSpace space = storage->space().value();
  const uint64_t weight = Ballast::bytes_for(space.total);
  ASSERT_GT(space.available, 4 * weight) << "the disk is too full for this";
  const auto held = [&] {
    uint64_t bytes = 0;
    for (size_t part = 0; part < Ballast::kParts; part++) {
      struct stat status {};
      const std::string path = directory / ("local/ballast-" + std::to_string(part));
      if (::stat(path.c_str(), &status) == 0)
        bytes += static_cast<uint64_t>(status.st_blocks) * 512;
    }
    return bytes;
  };
  {
    Ballast ballast(*storage);
    ballast.take_over();
    EXPECT_EQ(held(), 0u);
    EXPECT_GE(ballast.missing_bytes(), weight / Ballast::kParts * Ballast::kParts);
    ballast.take_if_room();
    EXPECT_GE(held(), weight / Ballast::kParts * Ballast::kParts);
    EXPECT_EQ(ballast.missing_bytes(), 0u);
  }
  Ballast again(*storage);
  again.take_over();
  EXPECT_EQ(again.missing_bytes(), 0u);
  for (size_t part = 0; part < Ballast::kParts; part++) {
    const uint64_t before = held();
    EXPECT_TRUE(again.give());
    EXPECT_LE(held() + weight / Ballast::kParts, before);
    EXPECT_EQ(again.missing_bytes(), weight / Ballast::kParts * (part + 1));
  }
  EXPECT_EQ(held(), 0u);
  EXPECT_FALSE(again.give());
  again.take_if_room();
  EXPECT_GE(held(), weight / Ballast::kParts * Ballast::kParts);
}

class FullDisk : public testing::Test {
 protected:
  static constexpr uint64_t kDiskBytes = uint64_t{64} << 20;
  static constexpr uint64_t kPartBytes = (kDiskBytes / 64) / Ballast::kParts;

  FullDisk() {
    EXPECT_TRUE(storage_.make_directories("local").ok());
    storage_.set_capacity(kDiskBytes);
    ballast_.take_over();
  }
  /// Another program takes all but `left` bytes of what is free.
  void fill(uint64_t left) {
    const uint64_t available = storage_.space().value().available;
    ASSERT_GE(available, left);
    auto file = storage_.create("other-" + std::to_string(fillers_++)).value();
    ASSERT_TRUE(file->reserve(available - left).ok());
  }
  Result<void> write(uint64_t bytes) {
    const std::unique_ptr<StorageFile> file = VARVE_TRY(storage_.create("local/row"));
    Result<void> written = file->reserve(bytes);
    VARVE_TRY(storage_.unlink("local/row"));
    return written;
  }

  SimulatedStorage storage_;
  Ballast ballast_{storage_};
  int fillers_ = 0;
};

TEST_F(FullDisk, GetsNoBallast) {
  fill(4 * kPartBytes);
  ballast_.take_if_room();
  EXPECT_FALSE(ballast_.give());
  EXPECT_EQ(ballast_.missing_bytes(), 4 * kPartBytes);
  ASSERT_TRUE(storage_.unlink("other-0").ok());
  ballast_.take_if_room();
  EXPECT_EQ(ballast_.missing_bytes(), 0u);
  EXPECT_TRUE(ballast_.give());
}

TEST_F(FullDisk, HasSpaceForOneRemovalAfterTheOtherThoughAnotherProgramTakesWhatIsFree) {
  ballast_.take_if_room();
  fill(0);
  for (size_t part = 0; part < Ballast::kParts; part++) {
    EXPECT_EQ(write(1).error().code(), Errc::kNoSpace);
    EXPECT_TRUE(ballast_.with_space([&] { return write(kPartBytes / 2); }).ok()) << part;
    fill(0);
  }
  EXPECT_EQ(ballast_.with_space([&] { return write(1); }).error().code(), Errc::kNoSpace);
}

TEST_F(FullDisk, GivesAsManyPartsAsOneRemovalNeeds) {
  ballast_.take_if_room();
  fill(0);
  EXPECT_TRUE(ballast_.with_space([&] { return write(3 * kPartBytes); }).ok());
  EXPECT_EQ(ballast_.missing_bytes(), 3 * kPartBytes);
  ballast_.take_if_room();
  EXPECT_EQ(ballast_.missing_bytes(), 3 * kPartBytes) << "there is no room beside it";
}

}  // namespace
}  // namespace varve
