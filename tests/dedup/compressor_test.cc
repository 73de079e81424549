// Goal: what was compressed comes back, what does not shrink is stored, and hostile frames are
// refused.

#include "dedup/compressor.h"

#include "dedup/base/limits.h"
#include "tests/dedup/key_world.h"

namespace varve {
namespace {

Bytes text_of(size_t size) {
  Bytes bytes;
  for (uint64_t line = 0; bytes.size() < size; line++) {
    const std::string text =
        "line " + std::to_string(line * line) + " of a log that repeats itself\n";
    bytes.insert(bytes.end(), text.begin(), text.end());
  }
  bytes.resize(size);
  return bytes;
}

struct Compressed {
  Codec codec;
  Bytes payload;
};

Compressed compress(Compressor& compressor, const Bytes& raw) {
  Bytes out(Compressor::compress_bound(raw.size()));
  const Compressor::Outcome outcome = compressor.compress(raw, out);
  if (outcome.codec == Codec::kStored) {
    EXPECT_EQ(outcome.length, raw.size());
    return {Codec::kStored, raw};
  }
  out.resize(outcome.length);
  return {outcome.codec, out};
}

Compressed compress(const Bytes& raw) {
  Compressor compressor(3);
  return compress(compressor, raw);
}

TEST(Compressor, GivesBackWhatItTookAtEverySize) {
  Compressor compressor(3);
  for (const size_t size :
       {size_t{1}, size_t{2}, size_t{100}, 128 * kKiB - 1, 128 * kKiB, 4 * kMiB}) {
    for (const Bytes& raw : {text_of(size), random_bytes(size, size), Bytes(size)}) {
      const Compressed compressed = compress(compressor, raw);
      Bytes back(raw.size());
      ASSERT_TRUE(decompress(compressed.codec, compressed.payload, back).ok());
      ASSERT_EQ(back, raw);
    }
  }
}

TEST(Compressor, StoresWhatDoesNotShrinkAndShrinksWhatDoes) {
  EXPECT_EQ(compress(random_bytes(1, kMiB)).codec, Codec::kStored);
  EXPECT_EQ(compress(random_bytes(1, 1000)).codec, Codec::kStored);
  EXPECT_EQ(compress(text_of(kMiB)).codec, Codec::kZstd);
  EXPECT_LT(compress(text_of(kMiB)).payload.size(), kMiB / 4);
  EXPECT_EQ(compress(text_of(1000)).codec, Codec::kZstd);
}

TEST(Compressor, SeesThatOnlyAPartShrinks) {
  Bytes raw = random_bytes(1, kMiB);
  const Bytes text = text_of(kMiB / 2);
  std::copy(text.begin(), text.end(), raw.begin());
  const Compressed compressed = compress(raw);
  EXPECT_EQ(compressed.codec, Codec::kZstd);
  EXPECT_LT(compressed.payload.size(), kMiB * 3 / 4);
}

TEST(Decompress, RefusesAnyOtherLength) {
  const Bytes raw = text_of(10000);
  const Compressed compressed = compress(raw);
  for (const size_t size :
       {size_t{0}, size_t{1}, raw.size() - 1, raw.size() + 1, size_t{1} << 20}) {
    Bytes out(size);
    const Result<void> result = decompress(Codec::kZstd, compressed.payload, out);
    ASSERT_FALSE(result.ok()) << size;
    ASSERT_EQ(result.error().code(), Errc::kCorrupt);
    ASSERT_FALSE(decompress(Codec::kStored, raw, out).ok()) << size;
  }
}

TEST(Decompress, RefusesWhatIsCutOffOrFollowedBySomething) {
  const Bytes raw = text_of(3000);
  Bytes payload = compress(raw).payload;
  Bytes out(raw.size());
  for (size_t length = 0; length < payload.size(); length++) {
    ASSERT_FALSE(decompress(Codec::kZstd, ByteView(payload).first(length), out).ok()) << length;
  }
  Bytes followed = payload;
  followed.push_back(0);
  EXPECT_FALSE(decompress(Codec::kZstd, followed, out).ok());
  Bytes twice = payload;
  twice.insert(twice.end(), payload.begin(), payload.end());
  Bytes both(2 * raw.size());
  EXPECT_FALSE(decompress(Codec::kZstd, twice, both).ok()) << "two frames";
  Bytes skippable = hex_bytes("502a4d1804000000deadbeef");
  skippable.insert(skippable.end(), payload.begin(), payload.end());
  EXPECT_FALSE(decompress(Codec::kZstd, skippable, out).ok()) << "a skippable frame before";
  EXPECT_FALSE(decompress(static_cast<Codec>(7), payload, out).ok());
}

TEST(Decompress, RefusesFramesOfOldFormats) {
  Bytes out(64);
  for (const std::string_view magic : {"1eb52ffd", "22b52ffd", "25b52ffd", "27b52ffd"}) {
    Bytes frame = hex_bytes(magic);
    frame.resize(40);
    EXPECT_FALSE(decompress(Codec::kZstd, frame, out).ok()) << magic;
  }
}

TEST(Decompress, SurvivesEveryDamageWithTheRightLengthOrAnError) {
  const uint64_t seed = test_seed();
  std::mt19937_64 engine(seed);
  const Bytes raw = text_of(20000);
  const Bytes payload = compress(raw).payload;
  for (int round = 0; round < 2000; round++) {
    Bytes changed = payload;
    for (uint64_t flips = 1 + engine() % 4; flips > 0; flips--) {
      changed[engine() % changed.size()] ^= static_cast<uint8_t>(1u << (engine() % 8));
    }
    Bytes out(raw.size());
    (void)decompress(Codec::kZstd, changed, out);  // the sanitizer is the judge
  }
}

TEST(Decompress, AllocatesNothingForAFrameThatAsksForAGiantWindow) {
  // Magic; a descriptor without a single segment and with a content size of 8 bytes; a window
  // descriptor for 2^41 bytes; a content size of 2^41; one raw block.
  const Bytes frame = hex_bytes(
      "28b52ffd"
      "c0"
      "f8"
      "0000000000020000"
      "010000");
  Bytes out(1000);
  EXPECT_FALSE(decompress(Codec::kZstd, frame, out).ok());
}

}  // namespace
}  // namespace varve
