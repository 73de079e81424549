// Tree objects with their records and hints, and POSIX access control lists among their xattrs.
#include "catalog/posix_acl.h"
#include "catalog/tree_format.h"
#include "tests/fuzz/fuzz_target.h"

namespace varve {
namespace {

bool same_record(const TreeRecord& a, const TreeRecord& b) {
  if (a.key != b.key || a.value != b.value || a.references.size() != b.references.size())
    return false;
  for (size_t i = 0; i < a.references.size(); i++) {
    const HintedId &x = a.references[i], &y = b.references[i];
    if (x.id != y.id || x.hint.has_value() != y.hint.has_value()) return false;
    if (x.hint && (x.hint->pack != y.hint->pack || x.hint->segment != y.hint->segment))
      return false;
  }
  return true;
}

bool check_record(TreeKind kind, const TreeRecord& record) {
  std::optional<TreeRecord> again;
  if (kind == TreeKind::kDirectory) {
    if (const auto entry = decode_entry(record); entry.ok()) again = encode_entry(*entry);
  } else if (kind == TreeKind::kExtents) {
    if (const auto extent = decode_extent_record(record); extent.ok()) {
      again = encode_extent_record(*extent);
    }
  } else if (const auto link = decode_link_record(record); link.ok()) {
    again = encode_link_record(link->number, link->node);
  }
  expect_that(!again || same_record(*again, record), "a tree record does not come back");
  return again.has_value();
}

/// Canonical parts have one form; hints may have several, that say the same.
void check_object(const TreeObject& object, ByteView input) {
  const Bytes bytes = encode_tree_object(object);
  const size_t canonical = 4 + Decoder(input).u32();
  expect_that(same_bytes(ByteView(bytes).first(canonical), input.first(canonical)),
              "an accepted canonical part is not the canonical one");
  const Result<TreeObject> again = decode_tree_object(bytes);
  expect_that(again.ok() && encode_tree_object(*again) == bytes,
              "a tree object does not come back");
  for (size_t i = 0; i < object.records.size(); i++) {
    expect_that(same_record(object.records[i], again->records[i]), "a record's hints change");
  }
}

bool run_tree_object(ByteView input) {
  const Result<TreeObject> object = decode_tree_object(input);
  if (!object.ok()) return false;
  expect_that(object->records.empty() != object->branches.empty(), "a tree object without records");
  check_object(*object, input);
  bool whole = true;
  for (const TreeRecord& record : object->records) {
    whole = check_record(object->kind, record) && whole;
  }
  return whole;
}

ChunkPlace seed_place(uint8_t pack) {
  return {PackId{{pack}}, pack * 3u};
}

TreeEntry seed_entry(std::string name, FileType type, uint64_t number) {
  TreeEntry entry;
  entry.name = std::move(name);
  entry.type = type;
  entry.number = number;
  Inode& inode = entry.node.inode;
  inode.type = type;
  inode.permissions = 0644;
  inode.uid = 1000;
  inode.atime = -1'500'000'000;
  inode.mtime = 1'700'000'000'250'000'000;
  entry.node.xattrs = {{"security.capability", "x"}, {"user.a", std::string(40, 'y')}};
  if (type == FileType::kSymlink) entry.node.target = "../somewhere";
  if (type == FileType::kBlockDevice) inode.device_major = 8;
  return entry;
}

HintedExtent seed_extent(uint64_t offset, uint8_t id) {
  return {{offset, 1000, ChunkId{{id}}, 24}, seed_place(id)};
}

TreeObject seed_directory() {
  TreeObject object;
  TreeEntry empty = seed_entry("empty", FileType::kFile, 2),
            large = seed_entry("large", FileType::kFile, 3);
  large.node.inode.size = uint64_t{1} << 40;
  large.node.inode.allocated = 1 << 20;
  large.node.below = TreeRef{ChunkId{{4}}, seed_place(2)};
  TreeEntry small = seed_entry("small", FileType::kFile, 4);
  small.node.inode.size = 5000;
  small.node.extents = {seed_extent(0, 1), seed_extent(4000, 2)};
  TreeEntry sub = seed_entry("sub", FileType::kDirectory, 5);
  sub.node.below = TreeRef{ChunkId{{6}}, std::nullopt};
  TreeEntry twice = seed_entry("twice", FileType::kFile, 6);
  twice.linked = true;
  for (const TreeEntry& entry : {seed_entry("device", FileType::kBlockDevice, 7), empty,
                                 seed_entry("fifo", FileType::kFifo, 8), large,
                                 seed_entry("link", FileType::kSymlink, 9), small, sub, twice}) {
    object.records.push_back(encode_entry(entry));
  }
  return object;
}

std::vector<Bytes> tree_object_seeds() {
  TreeObject extents, links, branches;
  extents.kind = TreeKind::kExtents;
  for (uint8_t i = 0; i < 4; i++)
    extents.records.push_back(encode_extent_record(seed_extent(i * 2000u, i)));
  links.kind = TreeKind::kLinks;
  TreeNode node = seed_entry("", FileType::kFile, 6).node;
  node.inode.links = 3;
  node.extents = {seed_extent(0, 1)};
  for (const uint64_t number : {6, 9}) links.records.push_back(encode_link_record(number, node));
  branches.level = 1;
  branches.branches = {{"a", {ChunkId{{1}}, seed_place(1)}, 100},
                       {"m", {ChunkId{{2}}, std::nullopt}, 90}};
  return {encode_tree_object(seed_directory()), encode_tree_object(extents),
          encode_tree_object(links), encode_tree_object(branches)};
}

bool run_posix_acl(ByteView input) {
  Result<PosixAcl> acl = PosixAcl::decode(as_text(input));
  if (!acl.ok() || acl->empty()) return false;
  expect_canonical(acl, input, [](const PosixAcl& a) { return bytes_of(a.encode()); });
  acl->set_mode(0750);
  expect_that(acl->mode() == 0750, "an access control list does not follow chmod");
  expect_that((acl->restrict_to(0640) & ~0640) == 0, "a new file has more than its mode");
  return true;
}

std::vector<Bytes> posix_acl_seeds() {
  Encoder minimal, named;
  minimal.u32(2).u16(1).u16(6).u32(~0u).u16(4).u16(4).u32(~0u).u16(0x20).u16(4).u32(~0u);
  named.u32(2).u16(1).u16(6).u32(~0u).u16(2).u16(7).u32(1000).u16(4).u16(4).u32(~0u);
  named.u16(8).u16(5).u32(100).u16(0x10).u16(7).u32(~0u).u16(0x20).u16(0).u32(~0u);
  return {minimal.take(), named.take()};
}

}  // namespace

std::vector<FuzzTarget> tree_targets() {
  return {{"tree_object", run_tree_object, tree_object_seeds},
          {"posix_acl", run_posix_acl, posix_acl_seeds}};
}

}  // namespace varve
