// Goal: the ballast is taken only where there is room, survives its process, and gives its space
// back once, for removals.
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
  ASSERT_GT(space.available, 4 * weight + (uint64_t{128} << 20)) << "the disk is too full for this";
  const std::string path = directory / "local/ballast";
  const auto held = [&] {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_blocks) * 512 : 0;
  };
  {
    Ballast ballast(*storage);
    ballast.take_if_room();
    EXPECT_GE(held(), weight);
    EXPECT_EQ(ballast.missing_bytes(), 0u);
  }
  Ballast again(*storage);
  again.take_if_room();
  EXPECT_GE(held(), weight);
  EXPECT_TRUE(again.give());
  EXPECT_EQ(held(), 0u);
  EXPECT_EQ(again.missing_bytes(), weight);
  EXPECT_FALSE(again.give());
  again.take_if_room();
  EXPECT_GE(held(), weight);
}

TEST(Ballast, IsNotTakenFromADiskThatIsNearlyFull) {
  SimulatedStorage storage;
  ASSERT_TRUE(storage.make_directories("local").ok());
  storage.set_capacity(uint64_t{64} << 20);
  auto file = storage.create("local/other").value();
  ASSERT_TRUE(file->reserve(uint64_t{60} << 20).ok());
  Ballast ballast(storage);
  ballast.take_if_room();
  EXPECT_FALSE(ballast.give());
  EXPECT_GT(ballast.missing_bytes(), 0u);
  ASSERT_TRUE(storage.unlink("local/other").ok());
  file.reset();
  ballast.take_if_room();
  EXPECT_EQ(ballast.missing_bytes(), 0u);
  EXPECT_TRUE(ballast.give());
}

}  // namespace
}  // namespace varve
