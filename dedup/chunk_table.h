// The places of recent packs' chunks in memory: 24 bytes a place and open addressing, in shards
// with a lock each.
//
// A chunk may lie in several packs; each (chunk, pack) has one place, and among a chunk's places
// the one added last is asked first. Any thread.
#pragma once

#include <array>
#include <compare>
#include <functional>
#include <mutex>
#include <vector>

#include "dedup/base/id.h"

namespace varve {

/// The first 16 bytes of a chunk's id, in the order of the bytes. Ids are uniformly distributed:
/// every bit may serve as a hash.
struct ChunkKey {
  uint64_t high = 0, low = 0;
  static ChunkKey of(const ChunkId& id);
  friend auto operator<=>(const ChunkKey&, const ChunkKey&) = default;
};

/// One place of a chunk; packs are numbered from 1.
struct ChunkRow {
  ChunkKey key;
  uint32_t pack = 0;
  uint32_t segment = 0;
};
static_assert(sizeof(ChunkRow) == 24);

/// By key; rows of one key stay in their order. Takes as much memory again for a moment.
void sort_rows(std::vector<ChunkRow>& rows);

class ChunkTable {
 public:
  void add(const ChunkRow& row);

  /// The row of the key that was added last among those that `accept` takes; pack 0 if there is
  /// none.
  template <typename Accept>
  ChunkRow find(const ChunkKey& key, Accept accept) const {
    const Shard& shard = shard_of(key);
    std::lock_guard lock(shard.mutex);
    ChunkRow found;
    if (shard.slots.empty()) return found;
    size_t mask = shard.slots.size() - 1;
    for (size_t i = key.low & mask; shard.slots[i].pack != 0; i = (i + 1) & mask) {
      if (shard.slots[i].key == key && accept(shard.slots[i].pack)) found = shard.slots[i];
    }
    return found;
  }

  /// Appends the rows of the packs that `wanted` takes, in no order but that a key's newer rows
  /// come later.
  void collect(const std::function<bool(uint32_t pack)>& wanted, std::vector<ChunkRow>& out) const;
  /// Keeps the rows of the packs that `kept` takes, and gives memory back.
  void retain(const std::function<bool(uint32_t pack)>& kept);

  uint64_t size() const;
  uint64_t memory_bytes() const;

 private:
  static constexpr int kShardBits = 6;

  /// Rows of one key stand in the order of their adding along the probe sequence; slots.size() is
  /// zero or a power of two.
  struct Shard {
    mutable std::mutex mutex;
    std::vector<ChunkRow> slots;
    size_t used = 0;

    void put(const ChunkRow& row);
    void rebuild(size_t capacity, const std::function<bool(uint32_t pack)>& kept);
    template <typename Visit>
    void visit_in_order(Visit visit) const;
  };

  Shard& shard_of(const ChunkKey& key) { return shards_[key.high >> (64 - kShardBits)]; }
  const Shard& shard_of(const ChunkKey& key) const {
    return shards_[key.high >> (64 - kShardBits)];
  }

  std::array<Shard, 1 << kShardBits> shards_;
};

}  // namespace varve
