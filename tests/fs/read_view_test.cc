// Goal: dirty over extents over zeros, nothing fetched that is not shown, and where data begins and
// ends.
#include "fs/read_view.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

Bytes letters(char letter, size_t size) {
  return Bytes(size, static_cast<uint8_t>(letter));
}

TEST(ReadView, LaysDirtyOverExtentsOverZeros) {
  DirtyExtents dirty;
  dirty.write(4, as_bytes("DD"));
  std::vector<Extent> extents{{2, 4, ChunkId{}, 1}};
  Bytes chunk{'0', '1', '2', '3', '4', '5'};
  Bytes out(10, 0xff);
  ASSERT_TRUE(
      read_view(0, out, dirty.read(0, 10), extents, [&](const Extent&) -> Result<ChunkBytes> {
        return ChunkBytes{nullptr, chunk};
      }).ok());
  EXPECT_EQ(as_text(out), std::string_view("\0\0"
                                           "12DD\0\0\0\0",
                                           10));
}

TEST(ReadView, DoesNotFetchWhatDirtyDataHides) {
  DirtyExtents dirty;
  dirty.write(0, letters('d', 100));
  std::vector<Extent> extents{{10, 50, ChunkId{}, 0}};
  Bytes out(100);
  auto refuse = [](const Extent&) -> Result<ChunkBytes> { return Errc::kCorrupt; };
  EXPECT_TRUE(read_view(0, out, dirty.read(0, 100), extents, refuse).ok());
  EXPECT_FALSE(read_view(0, out, {}, extents, refuse).ok());
}

TEST(ReadView, RefusesAnExtentBeyondItsChunk) {
  Bytes chunk = letters('c', 5), out(10);
  auto source = [&](const Extent&) -> Result<ChunkBytes> { return ChunkBytes{nullptr, chunk}; };
  Result<void> read = read_view(0, out, {}, std::vector<Extent>{{0, 10, ChunkId{}, 0}}, source);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code(), Errc::kCorrupt);
  EXPECT_FALSE(read_view(0, out, {}, std::vector<Extent>{{0, 1, ChunkId{}, 6}}, source).ok());
}

TEST(ReadView, FindsWhereDataBeginsAndEnds) {
  std::vector<FileRange> runs{{10, 20}, {40, 50}};
  std::vector<Extent> extents{{20, 5, ChunkId{}, 0}, {25, 5, ChunkId{}, 0}, {60, 5, ChunkId{}, 0}};
  EXPECT_EQ(data_end(12, runs, extents), 30u);
  EXPECT_EQ(data_end(5, runs, extents), 5u);
  EXPECT_EQ(data_end(62, runs, extents), 65u);
  EXPECT_EQ(data_start(0, runs, extents), 10u);
  EXPECT_EQ(data_start(30, runs, extents), 40u);
  EXPECT_EQ(data_start(65, runs, extents), std::nullopt);
}

}  // namespace
}  // namespace varve
