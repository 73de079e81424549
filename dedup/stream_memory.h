// What a stream remembers of data that is written again: the chunk that lies behind the last known
// one in its pack is likely to come next.
//
// It is only ever a guess: who takes it compares ids. Packs keep a stream's chunks in their order,
// so that data that was written once as a stream is followed through all of its packs with one
// reading of each pack's index.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "dedup/chunk_index.h"
#include "dedup/lru.h"
#include "dedup/pack_store.h"

namespace varve {

/// The indexes of sealed packs that streams follow, those used last. Any thread.
class PackContents {
 public:
  using Content = std::shared_ptr<const PackIndex>;
  explicit PackContents(PackStore& packs) : packs_(packs) {}

  /// nullptr if the pack is not sealed yet, or its index cannot be read.
  Content of(const PackId& pack);

 private:
  static constexpr size_t kChunksMax = 256 << 10;  // of 36 bytes each

  PackStore& packs_;
  std::mutex mutex_;
  LruMap<PackId, Content, IdHash> kept_{kChunksMax};  // nullptr: not to be read
};

/// One stream's. One thread.
class StreamMemory {
 public:
  explicit StreamMemory(PackContents& contents) : contents_(contents) {}

  /// The chunk that may come next, or `ahead` chunks behind that; nullptr if there is no guess.
  /// Valid until `saw`.
  const IndexedChunk* expected(size_t ahead = 0) const;
  /// `id` came next; `place` if it is in a pack already.
  void saw(const ChunkId& id, const std::optional<ChunkPlace>& place);

 private:
  void find(const ChunkId& id, const ChunkPlace& place);

  PackContents& contents_;
  std::optional<PackId> last_;     // the pack of the last chunk that was in one
  PackContents::Content content_;  // of it, if two chunks in a row were there
  size_t next_ = 0;                // in its chunks; behind them: no guess
};

}  // namespace varve
