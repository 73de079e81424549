// Goal: a run's table lets every chunk pass that it was given and few others, tells where each
// bucket's rows are, and refuses stored lines that do not fit together; rows are sorted by key
// with those of one key in their order.
#include "dedup/bucket_table.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/test_seed.h"

namespace varve {
namespace {

std::vector<ChunkKey> random_keys(std::mt19937_64& random, size_t count) {
  std::vector<ChunkKey> keys;
  for (size_t i = 0; i < count; i++) keys.push_back({random(), random()});
  std::sort(keys.begin(), keys.end());
  return keys;
}

/// With rows as a run's writer numbers them.
BucketTable table_of(const std::vector<ChunkKey>& keys) {
  BucketTable table(BucketTable::buckets_for(keys.size()));
  size_t next = 0;
  for (uint64_t bucket = 0; bucket < table.buckets(); bucket++) {
    const size_t first = next;
    while (next < keys.size() && table.bucket_of(keys[next]) == bucket) table.add(keys[next++]);
    table.set_rows(bucket, {first, next - first, bucket * 7});
  }
  return table;
}

TEST(BucketTable, HoldsWhatItWasGivenAndFewOthers) {
  std::mt19937_64 random(test_seed());
  const auto keys = random_keys(random, 100000);
  const BucketTable table = table_of(keys);
  for (const ChunkKey& key : keys) ASSERT_TRUE(table.may_hold(key));
  size_t passed = 0;
  for (const ChunkKey& key : random_keys(random, 100000)) passed += table.may_hold(key) ? 1 : 0;
  EXPECT_LT(passed, 1000u);
  EXPECT_LE(table.memory_bytes(), 2 * keys.size() + BucketTable::kLineBytes);
}

TEST(BucketTable, TellsTheRowsOfEachBucket) {
  std::mt19937_64 random(test_seed());
  const auto keys = random_keys(random, 10000);
  BucketTable table = table_of(keys);
  for (size_t i = 0; i < keys.size(); i++) {
    const BucketTable::Rows rows = table.rows_of(table.bucket_of(keys[i]));
    ASSERT_LE(rows.first, i);
    ASSERT_LT(i, rows.first + rows.count);
    ASSERT_EQ(rows.hash, table.bucket_of(keys[i]) * 7);
  }
  EXPECT_TRUE(table.accept(keys.size()));
  EXPECT_FALSE(table.accept(keys.size() + 1));
  EXPECT_FALSE(table.accept(keys.size() - 1));
}

TEST(BucketTable, ABucketMayHaveMoreRowsThanItsCountHolds) {
  BucketTable table(3);
  table.set_rows(0, {0, 1, 0});
  table.set_rows(1, {1, 70000, 0});
  table.set_rows(2, {70001, 66000, 0});
  EXPECT_EQ(table.rows_of(0).count, 1u);
  EXPECT_EQ(table.rows_of(1).count, 70000u);
  EXPECT_EQ(table.rows_of(2).count, 66000u) << "the last one ends with the rows";
  BucketTable copy(3);
  const ByteSpan from = table.bytes();
  std::copy(from.begin(), from.end(), copy.bytes().begin());
  ASSERT_TRUE(copy.accept(136001));
  EXPECT_EQ(copy.rows_of(2).count, 66000u);
}

TEST(BucketTable, LinesThatDoNotFitTogetherAreRefused) {
  std::mt19937_64 random(test_seed());
  const auto keys = random_keys(random, 1000);
  BucketTable table = table_of(keys);
  constexpr size_t kPlaceAt = 48;  // behind the filter's words
  for (size_t bucket = 0; bucket < table.buckets(); bucket++) {
    for (size_t byte = 0; byte < 8; byte++) {
      uint8_t& place = table.bytes()[bucket * BucketTable::kLineBytes + kPlaceAt + byte];
      place ^= 0x40;
      EXPECT_FALSE(table.accept(keys.size())) << bucket << " " << byte;
      place ^= 0x40;
    }
  }
  EXPECT_TRUE(table.accept(keys.size()));
}

TEST(BucketTable, GreatOnesAreEmptyToo) {
  const BucketTable table(100000);
  for (uint64_t bucket = 0; bucket < table.buckets(); bucket += 997) {
    EXPECT_EQ(table.rows_of(bucket).count, 0u);
    EXPECT_FALSE(table.may_hold({bucket << 47, 5}));
  }
}

TEST(SortRows, KeepsTheOrderOfOneKeysRows) {
  std::mt19937_64 random(test_seed());
  for (const size_t count : {0, 1, 2, 50, 5000, 100000}) {
    std::vector<ChunkRow> rows;
    for (size_t i = 0; i < count; i++) {
      // Some keys many times, and neighbours that differ in their last bits alone.
      const uint64_t high = i % 3 == 0 ? random() : random() % 4;
      rows.push_back({{high, random() % 8}, static_cast<uint32_t>(i), 1});
    }
    std::vector<ChunkRow> expected = rows;
    std::stable_sort(expected.begin(), expected.end(),
                     [](const ChunkRow& a, const ChunkRow& b) { return a.key < b.key; });
    sort_rows(rows);
    ASSERT_EQ(rows.size(), expected.size());
    for (size_t i = 0; i < rows.size(); i++) {
      ASSERT_EQ(rows[i].key, expected[i].key);
      ASSERT_EQ(rows[i].pack, expected[i].pack);
    }
  }
}

}  // namespace
}  // namespace varve
