// Opens and decodes sealed segments of one pack.
//
// Any thread. Nothing is believed before its seal has opened; the chunks' ids are computed from
// what was decoded (decoded_segment.h), so that a chunk found by its id is that chunk, whatever an
// index said.
#pragma once

#include <memory>

#include "dedup/base/idle_pool.h"
#include "dedup/decoded_segment.h"
#include "dedup/hasher.h"
#include "dedup/pack_keys.h"

namespace varve {

struct PreparedSegment;  // pack_store.h

class SegmentReader {
 public:
  explicit SegmentReader(PackKeys keys);
  ~SegmentReader();

  const PackKeys& keys() const { return keys_; }

  /// Opens the sealed header (kSealedSegmentHeaderBytes) of the pack's segment `ordinal`.
  Result<SegmentHeader> open_header(uint64_t ordinal, ByteView sealed) const;

  /// A whole segment, header and body; the bytes of `sealed` are used up. Of a segment whose chunks
  /// are named when they are looked for, `hasher` has to outlive it.
  Result<std::shared_ptr<const DecodedSegment>> decode(uint64_t ordinal, ByteSpan sealed,
                                                       const Hasher& hasher,
                                                       Naming naming = Naming::kAtOnce) const;

 private:
  struct Sealers;
  Result<SegmentHeader> open_header(Sealers& sealers, uint64_t ordinal, ByteView sealed) const;

  PackKeys keys_;
  mutable IdlePool<Sealers> sealers_;  // a key schedule is worth keeping
};

/// Seals one segment into `out`, which becomes header and body as they stand in a pack.
Buffer seal_segment(const PackKeys& keys, Sealer& header_sealer, Sealer& body_sealer,
                    uint64_t ordinal, const PreparedSegment& segment);
/// The length of such a segment, in a pack.
constexpr uint64_t sealed_segment_bytes(uint64_t payload_bytes, uint64_t chunks) {
  return kSealedSegmentHeaderBytes + 4 * chunks + payload_bytes + kTagBytes;
}

}  // namespace varve
