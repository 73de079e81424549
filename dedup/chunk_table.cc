#include "dedup/chunk_table.h"

#include <endian.h>

#include <bit>

namespace varve {
namespace {

constexpr size_t kSlotsMin = 16;

/// The smallest capacity that `rows` fill to three quarters at most.
size_t capacity_for(size_t rows) {
  return std::max(kSlotsMin, std::bit_ceil(rows + rows / 3 + 1));
}

}  // namespace

ChunkKey ChunkKey::of(const ChunkId& id) {
  uint64_t halves[2];
  std::memcpy(halves, id.bytes.data(), sizeof halves);
  return {be64toh(halves[0]), be64toh(halves[1])};
}

template <typename Visit>
void ChunkTable::Shard::visit_in_order(Visit visit) const {
  if (used == 0) return;
  // Begins behind an empty slot, so that no run of neighbours is entered in its middle.
  size_t mask = slots.size() - 1, start = 0;
  while (slots[start].pack != 0) start++;
  for (size_t i = 1; i <= mask; i++) {
    const ChunkRow& row = slots[(start + i) & mask];
    if (row.pack != 0) visit(row);
  }
}

void ChunkTable::Shard::put(const ChunkRow& row) {
  size_t mask = slots.size() - 1, i = row.key.low & mask;
  while (slots[i].pack != 0) i = (i + 1) & mask;
  slots[i] = row;
  used++;
}

void ChunkTable::Shard::rebuild(size_t capacity, const std::function<bool(uint32_t pack)>& kept) {
  Shard old;
  old.slots.swap(slots);
  old.used = used;
  slots.assign(capacity, ChunkRow());
  used = 0;
  old.visit_in_order([&](const ChunkRow& row) {
    if (!kept || kept(row.pack)) put(row);
  });
}

void ChunkTable::add(const ChunkRow& row) {
  Shard& shard = shard_of(row.key);
  std::lock_guard lock(shard.mutex);
  if ((shard.used + 1) * 4 > shard.slots.size() * 3) {
    shard.rebuild(std::max(kSlotsMin, 2 * shard.slots.size()), nullptr);
  }
  size_t mask = shard.slots.size() - 1;
  for (size_t i = row.key.low & mask; shard.slots[i].pack != 0; i = (i + 1) & mask) {
    if (shard.slots[i].key == row.key && shard.slots[i].pack == row.pack) {
      shard.slots[i].segment = row.segment;
      return;
    }
  }
  shard.put(row);
}

void ChunkTable::collect(const std::function<bool(uint32_t pack)>& wanted,
                         std::vector<ChunkRow>& out) const {
  for (const Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    shard.visit_in_order([&](const ChunkRow& row) {
      if (wanted(row.pack)) out.push_back(row);
    });
  }
}

void ChunkTable::retain(const std::function<bool(uint32_t pack)>& kept) {
  for (Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    size_t count = 0;
    shard.visit_in_order([&](const ChunkRow& row) { count += kept(row.pack) ? 1 : 0; });
    if (count != shard.used) shard.rebuild(capacity_for(count), kept);
  }
}

uint64_t ChunkTable::size() const {
  uint64_t rows = 0;
  for (const Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    rows += shard.used;
  }
  return rows;
}

uint64_t ChunkTable::memory_bytes() const {
  uint64_t bytes = 0;
  for (const Shard& shard : shards_) {
    std::lock_guard lock(shard.mutex);
    bytes += shard.slots.size() * sizeof(ChunkRow);
  }
  return bytes;
}

}  // namespace varve
