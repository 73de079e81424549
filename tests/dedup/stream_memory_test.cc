// Goal: data that is written again is followed through its packs, and whatever was changed in it is
// cut and stored as if nobody had remembered anything.
#include "dedup/stream_memory.h"

#include <random>
#include <thread>

#include "tests/dedup/ingest_world.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

struct FollowedWorld : IngestWorld {
  const ChunkerSizes sizes = ChunkerSizes::of_average(16 * kKiB).value();
  const Chunker chunker{test_keyring(), sizes};

  struct Written {
    std::vector<ChunkId> ids;
    std::vector<size_t> lengths;
    size_t bytes_new = 0;
  };
  Written write(ByteView bytes) {
    const auto stream = open_stream();
    Written written;
    while (!bytes.empty()) {
      const auto puts = ingest->put_fronts(*stream, bytes, chunker, bytes.size());
      if (!puts.ok()) {
        ADD_FAILURE() << puts.error().message();
        break;
      }
      for (const Ingest::Put& put : *puts) {
        written.ids.push_back(put.id);
        written.lengths.push_back(put.length);
        if (put.is_new) written.bytes_new += put.length;
        bytes = bytes.subspan(put.length);
      }
    }
    return written;
  }
  Ingest::Put put_one(Ingest::Stream& stream, ByteView bytes) {
    const auto puts = ingest->put_fronts(stream, bytes, chunker);
    EXPECT_TRUE(puts.ok() && puts->size() == 1);
    return puts->front();
  }
  std::vector<size_t> cuts(ByteView bytes) const {
    std::vector<size_t> lengths;
    for (; !bytes.empty(); bytes = bytes.subspan(lengths.back()))
      lengths.push_back(chunker.cut(bytes));
    return lengths;
  }
  void seal() { ASSERT_TRUE(ingest->seal_open(PackClass::kData).ok()); }
  uint64_t expected() { return metric("varve_chunks_expected_total"); }
  bool reads_back(const Written& written, ByteView bytes) {
    for (size_t i = 0; i < written.ids.size(); i++) {
      if (!fetches(written.ids[i], bytes.first(written.lengths[i]))) return false;
      bytes = bytes.subspan(written.lengths[i]);
    }
    return bytes.empty();
  }
};

TEST(StreamMemory, FollowsWhatIsWrittenAgain) {
  FollowedWorld world;
  const Bytes bytes = random_bytes(world.random, 4 * kMiB);
  const size_t count = world.write(bytes).ids.size();
  EXPECT_EQ(world.expected(), 0u);
  world.seal();
  const FollowedWorld::Written again = world.write(bytes);
  EXPECT_EQ(again.bytes_new, 0u);
  EXPECT_EQ(again.lengths, world.cuts(bytes));
  // All but those that were cut at once before it was known which pack it is, and those at the end,
  // which are cut one by one.
  EXPECT_GT(world.expected(), count - 40);
}

TEST(StreamMemory, GuessesNothingFromPacksThatAreNotSealed) {
  FollowedWorld world;
  const Bytes bytes = random_bytes(world.random, kMiB);
  world.write(bytes);
  ASSERT_TRUE(world.ingest->flush().ok());
  EXPECT_EQ(world.write(bytes).bytes_new, 0u);
  EXPECT_EQ(world.expected(), 0u);
  world.seal();
  EXPECT_EQ(world.write(bytes).bytes_new, 0u);
  EXPECT_GT(world.expected(), 0u);
}

TEST(StreamMemory, ChangesAreCutAsIfNothingWereRemembered) {
  const uint64_t seed = test_seed();
  std::mt19937_64 random(seed);
  FollowedWorld world;
  Bytes bytes = random_bytes(world.random, 3 * kMiB);
  std::fill_n(bytes.begin() + kMiB, 200 * kKiB, uint8_t{0});
  world.write(bytes);
  for (int version = 0; version < 12; version++) {
    world.seal();
    for (uint64_t edits = random() % 6; edits > 0; edits--) {
      const auto at = bytes.begin() + static_cast<ptrdiff_t>(random() % (bytes.size() - 50'000));
      const auto size = static_cast<ptrdiff_t>(random() % 40'000 + 1);
      const Bytes fresh = random_bytes(world.random, static_cast<size_t>(size));
      const uint64_t kind = random() % 3;
      if (kind == 0) std::copy(fresh.begin(), fresh.end(), at);
      if (kind == 1) bytes.insert(at, fresh.begin(), fresh.end());
      if (kind == 2) bytes.erase(at, at + size);
    }
    const FollowedWorld::Written written = world.write(bytes);
    ASSERT_EQ(written.lengths, world.cuts(bytes)) << "seed " << seed << ", version " << version;
    ASSERT_TRUE(world.reads_back(written, bytes)) << "seed " << seed << ", version " << version;
  }
  EXPECT_GT(world.expected(), 200u);
}

TEST(StreamMemory, ManyStreamsFollowTheSamePacksAtOnce) {
  FollowedWorld world;
  const Bytes bytes = random_bytes(world.random, 2 * kMiB);
  world.write(bytes);
  world.seal();
  std::vector<FollowedWorld::Written> written(4);
  std::vector<std::thread> writers;
  for (FollowedWorld::Written& one : written)
    writers.emplace_back([&] { one = world.write(bytes); });
  for (std::thread& writer : writers) writer.join();
  for (const FollowedWorld::Written& one : written) {
    EXPECT_EQ(one.bytes_new, 0u);
    EXPECT_EQ(one.ids, written[0].ids);
  }
  EXPECT_GT(world.expected(), 4 * (written[0].ids.size() - 40));
}

TEST(StreamMemory, WhatIsGoneIsStoredAgain) {
  FollowedWorld world;
  const Bytes bytes = random_bytes(world.random, kMiB);
  world.write(bytes);
  auto sealed = world.ingest->seal_open(PackClass::kData);
  ASSERT_TRUE(sealed.ok());
  const auto stream = world.open_stream();
  ByteView rest = bytes;
  for (int i = 0; i < 4; i++) rest = rest.subspan(world.put_one(*stream, rest).length);
  ASSERT_GT(world.expected(), 0u);
  for (const PackStore::Recovered& pack : *sealed) world.index->remove_pack(pack.info.pack);
  const Ingest::Put put = world.put_one(*stream, rest);
  EXPECT_TRUE(put.is_new);
  EXPECT_TRUE(world.fetches(put.id, rest.first(put.length)));
}

TEST(StreamMemory, ADamagedPackIndexIsNoGuess) {
  FollowedWorld world;
  const Bytes bytes = random_bytes(world.random, kMiB);
  world.write(bytes);
  world.seal();
  for (const std::string& path : world.storage.files()) {
    if (!path.starts_with("packs/")) continue;
    const auto length = world.storage.open_read(path).value()->length().value();
    for (uint64_t byte = length - 4096; byte < length; byte += 8)
      world.storage.flip_bit(path, 8 * byte);
  }
  const FollowedWorld::Written again = world.write(bytes);
  EXPECT_EQ(again.lengths, world.cuts(bytes));
  EXPECT_EQ(again.bytes_new, 0u);
  EXPECT_EQ(world.expected(), 0u);
}

}  // namespace
}  // namespace varve
