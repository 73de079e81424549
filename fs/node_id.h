// Node ids by what they stand for. Live files have catalog/inode.h's numbers, below bit 62.
//
//   bit 63: a file in a snapshot     view number (22 bits) << 40 | file number
//   bit 62: .varve itself            kind << 40 | slot
#pragma once

#include "catalog/inode.h"

namespace varve {

inline constexpr Ino kSnapshotBit = Ino{1} << 63;
inline constexpr Ino kControlBit = Ino{1} << 62;
static_assert((make_ino(kSetNumberMax, kFileNumberMask) & (kSnapshotBit | kControlBit)) == 0);

inline constexpr bool is_snapshot(Ino node) {
  return (node & kSnapshotBit) != 0;
}
inline constexpr bool is_control(Ino node) {
  return !is_snapshot(node) && (node & kControlBit) != 0;
}
inline constexpr bool is_live(Ino node) {
  return (node & (kSnapshotBit | kControlBit)) == 0;
}

inline constexpr Ino snapshot_node(uint32_t view, uint64_t number) {
  return kSnapshotBit | (Ino{view} << kFileNumberBits) | number;
}

/// How long the kernel may believe what only this mount can change.
inline constexpr double kTimeoutOfOwnSeconds = 3600;

}  // namespace varve
