// Goal: ids of chunks and objects are HMAC-SHA-256 as docs/format.md says, from any thread, and
// tell kinds apart.

#include "dedup/hasher.h"

#include <random>
#include <thread>

#include "tests/dedup/hmac_by_definition.h"
#include "tests/dedup/key_world.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

TEST(Hasher, ChunkIdsAreHmacUnderTheChunkIdKey) {
  const Keyring keyring = seeded_keyring(1);
  const Hasher hasher(keyring);
  const Secret key = keyring.dedup_key("varve/1 chunk id");
  for (const size_t length : {0, 1, 55, 56, 63, 64, 65, 4096, 100000}) {
    const Bytes chunk(length, 0xa5);
    EXPECT_EQ(hasher.chunk_id(chunk), hmac_by_definition(key, chunk)) << length;
  }
}

TEST(Hasher, ManyItemsAtOnceHaveTheIdsThatTheyHaveOneByOne) {
  const uint64_t seed = test_seed();
  std::mt19937_64 random(seed);
  const Hasher hasher(seeded_keyring(1));
  Bytes data(200'000);
  for (uint8_t& byte : data) byte = static_cast<uint8_t>(random());
  // Of lengths around blocks, and longer than what is hashed side by side; more than one burst.
  const size_t lengths[] = {1, 55, 56, 63, 64, 65, 4096, 32'000, 65'000, 65'001, 65'536, 100'000};
  for (const size_t count : {0, 1, 11, 12, 13, 64, 128, 129, 300}) {
    std::vector<ByteView> items;
    for (size_t i = 0; i < count; i++)
      items.push_back(ByteView(data).subspan(random() % 90'000, lengths[random() % 12]));
    std::vector<ChunkId> ids(count);
    ASSERT_TRUE(hasher.item_ids(SegmentType::kChunks, items, ids).ok());
    for (size_t i = 0; i < count; i++)
      ASSERT_EQ(ids[i], hasher.chunk_id(items[i]))
          << "seed " << seed << ", " << i << " of " << count;
  }
}

TEST(Hasher, ManyThreadsHashManyItemsAtOnce) {
  const Hasher hasher(seeded_keyring(1));
  const Bytes data(40'000, 0x17);
  std::vector<std::thread> threads;
  for (size_t thread = 0; thread < 4; thread++) {
    threads.emplace_back([&, thread] {
      std::vector<ByteView> items;
      for (size_t i = 0; i < 40; i++) items.push_back(ByteView(data).first(1 + 1000 * thread + i));
      std::vector<ChunkId> ids(items.size());
      for (int round = 0; round < 20; round++) {
        ASSERT_TRUE(hasher.item_ids(SegmentType::kChunks, items, ids).ok());
        for (size_t i = 0; i < items.size(); i++) ASSERT_EQ(ids[i], hasher.chunk_id(items[i]));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Hasher, OneItemAmongManyThatIsNoObjectIsAnError) {
  const Hasher hasher(seeded_keyring(1));
  const Bytes whole = {1, 0, 0, 0, 'x'}, broken = {9, 0, 0, 0, 'x'};
  std::vector<ByteView> items(20, whole);
  std::vector<ChunkId> ids(items.size());
  EXPECT_TRUE(hasher.item_ids(SegmentType::kTree, items, ids).ok());
  EXPECT_EQ(ids[19], *hasher.item_id(SegmentType::kTree, whole));
  items[13] = broken;
  EXPECT_EQ(hasher.item_ids(SegmentType::kTree, items, ids).error().code(), Errc::kCorrupt);
}

TEST(Hasher, ObjectIdsAreOfTypeAndCanonicalPartUnderAnotherKey) {
  const Keyring keyring = seeded_keyring(1);
  const Hasher hasher(keyring);
  const Bytes canonical(100, 7);
  Encoder message;
  message.u8(2).raw(canonical);
  EXPECT_EQ(hasher.object_id(SegmentType::kTree, canonical),
            hmac_by_definition(keyring.dedup_key("varve/1 object id"), message.view()));
  EXPECT_NE(hasher.object_id(SegmentType::kTree, canonical),
            hasher.object_id(SegmentType::kIndexBundle, canonical));
  EXPECT_NE(hasher.object_id(SegmentType::kTree, canonical), hasher.chunk_id(canonical));
}

TEST(Hasher, AnotherStoreHasOtherIds) {
  const Bytes chunk(1000, 1);
  EXPECT_NE(Hasher(seeded_keyring(1)).chunk_id(chunk), Hasher(seeded_keyring(2)).chunk_id(chunk));
}

TEST(Hasher, AnItemsIdDoesNotDependOnItsHints) {
  const Hasher hasher(seeded_keyring(1));
  const Bytes canonical(10, 3);
  Encoder plain, hinted;
  plain.u32(10).raw(canonical);
  hinted.u32(10).raw(canonical).raw(Bytes(5, 9));
  const ChunkId id = hasher.object_id(SegmentType::kTree, canonical);
  EXPECT_EQ(hasher.item_id(SegmentType::kTree, plain.view()).value(), id);
  EXPECT_EQ(hasher.item_id(SegmentType::kTree, hinted.view()).value(), id);
  EXPECT_EQ(hasher.item_id(SegmentType::kChunks, plain.view()).value(),
            hasher.chunk_id(plain.view()));
}

TEST(Hasher, RefusesAnObjectThatIsShorterThanItSays) {
  const Hasher hasher(seeded_keyring(1));
  Encoder item;
  item.u32(11).raw(Bytes(10, 3));
  for (size_t length = 0; length <= item.size(); length++) {
    const auto id = hasher.item_id(SegmentType::kTree, item.view().first(length));
    ASSERT_FALSE(id.ok());
    ASSERT_EQ(id.error().code(), Errc::kCorrupt);
  }
}

TEST(Hasher, GivesTheSameIdsInManyThreads) {
  const Hasher hasher(seeded_keyring(1));
  const Bytes chunk(777, 1);
  const ChunkId expected = hasher.chunk_id(chunk);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&] {
      for (int round = 0; round < 500; round++) wrong += hasher.chunk_id(chunk) != expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace varve
