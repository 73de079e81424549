// Files' bytes into chunks, cut as those that are written through the mount are. One thread.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "catalog/inode.h"
#include "dedup/chunker.h"
#include "dedup/ingest.h"

namespace varve {

class TarContent {
 public:
  /// `admit(bytes)` is asked before a chunk is stored; `stored(bytes)` told of one that was new.
  struct Room {
    std::function<Result<void>(uint64_t bytes)> admit;
    std::function<void(uint64_t bytes)> stored;
  };
  TarContent(Ingest& ingest, const Chunker& chunker, Room room);

  /// A new file; what was not taken of the last one is forgotten.
  void begin();
  /// Offsets ascend; what is left out is a hole.
  Result<void> write(uint64_t offset, ByteView bytes);
  /// Nothing more comes: everything that was written is in extents().
  Result<void> finish();

  /// What was cut so far, in order, since it was last taken.
  const std::vector<Extent>& extents() const { return extents_; }
  std::vector<Extent> take() { return std::exchange(extents_, {}); }

 private:
  ByteView waiting() const { return ByteView(buffer_).subspan(cut_to_); }
  Result<void> cut(size_t keep);
  Result<void> put(size_t begins_before);
  void choose_stream(ByteView head);

  Ingest& ingest_;
  const Chunker& chunker_;
  Room room_;
  std::unique_ptr<Ingest::Stream> streams_;  // one for all files that are read from end to end
  std::unique_ptr<Ingest::Stream> image_;    // of this file, if it is a disk image
  std::vector<Extent> extents_;
  Bytes buffer_;       // of the run of bytes that is being cut, from cut_to_ on not yet
  size_t cut_to_ = 0;  // in the buffer
  uint64_t at_ = 0;    // where in the file that is
  bool chosen_ = false;
};

}  // namespace varve
