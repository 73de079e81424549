// Goal: a segment's header is coded as docs/format.md says, and whatever it must not say is
// refused.

#include "dedup/segment_format.h"

#include "tests/dedup/key_world.h"

namespace varve {
namespace {

SegmentHeader example_header() {
  return {SegmentType::kTree, Codec::kZstd, 3, 1000, 512, 0x0102030405060708};
}

bool refused(const SegmentHeader& header) {
  const auto decoded = decode_segment_header(encode_segment_header(header));
  return !decoded.ok() && decoded.error().code() == Errc::kCorrupt;
}

TEST(SegmentHeader, IsThirtyTwoBytesInTheOrderOfTheFormat) {
  const Bytes bytes = encode_segment_header(example_header());
  ASSERT_EQ(bytes.size(), kSegmentHeaderBytes);
  EXPECT_EQ(to_hex(bytes), "0201000003000000e80300000002000008070605040302010000000000000000");
  const SegmentHeader header = decode_segment_header(bytes).value();
  EXPECT_EQ(header.type, SegmentType::kTree);
  EXPECT_EQ(header.codec, Codec::kZstd);
  EXPECT_EQ(header.chunk_count, 3u);
  EXPECT_EQ(header.raw_length, 1000u);
  EXPECT_EQ(header.body_length, 512u);
  EXPECT_EQ(header.ordinal, 0x0102030405060708u);
}

TEST(SegmentHeader, RefusesWhatIsOutOfItsLimits) {
  auto changed = [](auto change) {
    SegmentHeader header = example_header();
    change(header);
    return header;
  };
  EXPECT_FALSE(refused(example_header()));
  EXPECT_TRUE(refused(changed([](auto& h) { h.type = static_cast<SegmentType>(0); })));
  EXPECT_TRUE(refused(changed([](auto& h) { h.type = static_cast<SegmentType>(4); })));
  EXPECT_TRUE(refused(changed([](auto& h) { h.codec = static_cast<Codec>(2); })));
  EXPECT_TRUE(refused(changed([](auto& h) { h.chunk_count = 0; })));
  EXPECT_TRUE(refused(changed([](auto& h) { h.chunk_count = 1001; }))) << "chunks without bytes";
  EXPECT_TRUE(refused(changed([](auto& h) { h.body_length = 12; }))) << "no payload";
  EXPECT_TRUE(refused(changed([](auto& h) { h.body_length = 1013; }))) << "longer than stored";
  EXPECT_TRUE(refused(changed([](auto& h) { h.codec = Codec::kStored; }))) << "stored and shorter";
  EXPECT_TRUE(refused(changed([](auto& h) {
    h = {SegmentType::kChunks,    Codec::kStored,          1,
         kSegmentRawBytesMax + 1, kSegmentRawBytesMax + 5, 0};
  })));
  EXPECT_TRUE(refused(changed([](auto& h) {
    h = {SegmentType::kChunks, Codec::kZstd, kSegmentChunksMax + 1, 1u << 20, 1u << 19, 0};
  })));
  EXPECT_FALSE(refused(changed([](auto& h) {
    h = {SegmentType::kChunks, Codec::kStored, 1, kSegmentRawBytesMax, kSegmentRawBytesMax + 4, 0};
  })));
}

TEST(SegmentHeader, RefusesFieldsThatMustBeZeroAndOtherLengths) {
  const Bytes bytes = encode_segment_header(example_header());
  for (const size_t at : {2, 3, 24, 31}) {
    Bytes changed = bytes;
    changed[at] = 1;
    EXPECT_FALSE(decode_segment_header(changed).ok()) << at;
  }
  for (size_t length = 0; length < bytes.size(); length++) {
    ASSERT_FALSE(decode_segment_header(ByteView(bytes).first(length)).ok()) << length;
  }
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(decode_segment_header(longer).ok());
}

TEST(SegmentHeader, AdditionalDataNamesStorePackOrdinalPartAndType) {
  StoreId store;
  store.bytes.fill(0xaa);
  PackId pack;
  pack.bytes.fill(0xbb);
  const std::string ids = std::string(32, 'a') + std::string(32, 'b');
  EXPECT_EQ(to_hex(segment_additional_data(store, pack, 5, SegmentPart::kHeader, 2)),
            ids +
                "0500000000000000"
                "0100");
  EXPECT_EQ(to_hex(segment_additional_data(store, pack, 5, SegmentPart::kBody, 2)),
            ids +
                "0500000000000000"
                "0202");
}

}  // namespace
}  // namespace varve
