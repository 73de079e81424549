// Which packs hold which chunks: derived from pack indexes, never the truth.
//
// Recent packs are in a hash table; older ones in immutable sorted runs under local/index/, each
// with a table of filters in memory, merged in tiers (O'Neil et al., "The Log-Structured
// Merge-Tree", 1996), so that cost hardly grows with the store. Any thread. Losing or damaging a
// run costs a rebuild from pack indexes, never wrong data: every chunk that is read is checked
// against its id.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "dedup/base/id.h"
#include "dedup/base/storage.h"
#include "dedup/pack_format.h"

namespace varve {

/// Where a chunk lies.
struct ChunkPlace {
  PackId pack;
  uint32_t segment = 0;  // ordinal in the pack
  friend bool operator==(const ChunkPlace&, const ChunkPlace&) = default;
};

class ChunkIndex {
 public:
  virtual ~ChunkIndex() = default;

  /// One place of the chunk, the newest that was added; nullopt if it is not known.
  virtual Result<std::optional<ChunkPlace>> find(const ChunkId& id) = 0;
  /// Adds one segment of a pack that is being written.
  virtual void add(const PackId& pack, uint32_t segment,
                   const std::vector<IndexedChunk>& chunks) = 0;
  /// The pack is sealed: its chunks may go to a run. Adds what was not added by segments.
  virtual void add_pack(const PackId& pack, const PackIndex& index) = 0;
  /// Many sealed packs at once, as a rebuild finds them: past memory, into a run of their own, if
  /// the index has runs; durable on return. Those that are known are passed over. After an error
  /// they may be given again, to add_pack too. One caller at a time.
  struct SealedPack {
    PackId pack;
    PackIndex index;
  };
  virtual Result<void> add_packs(const std::vector<SealedPack>& packs) = 0;
  /// The pack is gone: nothing points there any more.
  virtual void remove_pack(const PackId& pack) = 0;
  /// The chunk is not at that place, which find gave: one that was no more than a hint is
  /// forgotten.
  virtual void disappointed(const ChunkId& /*id*/, const ChunkPlace& /*place*/) {}
  /// Packs that are whole in the runs on disk, and so need not be added after opening. Who opens an
  /// index removes those that he does not have: removals are durable only after settle.
  virtual std::vector<PackId> packs_on_disk() = 0;
  /// Packs whose run was found damaged while it was read, since the last call: to be given to
  /// add_pack again, or their chunks stay unknown until the next opening. The find that met the
  /// damage gave kCorrupt.
  virtual std::vector<PackId> take_lost_packs() { return {}; }
  /// Writes sealed packs' chunks from memory into runs and merges runs where it is time. One caller
  /// at a time; find goes on.
  virtual Result<void> settle() = 0;

  struct Figures {
    uint64_t chunks_in_memory = 0, chunks_in_runs = 0, runs = 0, resident_bytes = 0;
  };
  virtual Figures figures() = 0;
};

/// Opens the runs in `directory` of `storage`, which is made; a damaged run is removed with a log
/// line.
Result<std::unique_ptr<ChunkIndex>> open_chunk_index(Storage& storage,
                                                     const std::string& directory);
/// In memory only: for tools and tests.
std::unique_ptr<ChunkIndex> make_memory_chunk_index();

}  // namespace varve
