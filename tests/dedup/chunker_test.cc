// Goal: cuts depend on content alone, lie between the sizes, have the mean that is asked for, and
// agree again after a change.

#include "dedup/chunker.h"

#include <set>

#include "dedup/base/codec.h"
#include "dedup/base/limits.h"
#include "tests/dedup/key_world.h"

namespace varve {
namespace {

/// The ends of all chunks of a stream.
std::vector<size_t> cuts_of(const Chunker& chunker, ByteView bytes) {
  std::vector<size_t> ends;
  for (size_t at = 0; at < bytes.size();) {
    at += chunker.cut(bytes.subspan(at));
    ends.push_back(at);
  }
  return ends;
}

/// The algorithm of docs/format.md section 9, word for word.
size_t cut_by_definition(const Keyring& keyring, const ChunkerSizes& sizes, ByteView bytes) {
  const Secret table = keyring.dedup_key("varve/1 gear", 2048);
  const size_t limit = std::min<size_t>(bytes.size(), sizes.maximum);
  int log2_average = 0;
  while ((1u << log2_average) < sizes.average) log2_average++;
  for (size_t length = sizes.minimum + 1; length <= limit; length++) {
    uint64_t hash = 0;
    for (size_t i = length - 64; i < length; i++) {
      Decoder entry(table.view().subspan(bytes[i] * size_t{8}, 8));
      hash = hash * 2 + entry.u64();
    }
    const bool is_nc1 = sizes.algorithm == ChunkerAlgorithm::kGearNc1;
    const int n = is_nc1 ? 1 : 2;
    const size_t normal_point = sizes.average / 16 * (is_nc1 ? 8 : 13);
    const int zeros = length <= normal_point ? log2_average + n : log2_average - n;
    if (hash >> (64 - zeros) == 0) return length;
  }
  return limit;
}

ChunkerSizes nc2_sizes_of(uint64_t average) {
  return ChunkerSizes::of_average(average, ChunkerAlgorithm::kGearNc2).value();
}

TEST(ChunkerSizes, AreOfFourAveragesOnly) {
  for (const uint64_t average : {16, 32, 64, 128}) {
    const ChunkerSizes sizes = sizes_of(average * kKiB);
    EXPECT_EQ(sizes.minimum * 4, sizes.average);
    EXPECT_EQ(sizes.average * 2, sizes.maximum);
    EXPECT_EQ(nc2_sizes_of(average * kKiB).maximum, sizes.average * 4);
  }
  EXPECT_EQ(nc2_sizes_of(128 * kKiB).maximum, kChunkBytesMax / 2);
  for (const uint64_t average :
       {0ul, 1ul, 8 * kKiB, 32 * kKiB + 1, 48 * kKiB, 256 * kKiB, 1ul << 47}) {
    EXPECT_FALSE(ChunkerSizes::of_average(average).ok()) << average;
  }
}

TEST(Chunker, CutsWhereTheFormatSays) {
  const Keyring keyring = seeded_keyring(1);
  const Bytes bytes = random_bytes(1, 300 * kKiB);
  for (const ChunkerSizes& sizes : {sizes_of(16 * kKiB), nc2_sizes_of(16 * kKiB)}) {
    const Chunker chunker(keyring, sizes);
    size_t before = 0;
    for (const size_t end : cuts_of(chunker, bytes)) {
      ASSERT_EQ(end - before, cut_by_definition(keyring, sizes, ByteView(bytes).subspan(before)));
      before = end;
    }
  }
}

TEST(Chunker, CutsAtTheSamePlacesForEver) {
  // Changing these places would make every store forget what it holds.
  const Bytes bytes = random_bytes(1, 200 * kKiB);
  const Chunker nc1(seeded_keyring(1), sizes_of(32 * kKiB));
  EXPECT_EQ(cuts_of(nc1, bytes), (std::vector<size_t>{26174, 44373, 65857, 110177, 146983, 160544,
                                                      173455, 193596, 204800}));
  const Chunker nc2(seeded_keyring(1), nc2_sizes_of(32 * kKiB));
  EXPECT_EQ(cuts_of(nc2, bytes),
            (std::vector<size_t>{32113, 65857, 110177, 143843, 154452, 173455, 204800}));
}

TEST(Chunker, MeanLengthIsNearTheAverageAtEverySize) {
  const Bytes bytes = random_bytes(3, 32 * kMiB);
  for (const uint64_t average : {16, 32, 64, 128}) {
    const Chunker chunker(seeded_keyring(7), sizes_of(average * kKiB));
    const size_t count = cuts_of(chunker, bytes).size();
    const double mean = static_cast<double>(bytes.size()) / static_cast<double>(count);
    EXPECT_NEAR(mean / static_cast<double>(average * kKiB), 1.0, 0.12) << average;
  }
}

TEST(Chunker, LengthsLieBetweenTheSizesButForTheLast) {
  const ChunkerSizes sizes = sizes_of(32 * kKiB);
  const Chunker chunker(seeded_keyring(1), sizes);
  Bytes bytes = random_bytes(4, 8 * kMiB);
  std::fill_n(bytes.begin() + 1000000, 2 * kMiB, uint8_t{0});
  std::vector<size_t> ends = cuts_of(chunker, bytes);
  ASSERT_EQ(ends.back(), bytes.size());
  ends.pop_back();
  size_t before = 0;
  for (const size_t end : ends) {
    ASSERT_GT(end - before, sizes.minimum);
    ASSERT_LE(end - before, sizes.maximum);
    before = end;
  }
}

TEST(Chunker, KnowsItsCutsByTheirEndsAlone) {
  const ChunkerSizes sizes = sizes_of(16 * kKiB);
  const Chunker chunker(seeded_keyring(1), sizes);
  Bytes bytes = random_bytes(8, 700 * kKiB);
  std::fill_n(bytes.begin() + 200'000, 150 * kKiB, uint8_t{0});  // cut at the maximum
  size_t begin = 0;
  for (const size_t end : cuts_of(chunker, bytes)) {
    const ByteView chunk = ByteView(bytes).subspan(begin, end - begin);
    if (end < bytes.size()) {
      ASSERT_TRUE(chunker.is_cut_by_content(chunk));
    }
    for (size_t shorter = 1; shorter < chunk.size(); shorter++)
      ASSERT_FALSE(chunker.is_cut_by_content(chunk.first(shorter)));
    begin = end;
  }
}

TEST(Chunker, TakesShortStreamsWhole) {
  const ChunkerSizes sizes = sizes_of(32 * kKiB);
  const Chunker chunker(seeded_keyring(1), sizes);
  const Bytes bytes = random_bytes(5, sizes.minimum);
  for (const size_t length :
       {size_t{1}, size_t{63}, size_t{64}, size_t{sizes.minimum} - 1, size_t{sizes.minimum}}) {
    EXPECT_EQ(chunker.cut(ByteView(bytes).first(length)), length);
  }
}

TEST(Chunker, DoesNotLookBehindTheCutOrTheMaximum) {
  const ChunkerSizes sizes = sizes_of(32 * kKiB);
  const Chunker chunker(seeded_keyring(1), sizes);
  const Bytes bytes = random_bytes(6, 4 * kMiB);
  for (size_t at = 0; at + 2 * sizes.maximum < bytes.size(); at += 50001) {
    const ByteView rest = ByteView(bytes).subspan(at);
    const size_t length = chunker.cut(rest.first(sizes.maximum));
    ASSERT_EQ(chunker.cut(rest), length);
    const Bytes exact(rest.begin(), rest.begin() + static_cast<ptrdiff_t>(length));
    ASSERT_EQ(chunker.cut(exact), length) << "the stream ends at the cut";
  }
}

TEST(Chunker, AgreesAgainSoonAfterAnInsertion) {
  const uint64_t seed = test_seed();
  const Chunker chunker(seeded_keyring(seed), sizes_of(32 * kKiB));
  const Bytes bytes = random_bytes(seed, 16 * kMiB);
  Bytes shifted = random_bytes(seed + 1, 1000);
  shifted.insert(shifted.end(), bytes.begin(), bytes.end());
  std::set<size_t> ends;
  for (const size_t end : cuts_of(chunker, bytes)) ends.insert(end + 1000);
  const std::vector<size_t> shifted_ends = cuts_of(chunker, shifted);
  size_t lost = 0;
  for (const size_t end : shifted_ends) lost += !ends.contains(end);
  EXPECT_LT(lost, 40u) << "of " << shifted_ends.size();
}

TEST(Chunker, AnotherStoreCutsElsewhere) {
  const Bytes bytes = random_bytes(8, 8 * kMiB);
  const auto one = cuts_of(Chunker(seeded_keyring(1), sizes_of(32 * kKiB)), bytes);
  const auto two = cuts_of(Chunker(seeded_keyring(2), sizes_of(32 * kKiB)), bytes);
  const std::set<size_t> ends(one.begin(), one.end());
  size_t same = 0;
  for (const size_t end : two) same += ends.contains(end);
  EXPECT_LT(same, 4u);
}

}  // namespace
}  // namespace varve
