#include "dedup/chunk_table.h"

#include <endian.h>

#include <algorithm>
#include <bit>
#include <numeric>

namespace varve {
namespace {

constexpr size_t kSlotsMin = 16;

/// The smallest capacity that `rows` fill to three quarters at most.
size_t capacity_for(size_t rows) {
  return std::max(kSlotsMin, std::bit_ceil(rows + rows / 3 + 1));
}

using RowIterator = std::vector<ChunkRow>::iterator;

/// Stable. What is as good as random has few rows here; a chunk that lies in thousands of packs
/// brings as many.
void sort_few(RowIterator begin, RowIterator end) {
  constexpr ptrdiff_t kFew = 32;
  const auto by_key = [](const ChunkRow& a, const ChunkRow& b) { return a.key < b.key; };
  if (end - begin > kFew) return std::stable_sort(begin, end, by_key);
  for (RowIterator at = begin + 1; at != end; ++at) {
    const ChunkRow row = *at;
    RowIterator to = at;
    for (; to != begin && row.key < (to - 1)->key; --to) *to = *(to - 1);
    *to = row;
  }
}

}  // namespace

ChunkKey ChunkKey::of(const ChunkId& id) {
  uint64_t halves[2];
  std::memcpy(halves, id.bytes.data(), sizeof halves);
  return {be64toh(halves[0]), be64toh(halves[1])};
}

void sort_rows(std::vector<ChunkRow>& rows) {
  // Keys are uniformly distributed: their first bits tell the place but for a few neighbours.
  const int bits = std::clamp(static_cast<int>(std::bit_width(rows.size())) - 3, 1, 24);
  const auto part_of = [bits](const ChunkRow& row) { return row.key.high >> (64 - bits); };
  std::vector<uint64_t> begin((size_t{1} << bits) + 1);
  for (const ChunkRow& row : rows) begin[part_of(row) + 1]++;
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<ChunkRow> sorted(rows.size());
  std::vector<uint64_t> next(begin);
  for (const ChunkRow& row : rows) sorted[next[part_of(row)]++] = row;
  for (size_t part = 0; part + 1 < begin.size(); part++) {
    if (begin[part + 1] - begin[part] < 2) continue;
    sort_few(sorted.begin() + static_cast<ptrdiff_t>(begin[part]),
             sorted.begin() + static_cast<ptrdiff_t>(begin[part + 1]));
  }
  rows = std::move(sorted);
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
