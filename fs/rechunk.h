// Where a changed file is cut anew: pure, so that a model can test it.
//
//     old extents   |--------|-----|------------|-------|----
//     dirty runs          [xxxx]      [x]
//     cut anew      |------|----|--|------|-----|
//                   ^ start of the extent       ^ resync: beyond every run, and on an old
//                     that the run begins in      boundary again
//
// A run's chunks begin where the extent that it begins in begins; a run that appends begins with
// the last chunk, unless that one is known to be cut by content (`natural_end`). Cutting goes on
// over old bytes until a cut falls on an old boundary. Where that does not happen soon (the chunker
// finds nothing in constant data), the next old boundary is made a cut. Data ends at holes and at
// the end of the file: the last chunk before ends there.
#pragma once

#include <span>
#include <vector>

#include "catalog/inode.h"
#include "dedup/base/bytes.h"
#include "dedup/base/result.h"
#include "fs/dirty_extents.h"

namespace varve {

/// The file that is cut anew. Old extents do not change while a Rechunk works on it.
class RechunkSource {
 public:
  virtual ~RechunkSource() = default;
  /// Old extents that overlap [from, to), in order, uncut.
  virtual Result<std::vector<Extent>> old_extents(uint64_t from, uint64_t to) = 0;
  /// The file's bytes, dirty over old: all of `out`, which lies within data.
  virtual Result<void> read(uint64_t offset, ByteSpan out) = 0;
  /// The dirty bytes from `offset` on that lie together in memory, at most to `to`; none if there
  /// are none. They stay as they are while the slice lives.
  virtual DirtySlice borrow(uint64_t offset, uint64_t to) = 0;
  struct Front {
    ChunkId id;
    size_t length = 0;
  };
  /// Stores the chunk that begins at the front of `window`, which holds at least chunk_bytes_max or
  /// reaches to the end of the data, and any that follow, begin before `begins_before`, and have as
  /// much of the window before them; gives them in order.
  virtual Result<std::vector<Front>> put_fronts(ByteView window, size_t begins_before) = 0;
  /// Stores the one chunk at the front, cut to at most `limit` bytes.
  virtual Result<Front> put_front(ByteView window, size_t limit) = 0;
  /// [from, to) now consists of `extents`.
  virtual Result<void> replace(FileRange range, std::vector<Extent> extents) = 0;
};

struct RechunkOptions {
  size_t chunk_bytes_max = 0;         // what cutting wants to see
  size_t resync_bytes_max = 0;        // how far behind a run old cuts are looked for
  size_t replace_bytes_max = 0;       // replace() is called at least that often
  uint64_t old_size = 0;              // where the committed file ends
  uint64_t natural_end = UINT64_MAX;  // an end of the committed file that was cut by content
  /// The run that is still being appended to: what follows its last cut by content stays dirty.
  /// UINT64_MAX: none, all is cut.
  uint64_t open_end = UINT64_MAX;
};

class Rechunk {
 public:
  Rechunk(RechunkSource& source, RechunkOptions options)
      : source_(source), options_(std::move(options)) {}

  /// Cuts everything that `runs` (in order, apart from each other) touch.
  Result<void> run(const std::vector<FileRange>& runs);
  /// Where the last cut by content was that ended at open_end's run, if any.
  uint64_t natural_end() const { return natural_end_; }

 private:
  Result<uint64_t> start_of(FileRange run);
  Result<void> cut_region();
  Result<void> load_old(uint64_t at);
  Result<void> fill_window();
  Result<void> copy_window(uint64_t to);
  uint64_t dirty_end() const;
  Result<void> take_chunks(uint64_t begins_before);
  Result<void> take_chunk(size_t limit);
  void took(const RechunkSource::Front& chunk);
  Result<void> publish();
  bool is_boundary(uint64_t at) const;
  uint64_t boundary_behind(uint64_t at) const;
  bool waits_for_more() const;

  RechunkSource& source_;
  RechunkOptions options_;
  uint64_t natural_end_ = UINT64_MAX;

  std::span<const FileRange> runs_;
  size_t next_ = 0;          // the first run that no chunk has reached
  std::vector<Extent> old_;  // those around the window
  uint64_t old_known_to_ = 0;
  ByteView window_;  // data from position_ on: of borrowed_, or of copied_
  DirtySlice borrowed_;
  Buffer copied_;
  uint64_t position_ = 0;  // of the next chunk
  uint64_t data_end_ = 0;  // where the data that position_ is in ends, as far as known
  FileRange pending_;      // cut, and not yet given to replace
  std::vector<Extent> extents_;
};

}  // namespace varve
