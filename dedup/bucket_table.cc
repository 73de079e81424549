#include "dedup/bucket_table.h"

#include <endian.h>
#include <sys/mman.h>

#include <new>

namespace varve {
namespace {

constexpr uint64_t kHugePageBytes = 2 << 20;
constexpr int kBitsPerWord = 6;  // of the key: which of 64

/// Which bit of the filter's word the key sets.
uint64_t filter_bit(const ChunkKey& key, size_t word) {
  return uint64_t{1} << ((key.low >> (kBitsPerWord * word)) & 63);
}

bool is_great(uint64_t bytes) {
  return bytes >= 2 * kHugePageBytes;
}

uint64_t rounded_up(uint64_t bytes) {
  return (bytes + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
}

/// Zeroed. A great table lies in huge pages where there are any: looking one line up in it is a
/// miss of the cache, and need not be several of the page tables too.
void* allocate_lines(uint64_t bytes) {
  if (!is_great(bytes)) {
    void* memory = std::aligned_alloc(BucketTable::kLineBytes, bytes);
    if (memory == nullptr) throw std::bad_alloc();
    return std::memset(memory, 0, bytes);
  }
  void* memory = ::mmap(nullptr, rounded_up(bytes), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  ::madvise(memory, rounded_up(bytes), MADV_HUGEPAGE);
  return memory;
}

}  // namespace

BucketTable::BucketTable(uint64_t buckets)
    : buckets_(buckets),
      lines_(static_cast<Line*>(allocate_lines(buckets * kLineBytes)), Free{buckets * kLineBytes}) {
}

void BucketTable::Free::operator()(Line* lines) const {
  if (is_great(bytes)) {
    ::munmap(lines, rounded_up(bytes));
  } else {
    std::free(lines);
  }
}

bool BucketTable::may_hold(const ChunkKey& key) const {
  const Line& line = lines_[bucket_of(key)];
  uint64_t missing = 0;
  for (size_t i = 0; i < kFilterWords; i++)
    missing |= ~le64toh(line.filter[i]) & filter_bit(key, i);
  return missing == 0;
}

uint64_t BucketTable::first_of(uint64_t bucket) const {
  return bucket == buckets_ ? rows_ : le64toh(lines_[bucket].place) >> 16;
}

BucketTable::Rows BucketTable::rows_of(uint64_t bucket) const {
  const Line& line = lines_[bucket];
  Rows rows{first_of(bucket), le64toh(line.place) & kCountMax, le64toh(line.hash)};
  if (rows.count == kCountMax) rows.count = first_of(bucket + 1) - rows.first;
  return rows;
}

void BucketTable::add(const ChunkKey& key) {
  Line& line = lines_[bucket_of(key)];
  for (size_t i = 0; i < kFilterWords; i++) line.filter[i] |= htole64(filter_bit(key, i));
}

void BucketTable::set_rows(uint64_t bucket, const Rows& rows) {
  Line& line = lines_[bucket];
  line.place = htole64(rows.first << 16 | std::min(rows.count, kCountMax));
  line.hash = htole64(rows.hash);
  rows_ = rows.first + rows.count;
}

bool BucketTable::accept(uint64_t rows) {
  rows_ = rows;
  uint64_t next = 0;
  for (uint64_t bucket = 0; bucket < buckets_; bucket++) {
    const uint64_t place = le64toh(lines_[bucket].place);
    if (place >> 16 != next) return false;
    const uint64_t end = first_of(bucket + 1);
    if (end < next || (place & kCountMax) != std::min(end - next, kCountMax)) return false;
    next = end;
  }
  return next == rows;
}

}  // namespace varve
