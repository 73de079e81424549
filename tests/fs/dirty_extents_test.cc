// Goal: what was written last is what is read, runs are exact, and a flush forgets only what it
// saw.
#include "fs/dirty_extents.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/test_seed.h"

namespace varve {
namespace {

Bytes bytes_of(const DirtyExtents& dirty, uint64_t from, uint64_t to,
               std::vector<bool>* covered = nullptr) {
  Bytes result(to - from, 0);
  if (covered) covered->assign(to - from, false);
  for (const DirtySlice& slice : dirty.read(from, to)) {
    std::copy(slice.bytes.begin(), slice.bytes.end(),
              result.begin() + static_cast<ptrdiff_t>(slice.offset - from));
    for (size_t i = 0; covered && i < slice.bytes.size(); i++)
      (*covered)[slice.offset - from + i] = true;
  }
  return result;
}

TEST(DirtyExtents, SequentialWritesAreOneRun) {
  DirtyExtents dirty;
  for (int i = 0; i < 100; i++) dirty.write(static_cast<uint64_t>(i) * 7, as_bytes("abcdefg"));
  EXPECT_EQ(dirty.runs(), (std::vector<FileRange>{{0, 700}}));
  EXPECT_EQ(dirty.bytes(), 700u);
  EXPECT_LE(dirty.read(0, 700).size(), 8u);  // blocks double: 7, 14, 28 ...
}

TEST(DirtyExtents, FlushedPartsGoButLaterWritesStay) {
  DirtyExtents dirty;
  dirty.write(0, as_bytes("aaaaaaaaaa"));
  uint64_t version = dirty.version();
  dirty.freeze_pieces();
  dirty.write(4, as_bytes("bb"));
  dirty.write(10, as_bytes("cc"));  // goes on in the same block
  dirty.erase_flushed(0, 12, version);
  EXPECT_EQ(dirty.runs(), (std::vector<FileRange>{{4, 6}, {10, 12}}));
  EXPECT_EQ(as_text(bytes_of(dirty, 4, 6)), "bb");
  EXPECT_EQ(as_text(bytes_of(dirty, 10, 12)), "cc");
}

TEST(DirtyExtents, SlicesOutliveWhatTheyWereCutFrom) {
  DirtyExtents dirty;
  dirty.write(0, as_bytes("first"));
  std::vector<DirtySlice> slices = dirty.read(0, 5);
  dirty.write(0, as_bytes("other"));
  dirty.erase(0, 5);
  EXPECT_EQ(as_text(slices[0].bytes), "first");
  EXPECT_TRUE(dirty.empty());
  EXPECT_EQ(dirty.memory_bytes(), 0u);
}

TEST(DirtyExtents, SharesMemoryThatItIsGivenAndWritesNothingInto) {
  DirtyExtents dirty;
  auto shared = std::make_shared<const Bytes>(1000, 'a');
  dirty.write(0, ByteView(*shared).subspan(10, 500), shared);
  EXPECT_EQ(dirty.together(0, 500).bytes.data(), shared->data() + 10);
  dirty.write(500, as_bytes("behind"));
  dirty.write(100, as_bytes("within"));
  EXPECT_EQ(*shared, Bytes(1000, 'a'));
  EXPECT_EQ(as_text(bytes_of(dirty, 98, 108)), "aawithinaa");
  EXPECT_EQ(as_text(bytes_of(dirty, 498, 506)), "aabehind");
  dirty.erase(0, 506);
  EXPECT_EQ(shared.use_count(), 1);
}

TEST(DirtyExtents, AStreamLiesTogetherThroughoutItsBlock) {
  DirtyExtents dirty;
  const Bytes part(300'000, 7);
  for (uint64_t at = 0; at < 10 * part.size(); at += part.size()) dirty.write(at, part);
  EXPECT_GE(dirty.together(0, 3'000'000).bytes.size(), part.size());
  uint64_t at = 0, pieces = 0;
  for (; at < 3'000'000; pieces++) {
    const size_t length = dirty.together(at, 3'000'000).bytes.size();
    ASSERT_GT(length, 0u);
    at += length;
  }
  EXPECT_LE(pieces, 5u);
  EXPECT_EQ(dirty.together(100, 250).bytes.size(), 150u);
  EXPECT_TRUE(dirty.together(3'000'000, 3'000'001).bytes.empty());
}

TEST(DirtyExtents, AgreesWithAModel) {
  uint64_t seed = test_seed();
  std::mt19937_64 random(seed);
  constexpr size_t kSize = 3000;
  for (int round = 0; round < 200; round++) {
    DirtyExtents dirty;
    Bytes model(kSize, 0);
    std::vector<uint64_t> version(kSize, 0);  // 0: clean
    for (int step = 0; step < 60; step++) {
      uint64_t from = random() % kSize, to = std::min<uint64_t>(kSize, from + random() % 400);
      int action = static_cast<int>(random() % 8);
      if (action == 0) {
        dirty.erase(from, to);
        for (uint64_t i = from; i < to; i++) version[i] = 0;
      } else if (action == 1) {
        uint64_t limit = dirty.version() == 0 ? 0 : random() % dirty.version();
        if (random() % 2) dirty.freeze_pieces(), limit = dirty.version();
        // Pieces may be newer than some of their bytes only while no flush looks: a flush freezes
        // first.
        if (limit == dirty.version()) {
          dirty.erase_flushed(from, to, limit);
          for (uint64_t i = from; i < to; i++) version[i] = 0;
        }
      } else {
        Bytes data(to - from);
        for (uint8_t& b : data) b = static_cast<uint8_t>(random());
        if (random() % 3 == 0) {
          const auto shared = std::make_shared<const Bytes>(data);
          dirty.write(from, *shared, shared);
        } else {
          dirty.write(from, data);
        }
        for (uint64_t i = from; i < to; i++)
          model[i] = data[i - from], version[i] = dirty.version();
      }
      std::vector<bool> covered;
      Bytes seen = bytes_of(dirty, 0, kSize, &covered);
      uint64_t count = 0;
      for (size_t i = 0; i < kSize; i++) {
        ASSERT_EQ(covered[i], version[i] != 0) << "seed " << seed << " byte " << i;
        ASSERT_TRUE(!covered[i] || seen[i] == model[i]) << "seed " << seed << " byte " << i;
        count += covered[i];
      }
      ASSERT_EQ(dirty.bytes(), count) << "seed " << seed;
      const uint64_t at = random() % kSize, end = at + random() % (kSize - at);
      const DirtySlice slice = dirty.together(at, end);
      ASSERT_EQ(slice.bytes.empty(), at >= end || !covered[at]) << "seed " << seed;
      ASSERT_LE(slice.bytes.size(), end - at) << "seed " << seed;
      for (size_t i = 0; i < slice.bytes.size(); i++)
        ASSERT_TRUE(covered[at + i] && slice.bytes[i] == model[at + i])
            << "seed " << seed << " byte " << at + i;
    }
  }
}

}  // namespace
}  // namespace varve
