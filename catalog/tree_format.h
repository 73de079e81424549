// The coding of tree objects and directory entries (docs/format.md section 5). Pure functions, no
// storage.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "catalog/inode.h"
#include "dedup/base/codec.h"
#include "dedup/base/result.h"

namespace varve {

enum class TreeKind : uint8_t { kDirectory = 1, kExtents = 2, kLinks = 3 };

/// A reference as it stands in a value, with its hint.
struct HintedId {
  ChunkId id;
  std::optional<ChunkPlace> hint;
};

struct HintedExtent {
  Extent extent;
  std::optional<ChunkPlace> hint;
};

/// An inode with all that belongs to it: what a directory entry, a link or a snapshot's top says.
struct TreeNode {
  Inode inode;
  Xattrs xattrs;
  std::string target;  // symlink
  std::optional<TreeRef>
      below;  // directory that is not empty: its tree; file whose extents are not inside: theirs
              // (inode.allocated must be right then: it is stored with them)
  std::vector<HintedExtent> extents;  // file whose extents are inside
};

struct TreeEntry {
  std::string name;
  uint64_t number = 0;
  FileType type = FileType::kFile;
  bool linked = false;  // the node is in the link table
  TreeNode node;        // empty if linked
};

/// A file with more extents than this has them in a tree of their own.
inline constexpr size_t kExtentsInsideMax = 8;

/// One record of an object, with the ids in its value in order of appearance.
struct TreeRecord {
  std::string key;
  Bytes value;
  std::vector<HintedId> references;
};

TreeRecord encode_entry(const TreeEntry& entry);
Result<TreeEntry> decode_entry(const TreeRecord& record);
TreeRecord encode_extent_record(const HintedExtent& extent);
Result<HintedExtent> decode_extent_record(const TreeRecord& record);
TreeRecord encode_link_record(uint64_t number, const TreeNode& node);
struct LinkRecord {
  uint64_t number = 0;
  TreeNode node;
};
Result<LinkRecord> decode_link_record(const TreeRecord& record);

/// Keys of a link table and of a tree of extents: big-endian.
std::string link_key(uint64_t number);
std::string extent_key(uint64_t offset);

/// Writes an inode of that coding (for a snapshot's top directory); the references it makes are
/// appended.
void encode_node(Encoder& out, const TreeNode& node, std::vector<HintedId>& references);
/// Reads it back without hints.
TreeNode decode_node(Decoder& in, FileType type);

/// No object is deeper: a tree of that depth would hold more records than there are files.
inline constexpr uint8_t kTreeLevelMax = 16;

/// An object: what one chunk of a catalog pack holds.
struct TreeObject {
  TreeKind kind = TreeKind::kDirectory;
  uint8_t level = 0;
  std::vector<TreeRecord> records;  // level 0
  struct Branch {
    std::string first_key;
    HintedId child;
    uint64_t records = 0;
  };
  std::vector<Branch> branches;  // level > 0
};

/// The stored item: length of the canonical part, canonical part, hints.
Bytes encode_tree_object(const TreeObject& object);
/// kCorrupt if anything does not fit, keys that do not ascend included.
Result<TreeObject> decode_tree_object(ByteView item);

}  // namespace varve
