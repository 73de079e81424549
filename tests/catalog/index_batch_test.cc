// Goal: packs that are given in one batch are all in the index, whatever the disk says; a run's
// worth goes to disk at once and leaves memory, the rest waits in memory until the index settles.
#include "catalog/index_batch.h"

#include <gtest/gtest.h>

#include "tests/support/simulated_storage.h"

namespace varve {
namespace {

constexpr const char* kFolder = "local/index";
constexpr uint8_t kChunksPerPack = 10;

ChunkId chunk(uint8_t pack, uint8_t number) {
  ChunkId id;
  id.bytes.fill(static_cast<uint8_t>(pack * 17 + number));
  id.bytes[0] = pack;
  id.bytes[1] = number;
  return id;
}

PackId pack_id(uint8_t number) {
  PackId id;
  id.bytes.fill(number);
  return id;
}

PackIndex content(uint8_t pack) {
  PackIndex index;
  IndexedSegment segment;
  segment.chunk_count = kChunksPerPack;
  index.segments.push_back(segment);
  for (uint8_t i = 0; i < kChunksPerPack; i++) index.chunks.push_back({chunk(pack, i), 100});
  return index;
}

class IndexBatchTest : public testing::Test {
 protected:
  IndexBatchTest() { reopen(); }
  void reopen() {
    index_.reset();
    index_ = open_chunk_index(storage_, kFolder).value();
  }
  void add(uint8_t first, uint8_t last, size_t chunks_at_once) {
    IndexBatch batch(*index_, chunks_at_once);
    for (uint8_t pack = first; pack <= last; pack++) batch.add(pack_id(pack), content(pack));
    batch.finish();
  }
  void expect_all(uint8_t first, uint8_t last) {
    for (uint8_t pack = first; pack <= last; pack++) {
      for (uint8_t i = 0; i < kChunksPerPack; i++) {
        ASSERT_EQ(index_->find(chunk(pack, i)).value(), (ChunkPlace{pack_id(pack), 0}));
      }
    }
  }

  SimulatedStorage storage_;
  std::unique_ptr<ChunkIndex> index_;
};

TEST_F(IndexBatchTest, ARunsWorthGoesToDiskAndTheRestIsInMemory) {
  add(1, 11, 30);
  EXPECT_EQ(index_->figures().runs, 3u);
  EXPECT_EQ(index_->figures().chunks_in_runs, 90u);
  EXPECT_EQ(index_->figures().chunks_in_memory, 20u);
  expect_all(1, 11);
  reopen();
  EXPECT_EQ(index_->packs_on_disk().size(), 9u) << "runs are durable at once";
  add(10, 11, 30);
  ASSERT_TRUE(index_->settle().ok());
  reopen();
  EXPECT_EQ(index_->packs_on_disk().size(), 11u);
  expect_all(1, 11);
}

TEST_F(IndexBatchTest, NothingGivenIsNoRun) {
  add(1, 0, 1);
  ASSERT_TRUE(index_->settle().ok());
  EXPECT_EQ(index_->figures().runs, 0u);
}

TEST_F(IndexBatchTest, OnAFullDiskAllIsInMemory) {
  storage_.set_capacity(4500);
  add(1, 11, 30);
  EXPECT_EQ(index_->figures().runs, 0u);
  EXPECT_EQ(index_->figures().chunks_in_memory, 110u);
  expect_all(1, 11);
  storage_.set_capacity(std::nullopt);
  ASSERT_TRUE(index_->settle().ok());
  reopen();
  expect_all(1, 11);
}

TEST_F(IndexBatchTest, ADiskThatFillsOnTheWayLosesNothing) {
  // A run of 30 chunks takes a little less than 5,000 bytes.
  storage_.set_capacity(12000);
  add(1, 11, 30);
  EXPECT_EQ(index_->figures().runs, 2u);
  EXPECT_EQ(index_->figures().chunks_in_memory, 50u);
  expect_all(1, 11);
}

}  // namespace
}  // namespace varve
