// Goal: the inventory finds every chunk that was added, with length and packs, and no other.

#include "dedup/chunk_inventory.h"

#include <gtest/gtest.h>

#include "tests/support/simulation.h"

namespace varve {
namespace {

TEST(ChunkInventory, FindsWhatWasAddedAndNothingElse) {
  SeededRandom random(11);
  ChunkInventory inventory;
  std::vector<ChunkId> ids;
  for (uint32_t i = 0; i < 20'000; i++) {
    ids.push_back(random.id<ChunkId>());
    inventory.add(ids.back(), i + 1, i % 7);
    inventory.add(ids.back(), i + 1, i % 7);  // a chunk may lie twice in a pack
    if (i % 3 == 0) inventory.add(ids.back(), i + 1, 100);
  }
  inventory.settle();
  for (uint32_t i = 0; i < ids.size(); i++) {
    const auto rows = inventory.find(ids[i]);
    ASSERT_EQ(rows.size(), i % 3 == 0 ? 2u : 1u);
    EXPECT_EQ(rows[0].length(), i + 1);
    EXPECT_EQ(rows[0].pack, i % 7);
    EXPECT_TRUE(inventory.find(random.id<ChunkId>()).empty());
  }
}

TEST(ChunkInventory, KeepsTheGreatestLengthAndTellsNeighboursApart) {
  ChunkInventory inventory;
  ChunkId first, second;
  first.bytes.fill(0xff);
  second = first;
  second.bytes[6] = 0xfe;  // the last byte that counts
  inventory.add(first, kSegmentRawBytesMax, UINT32_MAX);
  inventory.add(second, 1, 0);
  inventory.settle();
  ASSERT_EQ(inventory.find(first).size(), 1u);
  EXPECT_EQ(inventory.find(first)[0].length(), kSegmentRawBytesMax);
  ASSERT_EQ(inventory.find(second).size(), 1u);
  EXPECT_EQ(inventory.find(second)[0].length(), 1u);
}

}  // namespace
}  // namespace varve
