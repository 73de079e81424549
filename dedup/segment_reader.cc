#include "dedup/segment_reader.h"

#include "dedup/compressor.h"
#include "dedup/pack_store.h"

namespace varve {
namespace {

Bytes additional_data(const PackKeys& keys, uint64_t ordinal, SegmentPart part, uint8_t type) {
  return segment_additional_data(keys.header().store, keys.header().pack, ordinal, part, type);
}

/// The chunks of decoded bytes, by the lengths at the body's front; without ids.
Result<std::vector<IndexedChunk>> find_chunks(const SegmentHeader& header, ByteView lengths,
                                              size_t raw_bytes) {
  Decoder in(lengths);
  std::vector<IndexedChunk> chunks;
  chunks.reserve(header.chunk_count);
  for (uint32_t i = 0; i < header.chunk_count; i++) {
    const uint32_t length = in.u32();
    if (length == 0 || length > raw_bytes) {
      return Error(Errc::kCorrupt, "its chunks' lengths do not fit");
    }
    chunks.push_back({{}, length});
    raw_bytes -= length;
  }
  if (raw_bytes != 0) return Error(Errc::kCorrupt, "its chunks' lengths do not fit");
  return chunks;
}

/// Computes the ids of all of `chunks`, which lie in `raw` one after the other.
Result<void> name_chunks(SegmentType type, ByteView raw, const Hasher& hasher,
                         std::vector<IndexedChunk>& chunks) {
  std::vector<ByteView> items;
  items.reserve(chunks.size());
  for (const IndexedChunk& chunk : chunks) {
    items.push_back(raw.first(chunk.length));
    raw = raw.subspan(chunk.length);
  }
  std::vector<ChunkId> ids(items.size());
  VARVE_TRY(hasher.item_ids(type, items, ids));
  for (size_t i = 0; i < ids.size(); i++) chunks[i].id = ids[i];
  return {};
}

}  // namespace

struct SegmentReader::Sealers {
  explicit Sealers(const PackKeys& keys)
      : header(keys.segment_header_sealer()), body(keys.segment_body_sealer()) {}

  Sealer header, body;
};

SegmentReader::SegmentReader(PackKeys keys) : keys_(std::move(keys)) {}
SegmentReader::~SegmentReader() = default;

Result<SegmentHeader> SegmentReader::open_header(Sealers& sealers, uint64_t ordinal,
                                                 ByteView sealed) const {
  if (sealed.size() != kSealedSegmentHeaderBytes) {
    return Error(Errc::kCorrupt, "segment header: cut off");
  }
  std::array<uint8_t, kSegmentHeaderBytes> plain;
  VARVE_TRY(sealers.header.open(ordinal, additional_data(keys_, ordinal, SegmentPart::kHeader, 0),
                                sealed, plain));
  SegmentHeader header = VARVE_TRY(decode_segment_header(plain));
  if (header.ordinal != ordinal) return Error(Errc::kCorrupt, "segment header: another ordinal");
  return header;
}

Result<SegmentHeader> SegmentReader::open_header(uint64_t ordinal, ByteView sealed) const {
  const auto sealers = sealers_.lease([this] { return std::make_unique<Sealers>(keys_); });
  return open_header(*sealers, ordinal, sealed);
}

Result<std::shared_ptr<const DecodedSegment>> SegmentReader::decode(uint64_t ordinal,
                                                                    ByteSpan sealed,
                                                                    const Hasher& hasher,
                                                                    Naming naming) const {
  if (sealed.size() < kSealedSegmentHeaderBytes + kTagBytes) {
    return Error(Errc::kCorrupt, "cut off");
  }
  SegmentHeader header;
  const ByteSpan body = sealed.subspan(kSealedSegmentHeaderBytes);
  const ByteView plain = body.first(body.size() - kTagBytes);
  {
    const auto sealers = sealers_.lease([this] { return std::make_unique<Sealers>(keys_); });
    header = VARVE_TRY(open_header(*sealers, ordinal, sealed.first(kSealedSegmentHeaderBytes)));
    if (header.body_length != plain.size()) return Error(Errc::kCorrupt, "its length is another");
    VARVE_TRY(sealers->body.open(
        ordinal,
        additional_data(keys_, ordinal, SegmentPart::kBody, static_cast<uint8_t>(header.type)),
        body, body.first(plain.size())));
  }
  // decode_segment_header has checked that the body holds the lengths and that raw_length is within
  // bounds.
  const size_t lengths_bytes = size_t{4} * header.chunk_count;
  Buffer raw(header.raw_length);
  VARVE_TRY(decompress(header.codec, plain.subspan(lengths_bytes), raw.span()));
  auto chunks = VARVE_TRY(find_chunks(header, plain.first(lengths_bytes), raw.size()));
  if (naming == Naming::kAtOnce) {
    VARVE_TRY(name_chunks(header.type, raw.view(), hasher, chunks));
    return std::make_shared<const DecodedSegment>(header.type, std::move(raw), std::move(chunks));
  }
  return std::make_shared<const DecodedSegment>(header.type, std::move(raw), std::move(chunks),
                                                hasher);
}

Buffer seal_segment(const PackKeys& keys, Sealer& header_sealer, Sealer& body_sealer,
                    uint64_t ordinal, const PreparedSegment& segment) {
  SegmentHeader header;
  header.type = segment.type;
  header.codec = segment.codec;
  header.chunk_count = static_cast<uint32_t>(segment.chunks.size());
  header.raw_length = segment.raw_length;
  header.body_length = static_cast<uint32_t>(4 * segment.chunks.size() + segment.payload.size());
  header.ordinal = ordinal;

  Buffer out(sealed_segment_bytes(segment.payload.size(), segment.chunks.size()));
  header_sealer.seal(ordinal, additional_data(keys, ordinal, SegmentPart::kHeader, 0),
                     encode_segment_header(header), out.span().first(kSealedSegmentHeaderBytes));
  const ByteSpan body = out.span().subspan(kSealedSegmentHeaderBytes);
  Encoder lengths;
  for (const IndexedChunk& chunk : segment.chunks) lengths.u32(chunk.length);
  std::memcpy(body.data(), lengths.view().data(), lengths.size());
  std::memcpy(body.data() + lengths.size(), segment.payload.data(), segment.payload.size());
  body_sealer.seal(
      ordinal,
      additional_data(keys, ordinal, SegmentPart::kBody, static_cast<uint8_t>(segment.type)),
      body.first(header.body_length), body);
  return out;
}

}  // namespace varve
