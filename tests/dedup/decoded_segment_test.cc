// Goal: a chunk is found by the id of its bytes and by no other, whether all are named at once or
// when they are looked for, and whatever the caller believes of its length.
#include "dedup/decoded_segment.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/dedup/key_world.h"

namespace varve {
namespace {

struct DecodedSegmentTest : testing::Test {
  Keyring keyring = seeded_keyring(1);
  Hasher hasher{keyring};
  std::vector<Bytes> contents;
  std::vector<IndexedChunk> rows;  // lengths alone
  Bytes raw;

  DecodedSegmentTest() {
    for (uint8_t i = 0; i < 9; i++) {
      contents.emplace_back(100 + 50 * (i % 3), i);  // three of each length
      raw.insert(raw.end(), contents.back().begin(), contents.back().end());
      rows.push_back({ChunkId(), static_cast<uint32_t>(contents.back().size())});
    }
  }
  Buffer bytes() const {
    Buffer copy(raw.size());
    std::copy(raw.begin(), raw.end(), copy.span().begin());
    return copy;
  }
  DecodedSegment named_at_once() const {
    std::vector<IndexedChunk> named = rows;
    for (size_t i = 0; i < named.size(); i++) named[i].id = hasher.chunk_id(contents[i]);
    return {SegmentType::kChunks, bytes(), named};
  }
  void expect_all(const DecodedSegment& segment, size_t length_less) const {
    for (const Bytes& content : contents) {
      const auto found = segment.find(hasher.chunk_id(content), content.size() - length_less);
      ASSERT_TRUE(found);
      EXPECT_TRUE(std::ranges::equal(*found, content));
    }
    EXPECT_FALSE(segment.find(hasher.chunk_id(Bytes(100, 99))));
    EXPECT_FALSE(segment.find(ChunkId())) << "what has no name yet is not nameless";
  }
};

TEST_F(DecodedSegmentTest, FindsWhatWasNamedAtOnce) {
  expect_all(named_at_once(), 0);
}

TEST_F(DecodedSegmentTest, NamesWhatIsLookedFor) {
  for (const size_t length_less : {0, 1, 100}) {
    const DecodedSegment segment(SegmentType::kChunks, bytes(), rows, hasher);
    expect_all(segment, length_less);
    expect_all(segment, length_less);  // now that all are named
  }
}

TEST_F(DecodedSegmentTest, AChunkIsAtLeastAsLongAsItsReaderKnows) {
  const DecodedSegment segment(SegmentType::kChunks, bytes(), rows, hasher);
  EXPECT_FALSE(segment.find(hasher.chunk_id(contents[0]), contents[0].size() + 1));
  EXPECT_TRUE(segment.find(hasher.chunk_id(contents[0]), contents[0].size()));
}

TEST_F(DecodedSegmentTest, NamesAheadOfWhoLooks) {
  // Two segments at once, with chunks of equal length, some asked for twice and some not there.
  const std::shared_ptr<const DecodedSegment> named(new DecodedSegment(named_at_once()));
  const auto a =
      std::make_shared<const DecodedSegment>(SegmentType::kChunks, bytes(), rows, hasher);
  const auto b =
      std::make_shared<const DecodedSegment>(SegmentType::kChunks, bytes(), rows, hasher);
  for (int round = 0; round < 3; round++) {
    NamesAhead names;
    for (const auto& segment : {a, b, named}) {
      for (const Bytes& content : contents)
        names.add(segment, hasher.chunk_id(content), content.size());
      names.add(segment, hasher.chunk_id(contents[0]), contents[0].size());
      names.add(segment, hasher.chunk_id(Bytes(100, 99)), 100);
      names.add(segment, hasher.chunk_id(contents[1]), 12345);
    }
    names.name();
    for (const auto& segment : {a, b, named}) expect_all(*segment, 0);
  }
}

TEST_F(DecodedSegmentTest, NamingAheadWhileOthersLook) {
  for (int round = 0; round < 50; round++) {
    const auto segment =
        std::make_shared<const DecodedSegment>(SegmentType::kChunks, bytes(), rows, hasher);
    std::thread reader([&] { expect_all(*segment, 0); });
    NamesAhead names;
    for (const Bytes& content : contents)
      names.add(segment, hasher.chunk_id(content), content.size());
    names.name();
    expect_all(*segment, 0);
    reader.join();
  }
}

TEST_F(DecodedSegmentTest, WhatCannotBeNamedAheadIsLeftToWhoLooks) {
  const auto tree =
      std::make_shared<const DecodedSegment>(SegmentType::kTree, bytes(), rows, hasher);
  NamesAhead names;
  for (int i = 0; i < 20; i++) names.add(tree, ChunkId(), contents[8].size());
  names.name();
  EXPECT_FALSE(tree->find(ChunkId(), 1));
}

TEST_F(DecodedSegmentTest, WhatCannotBeNamedIsNotFoundAndHidesNothing) {
  // Objects of trees begin with the length of their canonical part: these claim too much.
  const DecodedSegment segment(SegmentType::kTree, bytes(), rows, hasher);
  EXPECT_FALSE(segment.find(hasher.chunk_id(contents[8]), 1));
  EXPECT_FALSE(segment.find(ChunkId(), 1));
}

TEST_F(DecodedSegmentTest, IsSharedByThreads) {
  const DecodedSegment segment(SegmentType::kChunks, bytes(), rows, hasher);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) threads.emplace_back([&] { expect_all(segment, 0); });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace varve
