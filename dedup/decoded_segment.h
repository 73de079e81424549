// A decoded segment: chunks one after the other. What it holds is authentic; which chunk is which
// is not believed, but computed from their bytes: of all at once, or of those that are looked for.
//
// Immutable but for the names that it finds out; any thread.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "dedup/hasher.h"
#include "dedup/pack_format.h"

namespace varve {

/// When a segment's chunks get their ids: a read at random needs one of many, and hashing the
/// others takes longer than reading it.
enum class Naming { kAtOnce, kWhenLookedFor };

class DecodedSegment {
 public:
  /// With all ids.
  DecodedSegment(SegmentType type, Buffer raw, std::vector<IndexedChunk> chunks);
  /// With lengths alone; `hasher` outlives all calls.
  DecodedSegment(SegmentType type, Buffer raw, std::vector<IndexedChunk> chunks,
                 const Hasher& hasher);

  SegmentType type() const { return type_; }
  /// The bytes of the chunk with that id; nullopt if it is not in this segment. It has at least
  /// `length_min` bytes: most often just as many, so those are named first.
  std::optional<ByteView> find(const ChunkId& id, uint64_t length_min = 0) const;
  /// Of a segment that was made with all ids.
  const std::vector<IndexedChunk>& chunks() const { return chunks_; }
  size_t memory_bytes() const;

 private:
  friend class NamesAhead;
  void note_offsets();
  std::optional<ByteView> find_in_order(const ChunkId& id) const;
  std::optional<ByteView> find_by_naming(const ChunkId& id, uint64_t length_min) const;
  /// Whether the chunk has that id; it is named then.
  bool has_name(size_t number, const ChunkId& id) const;
  ByteView bytes_of(size_t number) const {
    return raw_.view().subspan(offsets_[number], chunks_[number].length);
  }

  const SegmentType type_;
  const Buffer raw_;
  const Hasher* const hasher_ = nullptr;
  enum class Name : uint8_t { kUnknown, kKnown, kNone };
  mutable std::mutex mutex_;  // of the ids and of names_, where there is a hasher
  mutable std::vector<IndexedChunk> chunks_;
  mutable std::vector<Name> names_;
  std::vector<uint32_t> offsets_;  // of each chunk in raw_
  std::vector<uint32_t> order_;    // the chunks' numbers by their ids, where they have all
};

/// Names what will be looked for in segments, before it is: side by side (Hasher::item_ids), which
/// costs half of naming each by itself. Keeps the segments. One thread.
class NamesAhead {
 public:
  /// The chunk that `segment` would name first to find that one, unless it need not.
  void add(std::shared_ptr<const DecodedSegment> segment, const ChunkId& id, uint64_t length_min);
  /// Names all that were added.
  void name();

 private:
  struct Unnamed {
    std::shared_ptr<const DecodedSegment> segment;
    size_t number = 0;  // of the chunk in it
  };
  std::vector<Unnamed> unnamed_;
};

}  // namespace varve
