// The coding of one inode, and of one extent, inside tree records (docs/format.md section 5).
// Private to tree_format and history_format.
//
// Readers latch the Decoder on whatever makes no sense, so that the caller asks once, at the end.
#pragma once

#include <string_view>
#include <vector>

#include "catalog/tree_format.h"

namespace varve {

bool is_file_type(FileType type);

/// 1 to 255 bytes without '/' and NUL, and neither "." nor "..".
bool is_entry_name(std::string_view name);

/// Whether a range of that length at `offset` ends where a file can end.
bool extent_end_fits(uint64_t offset, uint64_t length);

/// Length, chunk and place in the chunk; the offset in the file stands elsewhere.
void write_extent(Encoder& out, const Extent& extent);
void read_extent(Decoder& in, Extent& extent);

/// Reads an inode and what belongs to it into `node`, unless that is nullptr, and appends the ids
/// that stand in it to `references`, unless that is nullptr.
void read_node(Decoder& in, FileType type, TreeNode* node, std::vector<HintedId>* references);

}  // namespace varve
