// What a segment is made of: the constants and the coding that docs/format.md section 4 fixes.
#pragma once

#include <cstdint>

#include "dedup/base/codec.h"
#include "dedup/base/id.h"

namespace varve {

enum class SegmentType : uint8_t { kChunks = 1, kTree = 2, kIndexBundle = 3 };
enum class Codec : uint8_t { kStored = 0, kZstd = 1 };

inline constexpr size_t kSegmentHeaderBytes = 32;
inline constexpr size_t kSealedSegmentHeaderBytes = 48;
inline constexpr uint32_t kSegmentRawBytesMax = 4u << 20;
inline constexpr uint32_t kSegmentChunksMax = 65536;

struct SegmentHeader {
  SegmentType type = SegmentType::kChunks;
  Codec codec = Codec::kStored;
  uint32_t chunk_count = 0;
  uint32_t raw_length = 0;   // bytes of all chunks together
  uint32_t body_length = 0;  // bytes of the body before sealing
  uint64_t ordinal = 0;
};

Bytes encode_segment_header(const SegmentHeader& header);
/// kCorrupt if a field is out of its limits.
Result<SegmentHeader> decode_segment_header(ByteView bytes);

/// What is sealed by itself in a segment, as its additional data names it.
enum class SegmentPart : uint8_t { kHeader = 1, kBody = 2 };

/// Additional data of a sealed segment header (type 0, not known before it is open) or body.
Bytes segment_additional_data(const StoreId& store, const PackId& pack, uint64_t ordinal,
                              SegmentPart part, uint8_t type);

}  // namespace varve
