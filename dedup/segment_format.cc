#include "dedup/segment_format.h"

namespace varve {
namespace {

bool within_limits(const SegmentHeader& header) {
  const uint64_t lengths = uint64_t{header.chunk_count} * 4;
  const bool counts = header.chunk_count >= 1 && header.chunk_count <= kSegmentChunksMax &&
                      header.raw_length >= header.chunk_count &&
                      header.raw_length <= kSegmentRawBytesMax;
  // A payload that would be no shorter than the chunks is stored, so a body has at most their
  // length.
  const bool body =
      header.codec == Codec::kStored
          ? header.body_length == lengths + header.raw_length
          : header.body_length > lengths && header.body_length <= lengths + header.raw_length;
  return counts && body;
}

}  // namespace

Bytes encode_segment_header(const SegmentHeader& header) {
  Encoder out;
  out.u8(static_cast<uint8_t>(header.type)).u8(static_cast<uint8_t>(header.codec)).zeros(2);
  out.u32(header.chunk_count).u32(header.raw_length).u32(header.body_length);
  out.u64(header.ordinal).zeros(8);
  return out.take();
}

Result<SegmentHeader> decode_segment_header(ByteView bytes) {
  Decoder in(bytes);
  SegmentHeader header;
  const uint8_t type = in.u8();
  const uint8_t codec = in.u8();
  if (type < static_cast<uint8_t>(SegmentType::kChunks) ||
      type > static_cast<uint8_t>(SegmentType::kIndexBundle) ||
      codec > static_cast<uint8_t>(Codec::kZstd)) {
    in.fail();
  }
  header.type = static_cast<SegmentType>(type);
  header.codec = static_cast<Codec>(codec);
  in.zeros(2);
  header.chunk_count = in.u32();
  header.raw_length = in.u32();
  header.body_length = in.u32();
  header.ordinal = in.u64();
  in.zeros(8);
  VARVE_TRY(in.finish("segment header"));
  if (!within_limits(header)) return Error(Errc::kCorrupt, "segment header: lengths out of limits");
  return header;
}

Bytes segment_additional_data(const StoreId& store, const PackId& pack, uint64_t ordinal,
                              SegmentPart part, uint8_t type) {
  Encoder out;
  out.id(store)
      .id(pack)
      .u64(ordinal)
      .u8(static_cast<uint8_t>(part))
      .u8(part == SegmentPart::kHeader ? uint8_t{0} : type);
  return out.take();
}

}  // namespace varve
