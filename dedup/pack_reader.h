// Reads one pack, sealed or in writing: where its segments begin, and what is in them.
//
// Any thread. Holds the pack's file open.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "dedup/segment_reader.h"

namespace varve {

/// Where each segment of a pack begins, and where the last one ends: a full pack's in about a
/// kilobyte.
using SegmentTable = std::vector<uint32_t>;

class PackReader {
 public:
  /// A sealed pack's file. Checks that it is the pack that it is said to be; `table`, if
  /// it is known, saves reading its index. Where the index is damaged, segments are found by their
  /// own headers.
  static Result<std::shared_ptr<PackReader>> open(Storage& storage, const Keyring& keyring,
                                                  const PackInfo& info, const SegmentTable* table);
  /// A pack in writing, so far without segments.
  PackReader(PackKeys keys, std::shared_ptr<StorageFile> file);

  /// The segment after the last ends at `end` now, and is there to be read.
  void add_segment(uint64_t end);

  /// kNotFound if the pack has no such segment.
  Result<std::shared_ptr<const DecodedSegment>> read(uint32_t ordinal, const Hasher& hasher,
                                                     Naming naming = Naming::kAtOnce) const;
  /// Of a sealed pack: the index at its end.
  Result<PackIndex> read_index() const;
  /// The same; where that is damaged, what the segments hold that can be read, the others left
  /// empty: for finding chunks, not to be written anywhere.
  Result<PackIndex> readable_index(const Hasher& hasher) const;

  std::shared_ptr<const SegmentTable> table() const;
  /// The index is damaged, and segments were found by their own headers: perhaps not all.
  bool was_walked() const { return was_walked_; }

 private:
  SegmentReader segments_;
  std::shared_ptr<StorageFile> file_;
  mutable std::mutex mutex_;
  SegmentTable table_;
  bool was_walked_ = false;  // set before anybody else has the reader
};

/// The index at the end of a sealed pack's file.
Result<PackIndex> read_pack_index(StorageFile& file, const PackKeys& keys);

/// Where segments begin and end by what their own headers say, from the front up to the first that
/// does not open: for packs whose index cannot be had.
Result<SegmentTable> walk_segments(StorageFile& file, const SegmentReader& segments);

/// Whether an error tells of bytes that are wrong; a failure of the storage says nothing about
/// them.
bool says_damage(const Error& error);
/// Exactly out.size() bytes at `offset`; kCorrupt if the file ends before.
Result<void> read_exactly(StorageFile& file, uint64_t offset, ByteSpan out);

}  // namespace varve
