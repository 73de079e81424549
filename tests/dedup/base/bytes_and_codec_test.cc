// Goal: what is encoded reads back the same; what is malformed, cut short or too long is refused,
// and never over-read.
#include <gtest/gtest.h>

#include <random>

#include "dedup/base/codec.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

TEST(Hex, ReadsBothCasesAndNothingElse) {
  EXPECT_EQ(to_hex(Bytes{0x00, 0x0f, 0xa5, 0xff}), "000fa5ff");
  Bytes out(2);
  EXPECT_TRUE(from_hex("aBCd", out));
  EXPECT_EQ(out, (Bytes{0xab, 0xcd}));
  EXPECT_FALSE(from_hex("abc", out));
  EXPECT_FALSE(from_hex("abcde", out));
  EXPECT_FALSE(from_hex("abcg", out));
  EXPECT_FALSE(from_hex("ab d", out));
  EXPECT_FALSE(PackId::from_hex("00").has_value());
}

TEST(Codec, FieldsReadBack) {
  Encoder encoder;
  encoder.u8(1)
      .u16(0x0203)
      .u32(0x04050607)
      .u64(0x08090a0b0c0d0e0f)
      .i64(-2)
      .blob("text")
      .varint(300);
  Bytes bytes = encoder.take();
  EXPECT_EQ(to_hex(ByteView(bytes).first(7)), "01030207060504");
  Decoder decoder(bytes);
  EXPECT_EQ(decoder.u8(), 1);
  EXPECT_EQ(decoder.u16(), 0x0203);
  EXPECT_EQ(decoder.u32(), 0x04050607u);
  EXPECT_EQ(decoder.u64(), 0x08090a0b0c0d0e0fu);
  EXPECT_EQ(decoder.i64(), -2);
  EXPECT_EQ(decoder.text(), "text");
  EXPECT_EQ(decoder.varint(), 300u);
  EXPECT_TRUE(decoder.finish("a test").ok());
}

TEST(Codec, ZerosReadBackAndAnythingElseIsRefused) {
  Encoder encoder;
  encoder.zeros(3).u8(7);
  const Bytes bytes = encoder.take();
  EXPECT_EQ(to_hex(bytes), "00000007");
  Decoder decoder(bytes);
  decoder.zeros(3);
  EXPECT_EQ(decoder.u8(), 7);
  EXPECT_TRUE(decoder.finish("a test").ok());

  Decoder one_too_many(bytes);
  one_too_many.zeros(4);
  EXPECT_TRUE(one_too_many.failed());
  Decoder cut_short(ByteView(bytes).first(2));
  cut_short.zeros(3);
  EXPECT_TRUE(cut_short.failed());
}

TEST(Codec, FailureLatches) {
  Bytes bytes{1, 2, 3};
  Decoder decoder(bytes);
  EXPECT_EQ(decoder.u32(), 0u);
  EXPECT_EQ(decoder.u8(), 0) << "three bytes are left, but nothing is believed any more";
  EXPECT_TRUE(decoder.failed());
  EXPECT_EQ(decoder.finish("a test").error().code(), Errc::kCorrupt);
}

TEST(Codec, LeftOverBytesAreRefused) {
  Bytes bytes{1, 2};
  Decoder decoder(bytes);
  decoder.u8();
  EXPECT_FALSE(decoder.finish("a test").ok());
}

TEST(Codec, BlobLongerThanItsInputIsRefused) {
  Encoder encoder;
  encoder.varint(UINT64_MAX).u8(1);
  Decoder decoder(encoder.view());
  EXPECT_TRUE(decoder.blob().empty());
  EXPECT_TRUE(decoder.failed());
}

TEST(Varint, EveryLengthReadsBack) {
  for (int bits = 0; bits <= 64; bits++) {
    for (uint64_t delta : {uint64_t{0}, uint64_t{1}}) {
      uint64_t value = (bits == 64 ? UINT64_MAX : (uint64_t{1} << bits)) - delta;
      Encoder encoder;
      encoder.varint(value);
      EXPECT_LE(encoder.size(), 10u);
      Decoder decoder(encoder.view());
      EXPECT_EQ(decoder.varint(), value);
      EXPECT_TRUE(decoder.finish("a varint").ok());
    }
  }
}

TEST(Varint, MalformedIsRefused) {
  const Bytes kMalformed[] = {
      {},
      {0x80},
      {0x80, 0x00},                                                        // longer than needed
      {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02},        // 65 bits
      {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},  // eleven bytes
  };
  for (const Bytes& bytes : kMalformed) {
    Decoder decoder(bytes);
    decoder.varint();
    EXPECT_TRUE(decoder.failed()) << to_hex(bytes);
  }
}

TEST(Codec, RandomBytesAreNeverOverRead) {
  std::mt19937_64 random(test_seed());
  for (int round = 0; round < 2000; round++) {
    Bytes bytes(random() % 40);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    Decoder decoder(bytes);
    for (int field = 0; field < 12; field++) {
      switch (random() % 5) {
        case 0:
          decoder.varint();
          break;
        case 1:
          decoder.blob();
          break;
        case 2:
          decoder.u64();
          break;
        case 3:
          decoder.id<PackId>();
          break;
        default:
          decoder.raw(random() % 50);
          break;
      }
      ASSERT_LE(decoder.remaining(), bytes.size());
    }
  }
}

}  // namespace
}  // namespace varve
