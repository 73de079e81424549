#include "dedup/chunk_inventory.h"

#include <algorithm>

namespace varve {
namespace {

uint32_t load_u32(const ChunkId& id, size_t at) {
  uint32_t value;
  std::memcpy(&value, id.bytes.data() + at, sizeof value);
  return value;
}

}  // namespace

size_t ChunkInventory::bucket_of(const ChunkId& id) {
  return size_t{id.bytes[0]} << 8 | id.bytes[1];
}

ChunkInventory::Row ChunkInventory::row_of(const ChunkId& id, uint32_t length, uint32_t pack) {
  return {load_u32(id, 2), load_u32(id, 6) << kLengthBits | ((length - 1) & kLengthMask), pack};
}

void ChunkInventory::add(const ChunkId& id, uint32_t length, uint32_t pack) {
  buckets_[bucket_of(id)].push_back(row_of(id, length, pack));
}

void ChunkInventory::settle() {
  for (std::vector<Row>& bucket : buckets_) {
    std::sort(bucket.begin(), bucket.end());
    bucket.erase(std::unique(bucket.begin(), bucket.end()), bucket.end());
    bucket.shrink_to_fit();
  }
}

std::span<const ChunkInventory::Row> ChunkInventory::find(const ChunkId& id) const {
  const std::vector<Row>& bucket = buckets_[bucket_of(id)];
  const Row first = row_of(id, 1, 0);
  const Row last = row_of(id, kSegmentRawBytesMax, UINT32_MAX);
  const auto begin = std::lower_bound(bucket.begin(), bucket.end(), first);
  const auto end = std::upper_bound(begin, bucket.end(), last);
  return {begin, end};
}

uint64_t ChunkInventory::size() const {
  uint64_t sum = 0;
  for (const std::vector<Row>& bucket : buckets_) sum += bucket.size();
  return sum;
}

}  // namespace varve
