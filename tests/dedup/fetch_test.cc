// Goal: a chunk is given out whole or not at all, by hint or by index; the cache stays within its
// bounds and decodes once.

#include "dedup/fetch.h"

#include <thread>

#include "dedup/segment_cache.h"
#include "tests/dedup/ingest_world.h"

namespace varve {
namespace {

TEST(Fetch, StaleHintsCostTimeOnly) {
  IngestWorld world;
  auto stream = world.open_stream();
  const Bytes a = random_bytes(world.random, 100), b = random_bytes(world.random, 100);
  const ChunkId id_a = world.ingest->put(*stream, a)->id;
  ASSERT_TRUE(world.ingest->flush().ok());
  const ChunkId id_b = world.ingest->put(*stream, b)->id;
  const PackId pack = world.index->find(id_a).value()->pack;
  for (const ChunkPlace& hint :
       {ChunkPlace{pack, 0}, ChunkPlace{pack, 77}, ChunkPlace{id_of<PackId>(9), 0}}) {
    EXPECT_TRUE(std::ranges::equal(world.fetch->chunk(id_a, {.hint = hint})->bytes, a));
    EXPECT_TRUE(std::ranges::equal(world.fetch->chunk(id_b, {.hint = hint})->bytes, b));
  }
  EXPECT_EQ(world.metric("varve_damaged_segments_total"), 0u);
}

TEST(Fetch, AHintIsEnough) {
  IngestWorld world;
  auto stream = world.open_stream();
  const Bytes a = random_bytes(world.random, 100);
  const ChunkId id = world.ingest->put(*stream, a)->id;
  const auto sealed = world.ingest->seal_open(PackClass::kData).value();
  auto empty = make_memory_chunk_index();
  Fetch fetch(*world.packs, *empty, nullptr, nullptr, world.metrics, kMiB);
  EXPECT_TRUE(fetch.chunk(id, {.hint = ChunkPlace{sealed[0].info.pack, 0}}).ok());
  EXPECT_EQ(fetch.chunk(id).error().code(), Errc::kCorrupt);
}

TEST(Fetch, DamageIsNeverGivenOutAndAnotherCopyIsTaken) {
  IngestWorld world;
  auto stream = world.open_stream();
  const Bytes a = random_bytes(world.random, 100);
  const ChunkId id = world.ingest->put(*stream, a)->id;
  const auto first = world.ingest->seal_open(PackClass::kData).value();
  // A second pack with the same chunk, as another writer would have made it.
  auto index = make_memory_chunk_index();
  Ingest other(*world.packs, *index, world.hasher, *world.executor, world.metrics, {});
  auto other_stream = other.open_stream(SegmentType::kChunks, Ingest::Access::kSequential);
  ASSERT_TRUE(other.put(*other_stream, a)->is_new);
  const auto second = other.seal_open(PackClass::kData).value();
  const std::string path = pack_path(PackClass::kData, first[0].info.hash);
  world.fetch->drop_cache();
  ASSERT_TRUE(world.storage.flip_bit(path, 8 * 200));
  auto damaged = world.fetch->chunk(id);
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.error().code(), Errc::kCorrupt);
  EXPECT_NE(damaged.error().message().find(path), std::string::npos);
  EXPECT_NE(damaged.error().message().find(id.hex()), std::string::npos);
  EXPECT_TRUE(world.fetch->chunk(id, {.hint = ChunkPlace{second[0].info.pack, 0}}).ok());
  world.index->add_pack(second[0].info.pack, second[0].index);
  EXPECT_TRUE(std::ranges::equal(
      world.fetch->chunk(id, {.hint = ChunkPlace{first[0].info.pack, 0}})->bytes, a));
}

TEST(Fetch, WhatIsMadeReadyIsGivenOutAsItIsWithDamageInIt) {
  IngestWorld world;
  std::vector<Bytes> contents;
  std::vector<Fetch::Asked> asked;
  std::vector<PackStore::Recovered> sealed;
  for (size_t i = 0; i < 40; i++) {
    const auto stream = world.open_stream();
    contents.push_back(random_bytes(world.random, 1000 + i % 4));
    asked.push_back(
        {world.ingest->put(*stream, contents.back())->id, {.length_min = contents.back().size()}});
    // Several packs, the first of which is damaged below.
    if (i % 10 == 9) sealed = world.ingest->seal_open(PackClass::kData).value();
    if (i == 9) {
      const std::string path = pack_path(PackClass::kData, sealed[0].info.hash);
      ASSERT_TRUE(world.storage.flip_bit(path, 8 * 200));
    }
  }
  asked.push_back({id_of<ChunkId>(1), {}});  // nowhere
  const NamesAhead ready = world.fetch->make_ready(asked);
  EXPECT_EQ(world.metric("varve_segments_decoded_total"), 3u);
  for (size_t i = 0; i < contents.size(); i++) {
    const auto chunk = world.fetch->chunk(asked[i].id, asked[i].wish);
    ASSERT_EQ(chunk.ok(), i >= 10) << i;
    EXPECT_TRUE(!chunk.ok() || std::ranges::equal(chunk->bytes, contents[i])) << i;
  }
  EXPECT_FALSE(world.fetch->chunk(asked.back().id).ok());
  EXPECT_EQ(world.metric("varve_segments_decoded_total"), 3u) << "nothing was decoded twice";
}

TEST(Fetch, WhatLayInAMissingPackIsStoredAgain) {
  IngestWorld world;
  auto stream = world.open_stream();
  const Bytes a = random_bytes(world.random, 100);
  const ChunkId id = world.ingest->put(*stream, a)->id;
  const PackInfo info = world.ingest->seal_open(PackClass::kData)->front().info;
  const std::string path = pack_path(info.pack_class, info.hash);
  const Bytes file = *read_whole(world.storage, path, kPackBytes);
  world.reopen();
  world.packs->add(info);
  Ingest ingest(*world.packs, *world.index, world.hasher, *world.executor, world.metrics, {});
  Fetch fetch(*world.packs, *world.index, &ingest, nullptr, world.metrics, kMiB);
  ASSERT_TRUE(world.storage.unlink(path).ok());
  EXPECT_EQ(fetch.chunk(id).error().code(), Errc::kCorrupt);
  auto again = ingest.open_stream(SegmentType::kChunks, Ingest::Access::kSequential);
  EXPECT_TRUE(ingest.put(*again, a)->is_new) << "else the new file would be lost with the old one";
  ASSERT_TRUE(ingest.flush().ok());
  EXPECT_TRUE(std::ranges::equal(fetch.chunk(id)->bytes, a));
  EXPECT_TRUE(world.packs->take_returned().empty());
  ASSERT_TRUE(write_whole(world.storage, path, file).ok());
  EXPECT_EQ(world.packs->take_returned(), std::vector<PackInfo>{info});
  EXPECT_TRUE(world.packs->take_returned().empty());
}

TEST(Fetch, PrefetchedSegmentsAreHits) {
  IngestWorld world;
  auto stream = world.open_stream();
  const Bytes a = random_bytes(world.random, 100);
  const ChunkId id = world.ingest->put(*stream, a)->id;
  world.fetch->prefetch(id);  // pending: nothing to do
  ASSERT_TRUE(world.ingest->flush().ok());
  world.fetch->prefetch(id);
  EXPECT_EQ(world.metric("varve_cache_misses_total"), 1u);
  EXPECT_TRUE(world.fetches(id, a));
  EXPECT_EQ(world.metric("varve_cache_misses_total"), 1u);
  EXPECT_EQ(world.metric("varve_cache_hits_total"), 1u);
  world.fetch->prefetch(world.hasher.chunk_id(Bytes(3)));
}

SegmentCache::Segment segment_of(size_t bytes) {
  Buffer raw(bytes);
  return std::make_shared<const DecodedSegment>(SegmentType::kChunks, std::move(raw),
                                                std::vector<IndexedChunk>());
}

TEST(SegmentCache, StaysWithinItsBytesAndKeepsTheLastUsed) {
  Metrics metrics;
  SegmentCache cache(10000, metrics);
  int decodes = 0;
  const auto get = [&](uint32_t number, size_t bytes) {
    return cache.get({PackId(), number}, [&]() -> Result<SegmentCache::Segment> {
      decodes++;
      return segment_of(bytes);
    });
  };
  for (uint32_t i = 0; i < 4; i++) ASSERT_TRUE(get(i, 2000).ok());
  ASSERT_TRUE(get(0, 2000).ok());
  ASSERT_TRUE(get(4, 2000).ok());
  EXPECT_EQ(decodes, 5);
  EXPECT_TRUE(cache.has({PackId(), 0}));
  EXPECT_FALSE(cache.has({PackId(), 1}));
  EXPECT_LE(metrics.gauge("varve_cache_bytes", "").value(), 10000u);
  ASSERT_TRUE(get(9, 50000).ok());  // larger than all: given, not kept
  EXPECT_TRUE(cache.has({PackId(), 0}));
  EXPECT_FALSE(cache.has({PackId(), 9}));
  cache.clear();
  EXPECT_FALSE(cache.has({PackId(), 0}));
}

TEST(SegmentCache, FailuresAreNotKept) {
  Metrics metrics;
  SegmentCache cache(10000, metrics);
  EXPECT_FALSE(cache.get({}, []() -> Result<SegmentCache::Segment> { return Errc::kIo; }).ok());
  EXPECT_TRUE(cache.get({}, []() -> Result<SegmentCache::Segment> { return segment_of(1); }).ok());
}

TEST(SegmentCache, WhoAsksMeanwhileWaitsForTheOneDecode) {
  Metrics metrics;
  SegmentCache cache(10000, metrics);
  std::atomic<int> decodes = 0, asked = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&] {
      asked++;
      EXPECT_TRUE(cache
                      .get({},
                           [&]() -> Result<SegmentCache::Segment> {
                             while (asked < 4) std::this_thread::yield();
                             decodes++;
                             return segment_of(1);
                           })
                      .ok());
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(decodes, 1);
}

}  // namespace
}  // namespace varve
