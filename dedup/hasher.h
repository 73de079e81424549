// Names for chunks and objects: HMAC-SHA-256 (FIPS 198-1) under keys derived from the dedup secret.
#pragma once

#include <memory>
#include <span>

#include "dedup/base/bytes.h"
#include "dedup/base/id.h"
#include "dedup/keyring.h"
#include "dedup/segment_format.h"

namespace varve {

/// Any thread.
class Hasher {
 public:
  explicit Hasher(const Keyring& keyring);
  ~Hasher();

  ChunkId chunk_id(ByteView chunk) const;
  /// Of the object's type and canonical part; hints do not count.
  ChunkId object_id(SegmentType type, ByteView canonical) const;
  /// The id of a stored item by its segment's type; for objects, of the canonical part that `item`
  /// says it has. kCorrupt if an object's length field does not fit.
  Result<ChunkId> item_id(SegmentType type, ByteView item) const;
  /// ids[i] becomes the id of items[i]; the two are equally many. Of some dozens of chunks two to
  /// three times as fast as one by one.
  Result<void> item_ids(SegmentType type, std::span<const ByteView> items,
                        std::span<ChunkId> ids) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace varve
