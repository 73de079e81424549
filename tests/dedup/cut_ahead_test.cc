// Goal: what is planned ahead is cut as the chunker cuts one by one, guesses that are wrong are
// told, and no plan reaches further than the window allows.
#include "dedup/cut_ahead.h"

#include <random>

#include "tests/dedup/ingest_world.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

struct PlanWorld : IngestWorld {
  const ChunkerSizes sizes = ChunkerSizes::of_average(16 * kKiB).value();
  const Chunker chunker{test_keyring(), sizes};
  const Hasher hasher{test_keyring()};
  PackContents contents{*packs};
  StreamMemory memory{contents};

  std::vector<PlannedChunk> plan(ByteView window, size_t begins_before) {
    return plan_chunks(window, begins_before, SegmentType::kChunks, chunker, memory, hasher)
        .value();
  }
  /// Writes and seals `bytes`; the memory has seen the first two of its chunks, and stands behind
  /// them, where what it returns begins.
  ByteView follow(ByteView bytes) {
    const auto stream = open_stream();
    for (ByteView rest = bytes; !rest.empty();)
      rest = rest.subspan(ingest->put_fronts(*stream, rest, chunker)->front().length);
    EXPECT_TRUE(ingest->seal_open(PackClass::kData).ok());
    for (int i = 0; i < 2; i++) {
      const ByteView chunk = bytes.first(chunker.cut(bytes));
      const ChunkId id = hasher.chunk_id(chunk);
      memory.saw(id, index->find(id).value());
      bytes = bytes.subspan(chunk.size());
    }
    return bytes;
  }
};

TEST(CutAhead, PlansWhatTheChunkerCuts) {
  PlanWorld world;
  const Bytes bytes = random_bytes(world.random, 2 * kMiB);
  const std::vector<PlannedChunk> plan = world.plan(bytes, bytes.size());
  ASSERT_GT(plan.size(), 16u);
  size_t at = 0;
  for (const PlannedChunk& planned : plan) {
    const ByteView rest = ByteView(bytes).subspan(at);
    ASSERT_EQ(planned.begin, at);
    ASSERT_EQ(planned.chunk.length, world.chunker.cut(rest));
    ASSERT_EQ(planned.chunk.id, world.hasher.chunk_id(rest.first(planned.chunk.length)));
    EXPECT_TRUE(planned.is_sure());
    at += planned.chunk.length;
  }
}

TEST(CutAhead, GoesNoFurtherThanAskedAndThanTheWindow) {
  PlanWorld world;
  const Bytes bytes = random_bytes(world.random, kMiB);
  const size_t first = world.chunker.cut(bytes);
  EXPECT_EQ(world.plan(bytes, 1).size(), 1u);
  EXPECT_EQ(world.plan(bytes, first).size(), 1u);
  EXPECT_EQ(world.plan(bytes, first + 1).size(), 2u);
  // Behind the first chunk the window is shorter than the chunker wants it: more may follow.
  EXPECT_EQ(world.plan(ByteView(bytes).first(world.sizes.maximum), bytes.size()).size(), 1u);
  // Shorter than a chunk: the stream's end.
  const std::vector<PlannedChunk> last = world.plan(ByteView(bytes).first(100), bytes.size());
  ASSERT_EQ(last.size(), 1u);
  EXPECT_EQ(last[0].chunk.length, 100u);
}

TEST(CutAhead, FollowsWhatWasThereBefore) {
  PlanWorld world;
  const Bytes bytes = random_bytes(world.random, 2 * kMiB);
  const ByteView rest = world.follow(bytes);
  for (const PlannedChunk& planned : world.plan(rest, rest.size())) {
    EXPECT_TRUE(planned.guess);
    EXPECT_TRUE(planned.is_sure());
  }
}

TEST(CutAhead, TellsGuessesThatAreWrongAndGoesOnBehindThem) {
  const uint64_t seed = test_seed();
  std::mt19937_64 random(seed);
  PlanWorld world;
  const Bytes bytes = random_bytes(world.random, 2 * kMiB);
  const ByteView rest = world.follow(bytes);
  for (int round = 0; round < 20; round++) {
    Bytes changed(rest.begin(), rest.end());
    const size_t at = random() % 200'000, length = 1 + random() % 20'000;
    for (size_t i = at; i < at + length; i++) changed[i] = static_cast<uint8_t>(~changed[i]);
    const std::vector<PlannedChunk> plan = world.plan(changed, changed.size());
    size_t sure = 0, wrong = 0;
    for (const PlannedChunk& planned : plan) {
      const bool touched = planned.begin < at + length && planned.begin + planned.chunk.length > at;
      if (!planned.guess) continue;
      (planned.is_sure() ? sure : wrong)++;
      ASSERT_EQ(planned.is_sure(), !touched) << "seed " << seed;
    }
    // It is changed in place: where the trail was lost it was found again, in this very plan.
    EXPECT_GT(sure, plan.size() / 2) << "seed " << seed << ", round " << round;
    EXPECT_LE(wrong, 3u) << "seed " << seed;
    ASSERT_TRUE(plan.back().guess) << "seed " << seed << ", round " << round;
  }
}

}  // namespace
}  // namespace varve
