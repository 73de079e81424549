// Bytes out: a chunk by its id, through a bounded cache of decoded segments.
//
// Any thread. Reads of one segment that is being decoded by somebody else wait for that one decode.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "dedup/chunk_index.h"
#include "dedup/ingest.h"
#include "dedup/pack_store.h"

namespace varve {

/// A chunk's bytes, alive as long as this.
struct ChunkBytes {
  std::shared_ptr<const void> owner;
  ByteView bytes;
};

class Fetch {
 public:
  /// `ingest` may be nullptr (nothing pending); so may `read_ahead` (no prefetching): its queue
  /// must hold 8 tasks beside what others queue there, for prefetch never to block. `cache_bytes`
  /// bounds decoded segments kept.
  Fetch(PackStore& packs, ChunkIndex& index, Ingest* ingest, Executor* read_ahead, Metrics& metrics,
        size_t cache_bytes);
  ~Fetch();

  /// What is known of a chunk that is asked for, and how far to go for it.
  struct Wish {
    std::optional<ChunkPlace> hint = std::nullopt;  // is tried first; a stale one costs time only
    uint64_t length_min = 0;  // how long it is at least, as far as the caller knows
    Reach reach = Reach::kAnywhere;
  };
  /// kCorrupt with pack and chunk named if no whole copy can be had, kIo where a remote that may
  /// have it does not answer.
  Result<ChunkBytes> chunk(const ChunkId& id, const Wish& wish);
  Result<ChunkBytes> chunk(const ChunkId& id) { return chunk(id, Wish()); }

  struct Asked {
    ChunkId id;
    Wish wish;
  };
  /// Brings here what a reader is about to ask for, chunk by chunk, up to 4 MiB of segments, and
  /// names it side by side. They are kept while what this returns lives. Never fails: what does,
  /// does so when it is asked for.
  [[nodiscard]] NamesAhead make_ready(std::span<const Asked> chunks);

  /// Begins to decode in the background what a sequential reader will ask for next. Never blocks,
  /// never fails.
  void prefetch(const ChunkId& id, const std::optional<ChunkPlace>& hint = std::nullopt);

  /// Forgets everything cached (after packs were removed).
  void drop_cache();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace varve
