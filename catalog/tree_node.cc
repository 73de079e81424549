#include "catalog/tree_node.h"

#include <limits>

#include "dedup/base/limits.h"
#include "dedup/segment_format.h"

namespace varve {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr uint64_t kFileBytesMax = std::numeric_limits<int64_t>::max();
constexpr uint64_t kPermissionsMax = 07777;
constexpr size_t kXattrNameBytesMax = 255;
constexpr uint8_t kFormInside = 0, kFormTree = 1;

uint64_t zigzag(int64_t value) {
  return static_cast<uint64_t>(value) << 1 ^ static_cast<uint64_t>(value >> 63);
}

int64_t unzigzag(uint64_t value) {
  return static_cast<int64_t>(value >> 1 ^ (~(value & 1) + 1));
}

void write_time(Encoder& out, Nanoseconds time) {
  int64_t seconds = time / kNanosecondsPerSecond;
  int64_t rest = time % kNanosecondsPerSecond;
  if (rest < 0) {
    rest += kNanosecondsPerSecond;
    seconds--;
  }
  out.varint(zigzag(seconds)).varint(static_cast<uint64_t>(rest));
}

Nanoseconds read_time(Decoder& in) {
  int64_t seconds = unzigzag(in.varint());
  uint64_t rest = in.varint();
  Nanoseconds time = 0;
  bool overflow = rest >= static_cast<uint64_t>(kNanosecondsPerSecond);
  // In steps that cannot overflow for the earliest time either: its seconds alone lie below what
  // fits.
  if (!overflow && seconds < 0) {
    overflow =
        __builtin_mul_overflow(seconds + 1, kNanosecondsPerSecond, &time) ||
        __builtin_add_overflow(time, static_cast<int64_t>(rest) - kNanosecondsPerSecond, &time);
  } else if (!overflow) {
    overflow = __builtin_mul_overflow(seconds, kNanosecondsPerSecond, &time) ||
               __builtin_add_overflow(time, static_cast<int64_t>(rest), &time);
  }
  if (overflow) in.fail();
  return overflow ? 0 : time;
}

uint64_t read_bounded(Decoder& in, uint64_t max) {
  uint64_t value = in.varint();
  if (value > max) in.fail();
  return value > max ? 0 : value;
}

void write_xattrs(Encoder& out, const Xattrs& xattrs) {
  out.varint(xattrs.size());
  for (const auto& [name, value] : xattrs) out.blob(name).blob(value);
}

void read_xattrs(Decoder& in, TreeNode* node) {
  uint64_t count = in.varint();
  if (count > in.remaining() / 2) in.fail();
  std::string_view before;
  for (uint64_t i = 0; i < count && !in.failed(); i++) {
    std::string_view name = as_text(in.blob());
    std::string_view value = as_text(in.blob());
    bool fits = !name.empty() && name.size() <= kXattrNameBytesMax && before < name &&
                name.find('\0') == std::string_view::npos && value.size() <= kXattrValueBytesMax;
    if (!fits) in.fail();
    before = name;
    if (node != nullptr && !in.failed()) node->xattrs.emplace_back(name, value);
  }
}

void read_extents_inside(Decoder& in, TreeNode* node, std::vector<HintedId>* references) {
  uint64_t count = in.varint();
  if (count > in.remaining() / ChunkId::kSize) in.fail();
  uint64_t end = 0;
  for (uint64_t i = 0; i < count && !in.failed(); i++) {
    HintedExtent next;
    next.extent.offset = in.varint();
    read_extent(in, next.extent);
    if (next.extent.offset < end || !extent_end_fits(next.extent.offset, next.extent.length))
      in.fail();
    if (in.failed()) return;
    end = next.extent.offset + next.extent.length;
    if (references != nullptr) references->push_back({next.extent.chunk, std::nullopt});
    if (node == nullptr) continue;
    node->inode.allocated += next.extent.length;
    node->extents.push_back(next);
  }
}

// The root's id of what is below a directory or a large file.
void read_below(Decoder& in, TreeNode* node, std::vector<HintedId>* references) {
  auto id = in.id<ChunkId>();
  if (references != nullptr) references->push_back({id, std::nullopt});
  if (node != nullptr) node->below = TreeRef{id, std::nullopt};
}

void read_file(Decoder& in, TreeNode* node, std::vector<HintedId>* references) {
  uint64_t size = read_bounded(in, kFileBytesMax);
  uint8_t form = in.u8();
  if (form > kFormTree) in.fail();
  if (node != nullptr) node->inode.size = size;
  if (form == kFormInside) return read_extents_inside(in, node, references);
  uint64_t allocated = read_bounded(in, kFileBytesMax);
  if (node != nullptr) node->inode.allocated = allocated;
  read_below(in, node, references);
}

void read_directory(Decoder& in, TreeNode* node, std::vector<HintedId>* references) {
  uint8_t form = in.u8();
  if (form > kFormTree) in.fail();
  if (form == kFormTree) read_below(in, node, references);
}

void read_symlink(Decoder& in, TreeNode* node) {
  std::string_view target = as_text(in.blob());
  bool fits = !target.empty() && target.size() <= kSymlinkBytesMax &&
              target.find('\0') == std::string_view::npos;
  if (!fits) in.fail();
  if (node == nullptr) return;
  node->target = target;
  node->inode.size = target.size();
}

void read_device(Decoder& in, TreeNode* node) {
  uint64_t major = read_bounded(in, UINT32_MAX);
  uint64_t minor = read_bounded(in, UINT32_MAX);
  if (node == nullptr) return;
  node->inode.device_major = static_cast<uint32_t>(major);
  node->inode.device_minor = static_cast<uint32_t>(minor);
}

// What a node has besides attributes, which is its type's own.
void write_content(Encoder& out, const TreeNode& node, std::vector<HintedId>& references) {
  switch (node.inode.type) {
    case FileType::kFile:
      out.varint(node.inode.size).u8(node.below ? kFormTree : kFormInside);
      if (node.below) {
        out.varint(node.inode.allocated);
        break;
      }
      out.varint(node.extents.size());
      for (const HintedExtent& extent : node.extents) {
        out.varint(extent.extent.offset);
        write_extent(out, extent.extent);
        references.push_back({extent.extent.chunk, extent.hint});
      }
      return;
    case FileType::kDirectory:
      out.u8(node.below ? kFormTree : kFormInside);
      break;
    case FileType::kSymlink:
      out.blob(node.target);
      return;
    case FileType::kCharacterDevice:
    case FileType::kBlockDevice:
      out.varint(node.inode.device_major).varint(node.inode.device_minor);
      return;
    case FileType::kFifo:
    case FileType::kSocket:
      return;
  }
  if (!node.below) return;
  out.id(node.below->id);
  references.push_back({node.below->id, node.below->hint});
}

}  // namespace

bool is_file_type(FileType type) {
  return type >= FileType::kFile && type <= FileType::kBlockDevice;
}

bool is_entry_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

bool extent_end_fits(uint64_t offset, uint64_t length) {
  return offset <= kFileBytesMax && length <= kFileBytesMax - offset;
}

void write_extent(Encoder& out, const Extent& extent) {
  out.varint(extent.length).id(extent.chunk).varint(extent.chunk_offset);
}

void read_extent(Decoder& in, Extent& extent) {
  extent.length = read_bounded(in, kSegmentRawBytesMax);
  extent.chunk = in.id<ChunkId>();
  extent.chunk_offset = read_bounded(in, kSegmentRawBytesMax);
  // No chunk is longer than a segment.
  if (extent.length == 0 || extent.chunk_offset + extent.length > kSegmentRawBytesMax) in.fail();
}

void read_node(Decoder& in, FileType type, TreeNode* node, std::vector<HintedId>* references) {
  Inode inode;
  inode.type = type;
  inode.permissions = static_cast<uint16_t>(read_bounded(in, kPermissionsMax));
  inode.uid = static_cast<uint32_t>(read_bounded(in, UINT32_MAX));
  inode.gid = static_cast<uint32_t>(read_bounded(in, UINT32_MAX));
  inode.atime = read_time(in);
  inode.mtime = read_time(in);
  inode.ctime = read_time(in);
  inode.btime = read_time(in);
  if (node != nullptr) node->inode = inode;
  read_xattrs(in, node);
  switch (type) {
    case FileType::kFile:
      return read_file(in, node, references);
    case FileType::kDirectory:
      return read_directory(in, node, references);
    case FileType::kSymlink:
      return read_symlink(in, node);
    case FileType::kCharacterDevice:
    case FileType::kBlockDevice:
      return read_device(in, node);
    case FileType::kFifo:
    case FileType::kSocket:
      return;
  }
  in.fail();
}

void encode_node(Encoder& out, const TreeNode& node, std::vector<HintedId>& references) {
  const Inode& inode = node.inode;
  out.varint(inode.permissions).varint(inode.uid).varint(inode.gid);
  write_time(out, inode.atime);
  write_time(out, inode.mtime);
  write_time(out, inode.ctime);
  write_time(out, inode.btime);
  write_xattrs(out, node.xattrs);
  write_content(out, node, references);
}

TreeNode decode_node(Decoder& in, FileType type) {
  TreeNode node;
  read_node(in, type, &node, nullptr);
  return node;
}

}  // namespace varve
