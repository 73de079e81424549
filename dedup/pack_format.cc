#include "dedup/pack_format.h"

#include <bit>

namespace varve {
namespace {

constexpr std::string_view kPackMagic = "VRVPACK\n";
constexpr size_t kIndexedSegmentBytes = 24;
constexpr size_t kIndexedChunkBytes = 36;
static_assert(pack_index_bytes(1, 1) == 8 + kIndexedSegmentBytes + kIndexedChunkBytes);

// What sealing adds to a segment: the sealed header, and the body's tag.
constexpr uint64_t kSegmentOverheadBytes = kSealedSegmentHeaderBytes + 16;

IndexedSegment decode_indexed_segment(Decoder& in) {
  IndexedSegment segment;
  segment.offset = in.u64();
  segment.length = in.u32();
  segment.raw_length = in.u32();
  segment.chunk_count = in.u32();
  const uint8_t type = in.u8();
  const uint8_t codec = in.u8();
  if (type < static_cast<uint8_t>(SegmentType::kChunks) ||
      type > static_cast<uint8_t>(SegmentType::kIndexBundle) ||
      codec > static_cast<uint8_t>(Codec::kZstd)) {
    in.fail();
  }
  segment.type = static_cast<SegmentType>(type);
  segment.codec = static_cast<Codec>(codec);
  in.zeros(2);
  return segment;
}

bool within_limits(const IndexedSegment& segment) {
  const uint64_t overhead = kSegmentOverheadBytes + 4 * uint64_t{segment.chunk_count};
  return segment.chunk_count >= 1 && segment.chunk_count <= kSegmentChunksMax &&
         segment.raw_length >= 1 && segment.raw_length <= kSegmentRawBytesMax &&
         segment.length > overhead && segment.length <= overhead + segment.raw_length;
}

/// Segments follow each other without a gap, and their chunks are all the chunks there are.
bool fits_together(PackIndex& index) {
  uint64_t offset = kPackHeaderBytes;
  size_t chunk = 0;
  for (IndexedSegment& segment : index.segments) {
    if (segment.offset != offset || !within_limits(segment)) return false;
    if (segment.chunk_count > index.chunks.size() - chunk) return false;
    segment.first_chunk = static_cast<uint32_t>(chunk);
    uint64_t raw_length = 0;
    for (const size_t end = chunk + segment.chunk_count; chunk < end; chunk++) {
      if (index.chunks[chunk].length == 0) return false;
      raw_length += index.chunks[chunk].length;
    }
    if (raw_length != segment.raw_length) return false;
    offset += segment.length;
  }
  return chunk == index.chunks.size() && offset <= kPackBytes;
}

}  // namespace

Bytes encode_pack_header(const PackHeader& header) {
  Encoder out;
  out.raw(as_bytes(kPackMagic)).u16(kFormatVersion).u8(static_cast<uint8_t>(header.pack_class));
  out.zeros(5).id(header.store).id(header.writer).id(header.pack).id(header.epoch);
  out.zeros(48);
  return out.take();
}

Result<PackHeader> decode_pack_header(ByteView bytes) {
  Decoder in(bytes);
  if (as_text(in.raw(kPackMagic.size())) != kPackMagic) return Error(Errc::kCorrupt, "not a pack");
  const uint16_t format = in.u16();
  if (!in.failed() && format > kFormatVersion) {
    return Error(Errc::kUnsupported, "pack of format " + std::to_string(format) +
                                         "; this program reads up to " +
                                         std::to_string(kFormatVersion));
  }
  if (format != kFormatVersion) in.fail();
  const uint8_t pack_class = in.u8();
  if (pack_class != 1 && pack_class != 2) in.fail();
  PackHeader header;
  header.pack_class = static_cast<PackClass>(pack_class);
  in.zeros(5);
  header.store = in.id<StoreId>();
  header.writer = in.id<WriterId>();
  header.pack = in.id<PackId>();
  header.epoch = in.id<EpochId>();
  in.zeros(48);
  VARVE_TRY(in.finish("pack header"));
  return header;
}

Bytes encode_pack_index(const PackIndex& index) {
  Encoder out;
  out.u32(static_cast<uint32_t>(index.segments.size()));
  out.u32(static_cast<uint32_t>(index.chunks.size()));
  for (const IndexedSegment& segment : index.segments) {
    out.u64(segment.offset).u32(segment.length).u32(segment.raw_length).u32(segment.chunk_count);
    out.u8(static_cast<uint8_t>(segment.type)).u8(static_cast<uint8_t>(segment.codec)).u16(0);
  }
  for (const IndexedChunk& chunk : index.chunks) out.id(chunk.id).u32(chunk.length);
  return out.take();
}

Result<PackIndex> decode_pack_index(ByteView bytes) {
  Decoder in(bytes);
  const uint64_t segments = in.u32();
  const uint64_t chunks = in.u32();
  // The counts decide how much is allocated, so they are believed only where the bytes are there.
  if (in.failed() || bytes.size() != pack_index_bytes(segments, chunks)) {
    return Error(Errc::kCorrupt, "pack index: its counts do not fit its length");
  }
  PackIndex index;
  index.segments.reserve(segments);
  for (uint64_t i = 0; i < segments; i++) index.segments.push_back(decode_indexed_segment(in));
  index.chunks.resize(chunks);
  for (IndexedChunk& chunk : index.chunks) {
    chunk.id = in.id<ChunkId>();
    chunk.length = in.u32();
  }
  VARVE_TRY(in.finish("pack index"));
  if (!fits_together(index)) {
    return Error(Errc::kCorrupt, "pack index: offsets and lengths do not fit together");
  }
  return index;
}

Bytes encode_pack_trailer(const PackTrailer& trailer) {
  Encoder out;
  out.u64(trailer.index_offset).u32(trailer.index_length).u32(trailer.segment_count);
  out.u64(trailer.segments_end).u64(0);
  return out.take();
}

Result<PackTrailer> decode_pack_trailer(ByteView bytes, uint64_t pack_length) {
  Decoder in(bytes);
  PackTrailer trailer;
  trailer.index_offset = in.u64();
  trailer.index_length = in.u32();
  trailer.segment_count = in.u32();
  trailer.segments_end = in.u64();
  if (in.u64() != 0) in.fail();
  VARVE_TRY(in.finish("pack trailer"));
  const bool fits =
      trailer.segments_end >= kPackHeaderBytes && trailer.segments_end <= trailer.index_offset &&
      pack_length >= kPackTrailerBytes && trailer.index_offset <= pack_length - kPackTrailerBytes &&
      trailer.index_length == pack_length - kPackTrailerBytes - trailer.index_offset;
  if (!fits) return Error(Errc::kCorrupt, "pack trailer: its places do not fit the pack's length");
  return trailer;
}

Bytes pack_additional_data(const PackHeader& header, std::string_view part) {
  Encoder out;
  out.id(header.store).id(header.pack).raw(as_bytes(part));
  return out.take();
}

Bytes encode_index_bundle(const IndexBundle& bundle) {
  Encoder out;
  out.id(bundle.info.hash).u64(bundle.info.length).raw(encode_pack_header(bundle.header));
  out.raw(encode_pack_index(bundle.index));
  return out.take();
}

Result<IndexBundle> decode_index_bundle(ByteView canonical) {
  Decoder in(canonical);
  IndexBundle bundle;
  bundle.info.hash = in.id<FileHash>();
  bundle.info.length = in.u64();
  const ByteView header = in.raw(kPackHeaderBytes);
  if (in.failed()) return Error(Errc::kCorrupt, "index bundle: too short");
  bundle.header = VARVE_TRY(decode_pack_header(header));
  bundle.info.pack = bundle.header.pack;
  bundle.info.pack_class = bundle.header.pack_class;
  bundle.index = VARVE_TRY(decode_pack_index(in.raw(in.remaining())));
  return bundle;
}

uint64_t padme(uint64_t length) {
  if (length < 2) return length;
  const int exponent = 63 - std::countl_zero(length);
  const int significant = 32 - std::countl_zero(static_cast<unsigned>(exponent));
  const uint64_t mask = (uint64_t{1} << (exponent - significant)) - 1;
  return (length + mask) & ~mask;
}

uint64_t padded_pack_length(uint64_t length, bool full) {
  return full && length <= kPackBytes ? kPackBytes : padme(length);
}

std::string_view pack_folder(PackClass pack_class) {
  return pack_class == PackClass::kCatalog ? "catalog" : "packs";
}

std::string pack_path(PackClass pack_class, const FileHash& hash) {
  const std::string name = hash.hex();
  return std::string(pack_folder(pack_class)) + "/" + name.substr(0, 2) + "/" + name;
}

std::string open_pack_path(const PackId& pack) {
  return std::string(kOpenPackFolder) + "/" + pack.hex();
}

}  // namespace varve
