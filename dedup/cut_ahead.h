// What a window of a stream is cut into, some dozens of chunks ahead, so that they are hashed side
// by side.
//
// Where the stream was followed before (stream_memory.h) a plan takes its cuts from there without
// rolling through the data: a guess, that a look at the last bytes before each cut supports and
// that the chunk's id proves or not. Where the look fails the chunker cuts, until it comes to a
// place where the stream was cut before: behind data that was changed in place, that is soon.
#pragma once

#include <optional>
#include <vector>

#include "dedup/chunker.h"
#include "dedup/hasher.h"
#include "dedup/stream_memory.h"

namespace varve {

struct PlannedChunk {
  size_t begin = 0;  // in the window
  IndexedChunk chunk;
  std::optional<ChunkId> guess;  // where it was cut by a guess: of the chunk that it was taken for

  /// Whether it is a chunk as the chunker would cut it, if one begins there.
  bool is_sure() const { return !guess || *guess == chunk.id; }
};

/// The chunk at the front of `window`, and those behind it that begin before `begins_before`, with
/// ids. The window holds chunker.sizes().maximum bytes or reaches to the stream's end; the plan
/// ends where it holds no more than that. Not empty unless the window is.
Result<std::vector<PlannedChunk>> plan_chunks(ByteView window, size_t begins_before,
                                              SegmentType type, const Chunker& chunker,
                                              const StreamMemory& memory, const Hasher& hasher);

}  // namespace varve
