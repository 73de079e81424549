// What a store keeps free of its disk.
#pragma once

#include <algorithm>

#include "dedup/base/limits.h"

namespace varve {

/// Of a disk of `total` bytes: for the database, for snapshots, and for what removing needs to make
/// room. Neither data that is accepted nor the reservation of a pack goes into it.
constexpr uint64_t disk_reserve_bytes(uint64_t total) {
  return std::min<uint64_t>(64 * kMiB, total / 16) + std::min<uint64_t>(512 * kMiB, total / 50);
}

}  // namespace varve
