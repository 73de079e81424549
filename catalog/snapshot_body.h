// The sealed part of a snapshot: its name, and the trees of its sets (docs/format.md section 6).
// Pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "catalog/tree_format.h"
#include "dedup/history_format.h"

namespace varve {

/// The greatest next free number of a set: half of all that there are, so that a reader may skip
/// some.
inline constexpr uint64_t kNextNumberMax = uint64_t{1} << (kFileNumberBits - 1);

/// One set in a snapshot.
struct SnapshotTree {
  SetId set;
  std::string set_name;
  uint64_t next_number = 2;
  std::optional<TreeRef> links;
  TreeNode top;
};

struct SnapshotBody {  // sealed
  std::string name;
  std::vector<SnapshotTree> trees;
};

Bytes encode_snapshot_body(const SnapshotBody& body);
Result<SnapshotBody> decode_snapshot_body(ByteView bytes);
/// A set's snapshot holds that set's tree and no other; a whole mount's begins with the root's own.
Result<void> check_snapshot_shape(const SnapshotHeader& header, const SnapshotBody& body);

}  // namespace varve
