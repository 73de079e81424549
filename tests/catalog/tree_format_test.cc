// Goal: what is encoded comes back, hints do not count, and no bytes make the decoders crash,
// over-read or accept nonsense.
#include "catalog/tree_format.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <random>

#include "dedup/base/limits.h"

namespace varve {
namespace {

uint64_t test_seed() {
  const char* text = std::getenv("VARVE_SEED");
  uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 10) : std::random_device{}();
  std::printf("VARVE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

template <typename IdType>
IdType some_id(uint8_t first) {
  IdType id;
  id.bytes.fill(first);
  return id;
}

ChunkPlace some_place(uint8_t pack, uint32_t segment) {
  return {some_id<PackId>(pack), segment};
}

TreeEntry some_file(const std::string& name, uint64_t number) {
  TreeEntry entry;
  entry.name = name;
  entry.number = number;
  entry.type = FileType::kFile;
  Inode& inode = entry.node.inode;
  inode.type = FileType::kFile;
  inode.permissions = 04755;
  inode.uid = 1000;
  inode.gid = 4294967294;
  inode.size = 100'000;
  inode.atime = 1'700'000'000'123'456'789;
  inode.mtime = -1;
  inode.ctime = 0;
  inode.btime = std::numeric_limits<int64_t>::max();
  entry.node.xattrs = {{"system.posix_acl_access", std::string("\2\0\0", 3)}, {"user.a", ""}};
  entry.node.extents = {{{0, 40'000, some_id<ChunkId>(1), 0}, some_place(9, 3)},
                        {{50'000, 50'000, some_id<ChunkId>(2), 77}, std::nullopt}};
  inode.allocated = 90'000;
  return entry;
}

TreeEntry some_directory(const std::string& name, uint64_t number) {
  TreeEntry entry;
  entry.name = name;
  entry.number = number;
  entry.type = entry.node.inode.type = FileType::kDirectory;
  entry.node.inode.permissions = 0755;
  entry.node.below = TreeRef{some_id<ChunkId>(0x42), some_place(9, 70'000)};
  return entry;
}

TreeObject some_object() {
  TreeObject object;
  object.records.push_back(encode_entry(some_file("a", 2)));
  object.records.push_back(encode_entry(some_directory("b", 3)));
  TreeEntry link;
  link.name = "c";
  link.number = 4;
  link.type = FileType::kFile;
  link.linked = true;
  object.records.push_back(encode_entry(link));
  TreeEntry symlink;
  symlink.name = "d";
  symlink.number = 5;
  symlink.type = symlink.node.inode.type = FileType::kSymlink;
  symlink.node.target = "../over/there";
  object.records.push_back(encode_entry(symlink));
  TreeEntry device;
  device.name = "e";
  device.number = 6;
  device.type = device.node.inode.type = FileType::kBlockDevice;
  device.node.inode.device_major = 8;
  device.node.inode.device_minor = 4'000'000'000;
  object.records.push_back(encode_entry(device));
  return object;
}

void expect_same(const Inode& a, const Inode& b) {
  EXPECT_EQ(a.type, b.type);
  EXPECT_EQ(a.permissions, b.permissions);
  EXPECT_EQ(a.uid, b.uid);
  EXPECT_EQ(a.gid, b.gid);
  EXPECT_EQ(a.size, b.size);
  EXPECT_EQ(a.allocated, b.allocated);
  EXPECT_EQ(a.device_major, b.device_major);
  EXPECT_EQ(a.device_minor, b.device_minor);
  EXPECT_EQ(a.atime, b.atime);
  EXPECT_EQ(a.mtime, b.mtime);
  EXPECT_EQ(a.ctime, b.ctime);
  EXPECT_EQ(a.btime, b.btime);
}

TEST(TreeFormat, NumbersThatNoEntryHasAreRefused) {
  const TreeNode node = some_file("a", 2).node;
  for (const uint64_t number : {uint64_t{2}, kFileNumberMask}) {
    EXPECT_TRUE(decode_entry(encode_entry(some_file("a", number))).ok()) << number;
    EXPECT_TRUE(decode_link_record(encode_link_record(number, node)).ok()) << number;
  }
  // The top's own number would make a directory that lies in itself.
  for (const uint64_t number : {uint64_t{0}, kTopNumber, kFileNumberMask + 1}) {
    EXPECT_FALSE(decode_entry(encode_entry(some_directory("a", number))).ok()) << number;
    EXPECT_FALSE(decode_link_record(encode_link_record(number, node)).ok()) << number;
  }
}

TEST(TreeFormat, EntriesComeBack) {
  Bytes item = encode_tree_object(some_object());
  auto object = decode_tree_object(item);
  ASSERT_TRUE(object.ok()) << object.error().message();
  ASSERT_EQ(object->records.size(), 5u);

  auto file = decode_entry(object->records[0]);
  ASSERT_TRUE(file.ok());
  TreeEntry expected = some_file("a", 2);
  EXPECT_EQ(file->name, "a");
  EXPECT_EQ(file->number, 2u);
  expect_same(file->node.inode, expected.node.inode);
  EXPECT_EQ(file->node.xattrs, expected.node.xattrs);
  ASSERT_EQ(file->node.extents.size(), 2u);
  EXPECT_EQ(file->node.extents[0].extent, expected.node.extents[0].extent);
  EXPECT_EQ(file->node.extents[0].hint, some_place(9, 3));
  EXPECT_EQ(file->node.extents[1].extent, expected.node.extents[1].extent);
  EXPECT_FALSE(file->node.extents[1].hint);

  auto directory = decode_entry(object->records[1]);
  ASSERT_TRUE(directory.ok());
  EXPECT_EQ(directory->node.below->id, some_id<ChunkId>(0x42));
  EXPECT_EQ(directory->node.below->hint, some_place(9, 70'000));
  EXPECT_TRUE(decode_entry(object->records[2])->linked);
  EXPECT_EQ(decode_entry(object->records[3])->node.target, "../over/there");
  EXPECT_EQ(decode_entry(object->records[4])->node.inode.device_minor, 4'000'000'000u);
  EXPECT_EQ(encode_tree_object(*object), item);
}

TEST(TreeFormat, TimesComeBackToTheNanosecond) {
  for (Nanoseconds time :
       {std::numeric_limits<int64_t>::min(), int64_t{-1'000'000'001}, int64_t{-1'000'000'000},
        int64_t{-1}, int64_t{0}, int64_t{1}, std::numeric_limits<int64_t>::max()}) {
    TreeEntry entry = some_directory("x", 9);
    entry.node.inode.mtime = time;
    auto decoded = decode_entry(encode_entry(entry));
    ASSERT_TRUE(decoded.ok()) << time;
    EXPECT_EQ(decoded->node.inode.mtime, time);
  }
}

TEST(TreeFormat, HintsAreOutsideOfTheCanonicalPart) {
  TreeObject object = some_object();
  Bytes with = encode_tree_object(object);
  for (TreeRecord& record : object.records)
    for (HintedId& reference : record.references) reference.hint.reset();
  Bytes without = encode_tree_object(object);
  Decoder a(with), b(without);
  uint32_t length = a.u32();
  ASSERT_EQ(length, b.u32());
  EXPECT_TRUE(std::ranges::equal(a.raw(length), b.raw(length)));
  EXPECT_GT(with.size(), without.size());
}

TEST(TreeFormat, ExtentsLinksAndBranchesComeBack) {
  HintedExtent extent{{uint64_t{1} << 40, 4096, some_id<ChunkId>(7), 12}, some_place(1, 2)};
  TreeObject extents;
  extents.kind = TreeKind::kExtents;
  extents.records.push_back(encode_extent_record(extent));
  auto object = decode_tree_object(encode_tree_object(extents));
  ASSERT_TRUE(object.ok());
  auto decoded = decode_extent_record(object->records[0]);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->extent, extent.extent);
  EXPECT_EQ(decoded->hint, extent.hint);

  TreeNode node = some_file("unused", 1).node;
  node.inode.links = 3;
  TreeObject links;
  links.kind = TreeKind::kLinks;
  links.records.push_back(encode_link_record(300, node));
  object = decode_tree_object(encode_tree_object(links));
  ASSERT_TRUE(object.ok());
  auto link = decode_link_record(object->records[0]);
  ASSERT_TRUE(link.ok());
  EXPECT_EQ(link->number, 300u);
  EXPECT_EQ(link->node.inode.links, 3u);
  EXPECT_EQ(link->node.extents[0].hint, some_place(9, 3));

  TreeObject branches;
  branches.level = 2;
  branches.branches = {{"a", {some_id<ChunkId>(1), some_place(1, 1)}, 10},
                       {"k", {some_id<ChunkId>(2), {}}, 20}};
  object = decode_tree_object(encode_tree_object(branches));
  ASSERT_TRUE(object.ok());
  ASSERT_EQ(object->branches.size(), 2u);
  EXPECT_EQ(object->branches[0].child.hint, some_place(1, 1));
  EXPECT_FALSE(object->branches[1].child.hint);
  EXPECT_EQ(object->branches[1].records, 20u);
}

TEST(TreeFormat, LargeFilesNameTheirTree) {
  TreeEntry entry = some_file("big", 8);
  entry.node.extents.clear();
  entry.node.below = TreeRef{some_id<ChunkId>(5), std::nullopt};
  entry.node.inode.allocated = 4096;
  auto decoded = decode_entry(encode_entry(entry));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->node.below->id, some_id<ChunkId>(5));
  EXPECT_EQ(decoded->node.inode.allocated, 4096u);
}

TEST(TreeFormat, NonsenseIsRefused) {
  auto refuses = [](TreeEntry entry) { return !decode_entry(encode_entry(entry)).ok(); };
  for (const char* name : {"", ".", "..", "a/b"}) {
    EXPECT_TRUE(refuses(some_directory(name, 2))) << name;
  }
  EXPECT_TRUE(refuses(some_directory(std::string(256, 'n'), 2)));
  EXPECT_TRUE(refuses(some_directory(std::string("a\0b", 3), 2)));
  EXPECT_TRUE(refuses(some_directory("x", kFileNumberMask + 1)));
  TreeEntry overlapping = some_file("x", 2);
  overlapping.node.extents[1].extent.offset = 39'999;
  EXPECT_TRUE(refuses(overlapping));
  TreeEntry empty = some_file("x", 2);
  empty.node.extents[0].extent.length = 0;
  EXPECT_TRUE(refuses(empty));
  TreeEntry unsorted = some_file("x", 2);
  std::swap(unsorted.node.xattrs[0], unsorted.node.xattrs[1]);
  EXPECT_TRUE(refuses(unsorted));

  TreeObject object = some_object();
  std::swap(object.records[0], object.records[1]);
  EXPECT_FALSE(decode_tree_object(encode_tree_object(object)).ok());
  EXPECT_FALSE(decode_tree_object(encode_tree_object(TreeObject{})).ok());
  Bytes longer = encode_tree_object(some_object());
  longer.push_back(0);
  EXPECT_FALSE(decode_tree_object(longer).ok());
}

// What decodes after a mutation must encode to the same meaning; nothing may crash or run away.
TEST(TreeFormat, MutatedObjectsNeverCrash) {
  std::mt19937_64 random(test_seed());
  TreeObject branches;
  branches.level = 1;
  branches.branches = {{"a", {some_id<ChunkId>(1), some_place(1, 1)}, 10},
                       {"k", {some_id<ChunkId>(2), {}}, 20}};
  const Bytes items[] = {encode_tree_object(some_object()), encode_tree_object(branches)};
  for (int round = 0; round < 60'000; round++) {
    Bytes item = items[random() % 2];
    for (uint64_t flips = random() % 4 + 1; flips > 0; flips--) {
      uint64_t what = random() % 8;
      if (what == 0 && !item.empty()) item.resize(random() % item.size());
      if (what == 1) item.push_back(static_cast<uint8_t>(random()));
      if (what > 1 && !item.empty()) item[random() % item.size()] = static_cast<uint8_t>(random());
    }
    auto object = decode_tree_object(item);
    if (!object.ok()) continue;
    for (const TreeRecord& record : object->records) {
      (void)decode_entry(record).ok();
      (void)decode_extent_record(record).ok();
      (void)decode_link_record(record).ok();
    }
    auto again = decode_tree_object(encode_tree_object(*object));
    ASSERT_TRUE(again.ok());
  }
}

}  // namespace
}  // namespace varve
