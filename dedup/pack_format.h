// What a pack is made of besides segments: header, index, trailer, padding (docs/format.md section
// 4).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dedup/base/codec.h"
#include "dedup/base/id.h"
#include "dedup/base/limits.h"
#include "dedup/segment_format.h"

namespace varve {

enum class PackClass : uint8_t { kData = 1, kCatalog = 2 };

inline constexpr size_t kPackHeaderBytes = 128;
inline constexpr size_t kPackTrailerBytes = 80;
inline constexpr size_t kPackFreshBytes = 32;

struct PackHeader {
  PackClass pack_class = PackClass::kData;
  StoreId store;
  WriterId writer;
  PackId pack;
  EpochId epoch;
};

Bytes encode_pack_header(const PackHeader& header);
/// kUnsupported for a newer format; kCorrupt otherwise if it is no pack header.
Result<PackHeader> decode_pack_header(ByteView bytes);

struct IndexedChunk {
  ChunkId id;
  uint32_t length = 0;  // bytes, decoded
};

struct IndexedSegment {
  uint64_t offset = 0;       // in the pack
  uint32_t length = 0;       // sealed header and body
  uint32_t raw_length = 0;   // decoded
  uint32_t first_chunk = 0;  // in PackIndex::chunks; not stored, it is the sum of the counts before
  uint32_t chunk_count = 0;
  SegmentType type = SegmentType::kChunks;
  Codec codec = Codec::kStored;
};

/// The content of a pack, in stream order: the truth that every other index is derived from.
struct PackIndex {
  std::vector<IndexedSegment> segments;
  std::vector<IndexedChunk> chunks;
};

/// The coded index of that many segments and chunks, in bytes.
constexpr uint64_t pack_index_bytes(uint64_t segments, uint64_t chunks) {
  return 8 + 24 * segments + 36 * chunks;
}
Bytes encode_pack_index(const PackIndex& index);
/// kCorrupt unless counts, offsets and lengths fit together: segments lie one after the other from
/// the header on.
Result<PackIndex> decode_pack_index(ByteView bytes);

/// The sealed part of the trailer: where the index is.
struct PackTrailer {
  uint64_t index_offset = 0;
  uint32_t index_length = 0;  // ciphertext and tag
  uint32_t segment_count = 0;
  uint64_t segments_end = 0;
};

inline constexpr size_t kPackTrailerPlainBytes = 32;
Bytes encode_pack_trailer(const PackTrailer& trailer);
/// kCorrupt unless the places fit into a pack of `pack_length` bytes.
Result<PackTrailer> decode_pack_trailer(ByteView bytes, uint64_t pack_length);

/// Additional data of a sealed index (part "index") or trailer ("trailer").
Bytes pack_additional_data(const PackHeader& header, std::string_view part);

/// What has to be known of a sealed pack to find and read it.
struct PackInfo {
  PackId pack;
  FileHash hash;
  uint64_t length = 0;  // bytes of the file
  PackClass pack_class = PackClass::kData;
  friend bool operator==(const PackInfo&, const PackInfo&) = default;
};

/// An index bundle: one pack's index as an object of a catalog pack (segment type 3).
struct IndexBundle {
  PackInfo info;
  PackHeader header;
  PackIndex index;
};
/// The canonical part.
Bytes encode_index_bundle(const IndexBundle& bundle);
Result<IndexBundle> decode_index_bundle(ByteView canonical);

/// Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files", PETS 2019): `length`
/// rounded up.
uint64_t padme(uint64_t length);

/// The length of a finished pack that needs `length` bytes without filler: all of kPackBytes if it
/// is full, else by Padmé.
uint64_t padded_pack_length(uint64_t length, bool full);

/// "packs/ab/<hash>" or "catalog/ab/<hash>".
std::string pack_path(PackClass pack_class, const FileHash& hash);
/// "packs" or "catalog".
std::string_view pack_folder(PackClass pack_class);
/// "local/open/<pack id>": a pack in writing.
std::string open_pack_path(const PackId& pack);
inline constexpr const char* kOpenPackFolder = "local/open";

}  // namespace varve
