#include "dedup/chunker.h"

#include <algorithm>
#include <bit>

#include "dedup/base/codec.h"
#include "dedup/base/limits.h"

namespace varve {
namespace {

constexpr size_t kTableEntries = 256;
constexpr size_t kWindowBytes = 64;  // a byte's part has left a 64-bit hash after as many shifts
constexpr uint32_t kAverageMin = 16 * kKiB;

/// The top `count` bits.
constexpr uint64_t top_bits(int count) {
  return ~uint64_t{0} << (64 - count);
}

/// Weak normalisation and an early end store least when data comes again with changes
/// (docs/performance.md): the stronger it is, the more cuts a change moves, and what is longer than
/// usual has more to lose.
struct Normalisation {
  int bits;           // more before the normal point, and fewer after it
  size_t sixteenths;  // of the average: the normal point
};

constexpr Normalisation normalisation_of(ChunkerAlgorithm algorithm) {
  return algorithm == ChunkerAlgorithm::kGearNc1 ? Normalisation{1, 8} : Normalisation{2, 13};
}

struct Scan {
  const uint64_t* table;
  const uint8_t* bytes;
  uint64_t hash;

  /// The first length in (from, to] after whose last byte the hash has zeros under `mask`, or 0.
  /// Two bytes a step; their table look-ups do not wait for each other.
  size_t find(size_t from, size_t to, uint64_t mask) {
    uint64_t h = hash;
    size_t at = from;
    for (; at + 2 <= to; at += 2) {
      const uint64_t one = table[bytes[at]];
      const uint64_t two = table[bytes[at + 1]];
      h = (h << 1) + one;
      if ((h & mask) == 0) [[unlikely]]
        return at + 1;
      h = (h << 1) + two;
      if ((h & mask) == 0) [[unlikely]]
        return at + 2;
    }
    if (at < to) {
      h = (h << 1) + table[bytes[at]];
      if ((h & mask) == 0) return at + 1;
    }
    hash = h;
    return 0;
  }
};

}  // namespace

Chunker::Chunker(const Keyring& keyring, const ChunkerSizes& sizes)
    : sizes_(sizes), table_(std::make_unique<uint64_t[]>(kTableEntries)) {
  const int bits = std::bit_width(std::max(sizes.average, kAverageMin)) - 1;
  const Normalisation normalisation = normalisation_of(sizes.algorithm);
  normal_point_ = size_t{sizes.average} / 16 * normalisation.sixteenths;
  mask_hard_ = top_bits(bits + normalisation.bits);
  mask_easy_ = top_bits(bits - normalisation.bits);
  const Secret table = keyring.dedup_key("varve/1 gear", kTableEntries * sizeof(uint64_t));
  Decoder in(table.view());
  for (size_t i = 0; i < kTableEntries; i++) table_[i] = in.u64();
}

size_t Chunker::cut(ByteView bytes) const {
  const size_t end = std::min<size_t>(bytes.size(), sizes_.maximum);
  if (end <= sizes_.minimum) return end;
  Scan scan{table_.get(), bytes.data(), 0};
  // The window is full when the first cut becomes possible, so that whether a place is a cut
  // depends on the 64 bytes before it alone, and streams that differ before it agree again.
  for (size_t at = sizes_.minimum - kWindowBytes; at < sizes_.minimum; at++) {
    scan.hash = (scan.hash << 1) + table_[bytes[at]];
  }
  const size_t normal = std::min(end, normal_point_);
  if (const size_t length = scan.find(sizes_.minimum, normal, mask_hard_)) return length;
  if (const size_t length = scan.find(normal, end, mask_easy_)) return length;
  return end;
}

bool Chunker::is_cut_by_content(ByteView chunk) const {
  if (chunk.size() <= sizes_.minimum) return false;
  if (chunk.size() >= sizes_.maximum) return chunk.size() == sizes_.maximum;
  uint64_t hash = 0;
  for (const uint8_t byte : chunk.last(kWindowBytes)) hash = (hash << 1) + table_[byte];
  const bool hard = chunk.size() <= normal_point_;
  return (hash & (hard ? mask_hard_ : mask_easy_)) == 0;
}

}  // namespace varve
