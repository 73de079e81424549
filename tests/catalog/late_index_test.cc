// Goal: nobody gets an answer of a late index before it is complete; one that cannot be opened
// answers with the reason, never "no such chunk", and still knows what is added.
#include "catalog/late_index.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace varve {
namespace {

ChunkId chunk(uint8_t byte) {
  ChunkId id;
  id.bytes.fill(byte);
  return id;
}

PackId pack(uint8_t byte) {
  PackId id;
  id.bytes.fill(byte);
  return id;
}

PackIndex pack_of(uint8_t byte) {
  PackIndex index;
  IndexedSegment segment;
  segment.chunk_count = 1;
  index.segments.push_back(segment);
  index.chunks.push_back({chunk(byte), 100});
  return index;
}

Result<std::unique_ptr<ChunkIndex>> open_in_memory() {
  return make_memory_chunk_index();
}

Result<std::unique_ptr<ChunkIndex>> open_in_vain() {
  return Error(Errc::kIo, "the disk gives no answer");
}

TEST(LateIndex, AskersWaitUntilItIsComplete) {
  LateIndex index(open_in_memory);
  std::promise<void> may_complete;
  const auto executor = make_thread_pool("test", 1, 1);
  index.make_ready(*executor, [&](ChunkIndex& opened) {
    may_complete.get_future().wait();
    opened.add_pack(pack(1), pack_of(1));
  });
  auto asked = std::async(std::launch::async, [&] { return index.find(chunk(1)); });
  EXPECT_EQ(asked.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  may_complete.set_value();
  const Result<std::optional<ChunkPlace>> found = asked.get();
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(*found, (ChunkPlace{pack(1), 0}));
  EXPECT_EQ(index.figures().chunks_in_memory, 1u);
}

TEST(LateIndex, WhatComesBeforeIsKept) {
  LateIndex index(open_in_memory);
  ASSERT_TRUE(index.open().ok());
  index.add_pack(pack(1), pack_of(1));
  const auto executor = make_thread_pool("test", 1, 1);
  index.make_ready(*executor, [](ChunkIndex& opened) { opened.add_pack(pack(2), pack_of(2)); });
  EXPECT_EQ(index.find(chunk(1)).value()->pack, pack(1));
  EXPECT_EQ(index.find(chunk(2)).value()->pack, pack(2));
}

TEST(LateIndex, IsOpenedForWhoeverAsksFirst) {
  LateIndex index(open_in_memory);
  EXPECT_EQ(index.find(chunk(1)).value(), std::nullopt);
  index.add_pack(pack(1), pack_of(1));
  EXPECT_EQ(index.find(chunk(1)).value()->pack, pack(1));
}

TEST(LateIndex, OneThatCannotBeOpenedSaysSo) {
  LateIndex index(open_in_vain);
  EXPECT_EQ(index.open().error().code(), Errc::kIo);
  const auto executor = make_thread_pool("test", 1, 1);
  bool completed = false;
  index.make_ready(*executor, [&](ChunkIndex&) { completed = true; });
  EXPECT_EQ(index.find(chunk(1)).error().code(), Errc::kIo) << "it may be there";
  index.add_pack(pack(1), pack_of(1));
  EXPECT_EQ(index.find(chunk(1)).value()->pack, pack(1));
  EXPECT_EQ(index.settle().error().code(), Errc::kIo);
  EXPECT_FALSE(completed);
}

}  // namespace
}  // namespace varve
