// Goal: every chunk that was put is found at every moment, is stored once, and is durable after
// sync; and no failure of the disk loses or repeats one.

#include "dedup/ingest.h"

#include <thread>

#include "dedup/base/checksum.h"
#include "tests/dedup/ingest_world.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

TEST(Ingest, ChunksAreFoundBeforeAndAfterTheyAreInPacks) {
  IngestWorld world;
  auto stream = world.open_stream();
  const Bytes a = random_bytes(world.random, 1000), b = random_bytes(world.random, 1);
  auto put = world.ingest->put(*stream, a);
  ASSERT_TRUE(put.ok());
  EXPECT_TRUE(put->is_new);
  EXPECT_EQ(put->id, world.hasher.chunk_id(a));
  EXPECT_FALSE(world.ingest->put(*stream, a)->is_new);
  EXPECT_EQ(world.ingest->find_pending(put->id), a);
  EXPECT_TRUE(world.fetches(put->id, a));
  EXPECT_GE(world.ingest->outstanding_bytes(), 1000u);
  ASSERT_TRUE(world.ingest->flush().ok());
  EXPECT_EQ(world.ingest->find_pending(put->id), std::nullopt);
  EXPECT_EQ(world.ingest->outstanding_bytes(), 0u);
  EXPECT_TRUE(world.fetches(put->id, a));
  EXPECT_FALSE(world.ingest->put(*stream, a)->is_new);
  EXPECT_TRUE(world.ingest->put(*stream, b)->is_new);
  EXPECT_EQ(world.metric("varve_chunks_new_total"), 2u);
  EXPECT_EQ(world.metric("varve_chunks_known_total"), 2u);
  EXPECT_EQ(world.metric("varve_ingest_raw_bytes_total"), 3001u);
  EXPECT_EQ(world.metric("varve_ingest_new_bytes_total"), 1001u);
}

TEST(Ingest, RefusesWhatIsNoChunk) {
  IngestWorld world;
  auto stream = world.open_stream();
  EXPECT_EQ(world.ingest->put(*stream, {}).error().code(), Errc::kInvalid);
  EXPECT_EQ(world.ingest->put(*stream, Bytes(kSegmentRawBytesMax + 1)).error().code(),
            Errc::kTooLarge);
  const Bytes largest(kSegmentRawBytesMax, 7);
  auto put = world.ingest->put(*stream, largest);
  ASSERT_TRUE(put.ok());
  ASSERT_TRUE(world.ingest->flush().ok());
  EXPECT_TRUE(world.fetches(put->id, largest));
}

TEST(Ingest, ADamagedRunOfTheIndexCostsSpaceAlone) {
  IngestWorld world;
  world.index = open_chunk_index(world.storage, "local/index").value();
  Ingest ingest(*world.packs, *world.index, world.hasher, *world.executor, world.metrics, {});
  auto stream = ingest.open_stream(SegmentType::kChunks, Ingest::Access::kSequential);
  const Bytes a = random_bytes(world.random, 100);
  ASSERT_TRUE(ingest.put(*stream, a)->is_new);
  ASSERT_TRUE(ingest.seal_open(PackClass::kData).ok());
  ASSERT_TRUE(world.index->settle().ok());
  EXPECT_FALSE(ingest.put(*stream, a)->is_new);
  for (const std::string& path : world.storage.files()) {
    if (path.starts_with("local/index/run-")) {
      ASSERT_TRUE(world.storage.flip_bit(path, 8 * 4096 + 100));
    }
  }
  auto put = ingest.put(*stream, a);
  ASSERT_TRUE(put.ok()) << put.error().message();
  EXPECT_TRUE(put->is_new);
}

TEST(Ingest, WhatWasSyncedSurvivesThePower) {
  IngestWorld world;
  auto stream = world.open_stream();
  auto tree = world.ingest->open_stream(SegmentType::kTree, Ingest::Access::kSequential);
  const Bytes chunk = random_bytes(world.random, 5000), object = object_of(chunk, {});
  const ChunkId id = world.ingest->put(*stream, chunk)->id;
  const ChunkId object_id = world.ingest->put(*tree, object)->id;
  auto lengths = world.ingest->sync();
  ASSERT_TRUE(lengths.ok());
  ASSERT_EQ(lengths->size(), 2u);
  (void)world.ingest->put(*stream, random_bytes(world.random, 5000)).ok();
  (void)world.ingest->flush().ok();
  stream.reset();
  tree.reset();
  world.fetch.reset();
  world.ingest.reset();
  world.storage.power_cut(test_seed());
  world.reopen();
  auto index = make_memory_chunk_index();
  for (const OpenPackLength& open : *lengths) {
    auto recovered = world.packs->recover(open.pack, open.length);
    ASSERT_TRUE(recovered.ok() && *recovered);
    EXPECT_EQ((*recovered)->info.pack_class, open.pack_class);
    index->add_pack(open.pack, (*recovered)->index);
  }
  Fetch fetch(*world.packs, *index, nullptr, nullptr, world.metrics, kMiB);
  EXPECT_TRUE(std::ranges::equal(fetch.chunk(id)->bytes, chunk));
  EXPECT_TRUE(std::ranges::equal(fetch.chunk(object_id)->bytes, object));
}

TEST(Ingest, ClassesHaveTheirOwnPacksAndEachIsReportedOnce) {
  IngestWorld world;
  EXPECT_TRUE(world.ingest->seal_open(PackClass::kData)->empty());
  auto stream = world.open_stream();
  auto tree = world.ingest->open_stream(SegmentType::kTree, Ingest::Access::kSequential);
  ASSERT_TRUE(world.ingest->put(*stream, Bytes(100, 1)).ok());
  ASSERT_TRUE(world.ingest->put(*tree, object_of(Bytes(100, 1), {})).ok());
  auto sealed = world.ingest->seal_open(PackClass::kCatalog);
  ASSERT_TRUE(sealed.ok());
  ASSERT_EQ(sealed->size(), 1u);
  EXPECT_EQ(sealed->front().info.pack_class, PackClass::kCatalog);
  EXPECT_EQ(sealed->front().index.segments[0].type, SegmentType::kTree);
  EXPECT_EQ(world.ingest->sync()->size(), 1u);
  EXPECT_TRUE(world.ingest->take_sealed().empty());
  sealed = world.ingest->seal_open(PackClass::kData);
  ASSERT_EQ(sealed->size(), 1u);
  EXPECT_EQ(world.packs->find(sealed->front().info.pack), sealed->front().info);
  EXPECT_TRUE(world.ingest->sync()->empty());
}

TEST(Ingest, TinyStreamsShareSegments) {
  IngestWorld world;
  std::vector<Bytes> chunks;
  for (int i = 0; i < 10000; i++) {
    auto stream = world.open_stream();
    chunks.push_back(random_bytes(world.random, 50));
    ASSERT_TRUE(world.ingest->put(*stream, chunks.back()).ok());
  }
  auto sealed = world.ingest->seal_open(PackClass::kData);
  ASSERT_EQ(sealed->size(), 1u);
  EXPECT_EQ(sealed->front().index.segments.size(), 1u);
  EXPECT_EQ(sealed->front().index.chunks.size(), 10000u);
  for (size_t i = 0; i < chunks.size(); i += 97)
    EXPECT_TRUE(world.fetches(world.hasher.chunk_id(chunks[i]), chunks[i]));
}

TEST(Ingest, SegmentsAreAsLongAsTheirKindSays) {
  IngestWorld world;
  const auto lengths = [&](SegmentType type, Ingest::Access access, PackClass in) {
    auto stream = world.ingest->open_stream(type, access);
    for (int i = 0; i < 64; i++)
      EXPECT_TRUE(world.ingest->put(*stream, random_bytes(world.random, 32 * kKiB)).ok());
    std::vector<uint32_t> found;
    auto sealed = world.ingest->seal_open(in);
    for (const IndexedSegment& segment : sealed->front().index.segments)
      found.push_back(segment.raw_length);
    return found;
  };
  using Access = Ingest::Access;
  EXPECT_EQ(lengths(SegmentType::kChunks, Access::kSequential, PackClass::kData),
            std::vector<uint32_t>(2, kStreamSegmentBytes));
  EXPECT_EQ(lengths(SegmentType::kChunks, Access::kRandom, PackClass::kData),
            std::vector<uint32_t>(32, kImageSegmentBytes));
}

TEST(Ingest, FullPacksAreSealedAndTheirChunksStayReadable) {
  IngestWorld world({}, 2);
  std::vector<ChunkId> ids;
  Bytes chunk = random_bytes(world.random, kMiB);
  auto stream = world.open_stream();
  for (uint32_t i = 0; i < 66; i++) {
    std::memcpy(chunk.data(), &i, sizeof i);
    auto put = world.ingest->put(*stream, chunk);
    ASSERT_TRUE(put.ok());
    ids.push_back(put->id);
  }
  ASSERT_TRUE(world.ingest->sync().ok());
  auto sealed = world.ingest->take_sealed();
  ASSERT_EQ(sealed.size(), 1u);
  EXPECT_EQ(sealed[0].info.length, kPackBytes);
  for (uint32_t i = 0; i < ids.size(); i++) {
    std::memcpy(chunk.data(), &i, sizeof i);
    EXPECT_TRUE(world.fetches(ids[i], chunk));
  }
}

TEST(Ingest, LittleMemoryIsEnough) {
  Ingest::Options options;
  options.pending_bytes_max = 1000;
  for (size_t threads : {0, 2}) {
    IngestWorld world(options, threads);
    std::vector<std::unique_ptr<Ingest::Stream>> streams;
    for (int i = 0; i < 20; i++) streams.push_back(world.open_stream());
    for (int i = 0; i < 200; i++) {
      const Bytes chunk = random_bytes(world.random, i % 7 == 0 ? 5000 : 300);
      auto put = world.ingest->put(*streams[static_cast<size_t>(i) % streams.size()], chunk);
      ASSERT_TRUE(put.ok());
      EXPECT_TRUE(world.fetches(put->id, chunk));
    }
  }
}

TEST(Ingest, ManyThreadsStoreEachChunkOnce) {
  constexpr int kThreads = 4, kChunks = 600;
  Ingest::Options options;
  options.pending_bytes_max = 1 * kMiB;
  IngestWorld world(options, 2);
  std::vector<Bytes> chunks;
  for (int i = 0; i < kChunks; i++)
    chunks.push_back(random_bytes(world.random, 100 + static_cast<size_t>(i) * 20));
  std::atomic<int> stored = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kChunks; i++) {
        auto stream =
            world.ingest->open_stream(SegmentType::kChunks, i % 2 == 0 ? Ingest::Access::kSequential
                                                                       : Ingest::Access::kRandom);
        const Bytes& chunk = chunks[static_cast<size_t>(t % 2 == 0 ? i : kChunks - 1 - i)];
        auto put = world.ingest->put(*stream, chunk);
        ASSERT_TRUE(put.ok());
        if (put->is_new) stored++;
        EXPECT_TRUE(world.fetches(put->id, chunk));
        if (i % 100 == 99) {
          EXPECT_TRUE(world.ingest->sync().ok());
        }
        if (i % 250 == 249) {
          EXPECT_TRUE(world.ingest->seal_open(PackClass::kData).ok());
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(stored, kChunks);
  ASSERT_TRUE(world.ingest->sync().ok());
  for (const Bytes& chunk : chunks) EXPECT_TRUE(world.fetches(world.hasher.chunk_id(chunk), chunk));
}

TEST(Ingest, SealedPacksAreReportedOnceToWhoeverAsks) {
  IngestWorld world({}, 2);
  std::atomic<size_t> reported = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; t++) {
    threads.emplace_back([&, t] {
      SeededRandom random(100 + static_cast<uint64_t>(t));
      auto stream = world.open_stream();
      for (int i = 0; i < 20; i++) {
        ASSERT_TRUE(world.ingest->put(*stream, random_bytes(random, 1000)).ok());
        if (t == 0) {
          reported += world.ingest->take_sealed().size();
        } else {
          reported += world.ingest->seal_open(PackClass::kData)->size();
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  reported += world.ingest->take_sealed().size();
  EXPECT_EQ(reported, world.packs->sealed_packs().size());
}

class FullDisk : public testing::TestWithParam<size_t> {};

TEST_P(FullDisk, StallsAndGoesOn) {
  IngestWorld world({}, GetParam());
  world.storage.set_capacity(6 * kMiB);  // the pack reserves 4 MiB of them
  auto stream = world.open_stream();
  std::vector<Bytes> chunks;
  size_t refused = 0;
  while (refused < 3) {
    const Bytes chunk = random_bytes(world.random, 200 * kKiB);
    auto put = world.ingest->put(*stream, chunk);
    if (put.ok()) {
      chunks.push_back(chunk);
    } else {
      ASSERT_EQ(put.error().code(), Errc::kNoSpace);
      refused++;
    }
    ASSERT_LT(chunks.size(), 400u);
    for (const Bytes& each : {chunks.front(), chunks.back()}) {
      EXPECT_TRUE(world.fetches(world.hasher.chunk_id(each), each));
    }
  }
  EXPECT_EQ(world.ingest->flush().error().code(), Errc::kNoSpace);
  EXPECT_EQ(world.ingest->sync().error().code(), Errc::kNoSpace);
  EXPECT_EQ(world.ingest->seal_open(PackClass::kData).error().code(), Errc::kNoSpace);
  EXPECT_FALSE(world.ingest->put(*stream, chunks.front())->is_new);  // known data needs no space
  world.storage.set_capacity(std::nullopt);
  ASSERT_TRUE(world.ingest->sync().ok());
  const Bytes last = random_bytes(world.random, 1000);
  ASSERT_TRUE(world.ingest->put(*stream, last).ok());
  chunks.push_back(last);
  auto sealed = world.ingest->seal_open(PackClass::kData);
  ASSERT_TRUE(sealed.ok());
  size_t count = 0;
  for (const auto& pack : *sealed) {
    count += pack.index.chunks.size();
    const std::string path = pack_path(PackClass::kData, pack.info.hash);
    EXPECT_EQ(sha256(read_whole(world.storage, path, kPackBytes).value()), pack.info.hash);
  }
  EXPECT_EQ(count, chunks.size());
  for (const Bytes& chunk : chunks) EXPECT_TRUE(world.fetches(world.hasher.chunk_id(chunk), chunk));
}
INSTANTIATE_TEST_SUITE_P(Threads, FullDisk, testing::Values(0, 2));

TEST(Ingest, AStallOfObjectsLeavesDataAlone) {
  IngestWorld world({}, 2);
  auto stream = world.open_stream();
  auto tree = world.ingest->open_stream(SegmentType::kTree, Ingest::Access::kSequential);
  world.storage.set_capacity(5 * kMiB);  // the data's pack reserves 4 MiB of them
  ASSERT_TRUE(world.ingest->put(*stream, random_bytes(world.random, 1000)).ok());
  ASSERT_TRUE(world.ingest->sync().ok());
  ASSERT_TRUE(world.ingest->put(*tree, object_of(Bytes(100, 1), {})).ok());
  EXPECT_EQ(world.ingest->seal_open(PackClass::kCatalog).error().code(), Errc::kNoSpace);
  EXPECT_EQ(world.ingest->put(*tree, object_of(Bytes(100, 2), {})).error().code(), Errc::kNoSpace);
  const Bytes chunk = random_bytes(world.random, 2000);
  ASSERT_TRUE(world.ingest->put(*stream, chunk).ok());
  auto lengths = world.ingest->sync();
  ASSERT_TRUE(lengths.ok());
  EXPECT_EQ(lengths->size(), 1u);
  EXPECT_TRUE(world.fetches(world.hasher.chunk_id(chunk), chunk));
  world.storage.set_capacity(std::nullopt);
  EXPECT_EQ(world.ingest->seal_open(PackClass::kCatalog)->size(), 1u);
}

TEST(Ingest, AStallOfOneThreadsSealIsOverForAll) {
  IngestWorld world({}, 2);
  auto stream = world.open_stream();
  world.storage.set_capacity(4 * kMiB);
  for (int i = 0; i < 4; i++)
    ASSERT_TRUE(world.ingest->put(*stream, random_bytes(world.random, kMiB - 100)).ok());
  const Bytes chunk = random_bytes(world.random, 10);
  auto flushed = world.ingest->seal_open(PackClass::kData);
  EXPECT_EQ(flushed.error().code(), Errc::kNoSpace);  // the segments fit, the index does not
  EXPECT_EQ(world.ingest->put(*stream, chunk).error().code(), Errc::kNoSpace);
  world.storage.set_capacity(std::nullopt);
  auto sealed = world.ingest->seal_open(PackClass::kData);
  ASSERT_TRUE(sealed.ok());
  EXPECT_EQ(sealed->size(), 1u);
  EXPECT_TRUE(world.ingest->put(*stream, chunk).ok());
}

TEST(Ingest, AnyOtherFailureIsFinal) {
  for (const bool fail_sync : {false, true}) {
    IngestWorld world({}, 2);
    auto stream = world.open_stream();
    const Bytes kept = random_bytes(world.random, 1000);
    const ChunkId id = world.ingest->put(*stream, kept)->id;
    ASSERT_TRUE(world.ingest->sync().ok());
    const Bytes lost = random_bytes(world.random, 1000);
    ASSERT_TRUE(world.ingest->put(*stream, lost).ok());
    fail_sync ? world.storage.fail_sync(1) : world.storage.fail_write(1);
    EXPECT_EQ(world.ingest->sync().error().code(), Errc::kIo);
    EXPECT_EQ(world.ingest->sync().error().code(), Errc::kIo);
    EXPECT_EQ(world.ingest->flush().error().code(), Errc::kIo);
    EXPECT_EQ(world.ingest->seal_open(PackClass::kData).error().code(), Errc::kIo);
    EXPECT_EQ(world.ingest->put(*stream, kept).error().code(), Errc::kIo);
    EXPECT_TRUE(world.fetches(id, kept));
    EXPECT_TRUE(world.fetches(world.hasher.chunk_id(lost), lost));
  }
}

}  // namespace
}  // namespace varve
