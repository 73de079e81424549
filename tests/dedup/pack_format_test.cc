// Goal: what a pack is made of is coded as docs/format.md says, and nothing else is accepted.

#include "dedup/pack_format.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

PackIndex small_index() {
  PackIndex index;
  index.chunks = {{ChunkId{{1}}, 10}, {ChunkId{{2}}, 20}, {ChunkId{{3}}, 5}};
  index.segments = {{128, 48 + 16 + 8 + 30, 30, 0, 2, SegmentType::kChunks, Codec::kStored},
                    {128 + 102, 48 + 16 + 4 + 5, 5, 2, 1, SegmentType::kTree, Codec::kStored}};
  return index;
}

TEST(PackFormat, HeaderHasItsFieldsInTheirPlaces) {
  PackHeader header;
  header.pack_class = PackClass::kCatalog;
  header.store.bytes.fill(1);
  header.writer.bytes.fill(2);
  header.pack.bytes.fill(3);
  header.epoch.bytes.fill(4);
  const Bytes bytes = encode_pack_header(header);
  EXPECT_EQ(to_hex(bytes),
            "5652565041434b0a"
            "0100"
            "02"
            "0000000000" +
                to_hex(Bytes(16, 1)) + to_hex(Bytes(16, 2)) + to_hex(Bytes(16, 3)) +
                to_hex(Bytes(16, 4)) + to_hex(Bytes(48, 0)));
  auto back = decode_pack_header(bytes);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(encode_pack_header(*back), bytes);
}

TEST(PackFormat, HeaderRefusesWhatIsNotOne) {
  Bytes bytes = encode_pack_header(PackHeader());
  for (size_t i = 0; i < kPackHeaderBytes; i++) {
    const bool free = i >= 16 && i < 80;  // ids may be anything
    Bytes changed = bytes;
    changed[i] ^= 0x40;
    EXPECT_EQ(decode_pack_header(changed).ok(), free) << i;
  }
  bytes[8] = 2;
  EXPECT_EQ(decode_pack_header(bytes).error().code(), Errc::kUnsupported);
  for (size_t length = 0; length < kPackHeaderBytes; length++) {
    EXPECT_FALSE(decode_pack_header(ByteView(bytes).first(length)).ok());
  }
}

TEST(PackFormat, IndexComesBack) {
  const Bytes bytes = encode_pack_index(small_index());
  EXPECT_EQ(bytes.size(), pack_index_bytes(2, 3));
  auto index = decode_pack_index(bytes);
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(index->segments[1].first_chunk, 2u);
  EXPECT_EQ(encode_pack_index(*index), bytes);
  EXPECT_TRUE(decode_pack_index(encode_pack_index(PackIndex())).ok());
}

TEST(PackFormat, IndexRefusesWhatDoesNotFitTogether) {
  const auto refused = [](auto change) {
    PackIndex index = small_index();
    change(index);
    return !decode_pack_index(encode_pack_index(index)).ok();
  };
  EXPECT_TRUE(refused([](PackIndex& i) { i.segments[1].offset++; }));
  EXPECT_TRUE(refused([](PackIndex& i) { i.segments[0].length--; }));
  EXPECT_TRUE(refused([](PackIndex& i) { i.segments[0].raw_length++; }));
  EXPECT_TRUE(refused([](PackIndex& i) { i.segments[0].chunk_count = UINT32_MAX; }));
  EXPECT_TRUE(refused([](PackIndex& i) { i.segments[1].chunk_count = 0; }));
  EXPECT_TRUE(refused([](PackIndex& i) { i.segments[1].type = SegmentType{4}; }));
  EXPECT_TRUE(refused([](PackIndex& i) { i.segments[1].codec = Codec{2}; }));
  EXPECT_TRUE(refused([](PackIndex& i) { i.chunks[2].length = 0; }));
  EXPECT_TRUE(refused([](PackIndex& i) { i.chunks.pop_back(); }));
  EXPECT_TRUE(refused([](PackIndex& i) { i.chunks.push_back({ChunkId{}, 1}); }));
}

TEST(PackFormat, IndexBelievesNoCountWithoutBytes) {
  Encoder out;
  out.u32(UINT32_MAX).u32(UINT32_MAX);
  EXPECT_FALSE(decode_pack_index(out.view()).ok());
  const Bytes bytes = encode_pack_index(small_index());
  for (size_t length = 0; length < bytes.size(); length++) {
    EXPECT_FALSE(decode_pack_index(ByteView(bytes).first(length)).ok()) << length;
  }
}

TEST(PackFormat, TrailerFitsItsPack) {
  PackTrailer trailer{1000, 500, 3, 900};
  const Bytes bytes = encode_pack_trailer(trailer);
  EXPECT_EQ(bytes.size(), kPackTrailerPlainBytes);
  EXPECT_TRUE(decode_pack_trailer(bytes, 1580).ok());
  EXPECT_FALSE(decode_pack_trailer(bytes, 1579).ok());
  EXPECT_FALSE(decode_pack_trailer(bytes, 1581).ok());
  EXPECT_FALSE(decode_pack_trailer(bytes, 10).ok());
  trailer.segments_end = 1001;
  EXPECT_FALSE(decode_pack_trailer(encode_pack_trailer(trailer), 1580).ok());
  trailer = {UINT64_MAX - 100, 500, 3, 900};
  EXPECT_FALSE(decode_pack_trailer(encode_pack_trailer(trailer), 1580).ok());
}

TEST(PackFormat, BundleComesBack) {
  IndexBundle bundle;
  bundle.info.hash.bytes.fill(9);
  bundle.info.length = 4096;
  bundle.header.pack.bytes.fill(7);
  bundle.index = small_index();
  const Bytes bytes = encode_index_bundle(bundle);
  auto back = decode_index_bundle(bytes);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->info.pack, bundle.header.pack);
  EXPECT_EQ(encode_index_bundle(*back), bytes);
  for (size_t length = 0; length < bytes.size(); length++) {
    EXPECT_FALSE(decode_index_bundle(ByteView(bytes).first(length)).ok()) << length;
  }
}

TEST(PackFormat, PadmeRoundsUpLittle) {
  EXPECT_EQ(padme(1), 1u);
  EXPECT_EQ(padme(8), 8u);
  EXPECT_EQ(padme(9), 10u);
  EXPECT_EQ(padme(1000), 1024u - 0u);
  for (uint64_t length = 2; length < (1u << 20); length += 1 + length / 50) {
    const uint64_t padded = padme(length);
    EXPECT_GE(padded, length);
    EXPECT_LE(padded, length + length * 12 / 100 + 1);
    EXPECT_EQ(padme(padded), padded);
  }
  EXPECT_EQ(padme(kPackBytes - 1), kPackBytes);
  EXPECT_EQ(padme(kPackBytes), kPackBytes);
  EXPECT_EQ(padded_pack_length(1000, true), kPackBytes);
}

TEST(PackFormat, PathsAreByHash) {
  const FileHash hash = *FileHash::from_hex(std::string(62, 'a') + "01");
  EXPECT_EQ(pack_path(PackClass::kData, hash), "packs/aa/" + std::string(62, 'a') + "01");
  EXPECT_EQ(pack_path(PackClass::kCatalog, hash), "catalog/aa/" + std::string(62, 'a') + "01");
}

}  // namespace
}  // namespace varve
