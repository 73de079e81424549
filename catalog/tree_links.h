// Finding a linked entry's inode in a set's link table.
#pragma once

#include <optional>

#include "catalog/tree.h"

namespace varve {

/// The node of `entry`, whose `linked` is true; kCorrupt if the table does not have it.
Result<TreeNode> find_link(TreeReader& reader, const std::optional<TreeRef>& links,
                           const TreeEntry& entry);

}  // namespace varve
