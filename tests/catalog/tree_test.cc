// Goal: trees of any size are found again by key and in order; equal content gives equal objects, a
// small change few new ones.
#include "catalog/tree.h"

#include <random>

#include "dedup/base/limits.h"
#include "tests/catalog/catalog_world.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

TreeEntry entry_of(const std::string& name, uint64_t number) {
  TreeEntry entry;
  entry.name = name;
  entry.number = number;
  entry.type = entry.node.inode.type = FileType::kFifo;
  entry.node.inode.permissions = 0644;
  entry.node.inode.mtime = static_cast<Nanoseconds>(number) * 1'000'003;
  return entry;
}

std::string key_of(uint64_t number) {
  char text[32];
  std::snprintf(text, sizeof text, "file-%09llu.txt", static_cast<unsigned long long>(number));
  return text;
}

struct Trees : ::testing::Test, PackedWorld {
  std::optional<TreeRef> write(const std::vector<std::string>& keys) {
    TreeWriter objects_writer(*ingest, *index, TreeKind::kDirectory);
    for (const std::string& key : keys)
      must(objects_writer.add(
          encode_entry(entry_of(key, std::hash<std::string>()(key) % 1000 + 2))));
    return must(objects_writer.finish());
  }
};

TEST_F(Trees, EmptyTreesHaveNoObject) {
  EXPECT_FALSE(write({}));
}

TEST_F(Trees, SmallTreesAreOneObject) {
  uint64_t before = stored();
  auto root = write({"a", "b", "c"});
  ASSERT_TRUE(root);
  EXPECT_EQ(stored(), before + 1);
  TreeReader reader(fetch);
  EXPECT_EQ(must(reader.object(*root))->level, 0);
  EXPECT_EQ(must(reader.count(*root)), 3u);
  EXPECT_TRUE(must(reader.find(*root, "b")));
  for (const char* key : {"", "B", "aa", "zzz"}) EXPECT_FALSE(must(reader.find(*root, key))) << key;
  EXPECT_FALSE(must(reader.find_at_or_before(*root, "A")));
  EXPECT_EQ(must(reader.find_at_or_before(*root, "bb"))->key, "b");
  EXPECT_EQ(must(reader.find_at_or_before(*root, "c"))->key, "c");
}

TEST_F(Trees, LargeTreesAreFoundByKeyAndInOrder) {
  std::mt19937_64 dice(test_seed());
  constexpr uint64_t kCount = 200'000;
  std::vector<std::string> keys;
  for (uint64_t i = 0; i < kCount; i++) keys.push_back(key_of(i * 2));
  auto root = write(keys);
  must(ingest->flush());
  TreeReader reader(fetch);
  EXPECT_EQ(must(reader.count(*root)), kCount);
  EXPECT_GE(must(reader.object(*root))->level, 2);
  for (int i = 0; i < 2000; i++) {
    uint64_t number = dice() % (2 * kCount);
    auto found = must(reader.find(*root, key_of(number)));
    ASSERT_EQ(found.has_value(), number % 2 == 0) << number;
    auto before = must(reader.find_at_or_before(*root, key_of(number)));
    ASSERT_EQ(before->key, key_of(number - number % 2));
  }
  for (uint64_t from : {uint64_t{0}, dice() % (2 * kCount), 2 * kCount - 3}) {
    uint64_t next = (from + 1) / 2;
    must(reader.scan(*root, key_of(from), [&](const TreeRecord& record) -> Result<bool> {
      EXPECT_EQ(record.key, keys[next]);
      next++;
      return next < keys.size() && record.key == keys[next - 1];
    }));
    EXPECT_EQ(next, keys.size());
  }
}

TEST_F(Trees, EqualContentGivesEqualObjectsAndSmallChangesFewNewOnes) {
  std::mt19937_64 dice(test_seed());
  std::vector<std::string> keys;
  for (uint64_t i = 0; i < 50'000; i++) keys.push_back(key_of(i * 2));
  auto first = write(keys);
  uint64_t stored_first = stored();
  EXPECT_EQ(write(keys)->id, first->id);
  EXPECT_EQ(stored(), stored_first);
  for (int round = 0; round < 10; round++) {
    uint64_t before = stored();
    auto changed = keys;
    uint64_t at = dice() % changed.size();
    if (round % 2 == 0)
      changed.insert(changed.begin() + static_cast<ptrdiff_t>(at), key_of(2 * at - 1));
    else
      changed.erase(changed.begin() + static_cast<ptrdiff_t>(at));
    std::sort(changed.begin(), changed.end());
    EXPECT_NE(write(changed)->id, first->id);
    // One leaf and its branch a level; where a cut goes or comes, two; a limit may carry on to a
    // next cut.
    EXPECT_LE(stored() - before, 12u) << "round " << round;
    EXPECT_EQ(write(keys)->id, first->id);
  }
}

TEST_F(Trees, ObjectsStayBelowTheirLimits) {
  TreeWriter objects_writer(*ingest, *index, TreeKind::kDirectory);
  std::vector<ChunkId> objects;
  objects_writer.on_reference(
      [&](const ChunkId& id, const std::optional<ChunkPlace>&) { objects.push_back(id); });
  for (int i = 0; i < 300; i++) {
    TreeEntry entry = entry_of(key_of(static_cast<uint64_t>(i)), 2);
    for (char name = 'a'; name < 'a' + i % 8; name++)
      entry.node.xattrs.emplace_back(std::string("user.") + name,
                                     std::string(kXattrValueBytesMax, name));
    must(objects_writer.add(encode_entry(entry)));
  }
  auto root = must(objects_writer.finish());
  must(ingest->flush());
  for (const ChunkId& id : objects) EXPECT_LE(must(fetch.chunk(id)).bytes.size(), kObjectBytesMax);
  TreeReader reader(fetch);
  uint64_t seen = 0;
  must(reader.scan(*root, "", [&](const TreeRecord& record) -> Result<bool> {
    TreeEntry entry = VARVE_TRY(decode_entry(record));
    EXPECT_EQ(entry.node.xattrs.size(), seen % 8);
    seen++;
    return true;
  }));
  EXPECT_EQ(seen, 300u);
}

// Objects that are each in order, of which a tree is not.
TEST_F(Trees, LeavesOutOfOrderAreRefused) {
  const auto stream = ingest->open_stream(SegmentType::kTree, Ingest::Access::kSequential);
  const auto put = [&](const TreeObject& object) {
    return HintedId{must(ingest->put(*stream, encode_tree_object(object))).id, std::nullopt};
  };
  const auto leaf = [&](const std::vector<std::string>& names) {
    TreeObject object;
    for (const std::string& name : names) object.records.push_back(encode_entry(entry_of(name, 2)));
    return TreeObject::Branch{names.front(), put(object), names.size()};
  };
  const auto above = [&](uint8_t level, const std::vector<TreeObject::Branch>& branches) {
    TreeObject object;
    object.level = level;
    object.branches = branches;
    uint64_t records = 0;
    for (const TreeObject::Branch& branch : branches) records += branch.records;
    return TreeObject::Branch{branches.front().first_key, put(object), records};
  };
  const auto names_in = [&](const TreeObject::Branch& root) -> Result<size_t> {
    size_t count = 0;
    TreeReader reader(fetch);
    VARVE_TRY(
        reader.scan({root.child.id, std::nullopt}, "", [&](const TreeRecord&) -> Result<bool> {
          count++;
          return true;
        }));
    return count;
  };
  EXPECT_EQ(must(names_in(above(1, {leaf({"a", "c"}), leaf({"d", "f"})}))), 4u);
  EXPECT_EQ(names_in(above(1, {leaf({"a", "d"}), leaf({"d", "f"})})).error().code(),
            Errc::kCorrupt);
  EXPECT_EQ(names_in(above(1, {leaf({"a", "e"}), leaf({"d", "f"})})).error().code(),
            Errc::kCorrupt);
  const auto left = above(1, {leaf({"a"}), leaf({"b", "x"})}), right = above(1, {leaf({"m"})});
  EXPECT_EQ(names_in(above(2, {left, right})).error().code(), Errc::kCorrupt);
  TreeObject::Branch renamed = leaf({"m", "n"});
  renamed.first_key = "l";
  EXPECT_EQ(names_in(above(1, {leaf({"a"}), renamed})).error().code(), Errc::kCorrupt);
}

TEST_F(Trees, TooLargeAndUnorderedRecordsAreRefused) {
  TreeWriter objects_writer(*ingest, *index, TreeKind::kDirectory);
  TreeEntry entry = entry_of("m", 2);
  must(objects_writer.add(encode_entry(entry)));
  auto again = objects_writer.add(encode_entry(entry));
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code(), Errc::kInvalid);
  entry.name = "n";
  for (char name = 'a'; name < 'a' + 10; name++)
    entry.node.xattrs.emplace_back(std::string("user.") + name,
                                   std::string(kXattrValueBytesMax, name));
  auto large = objects_writer.add(encode_entry(entry));
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code(), Errc::kTooLarge);
}

TEST_F(Trees, ReferencesAndHintsAreToldOnceTheyHaveAPlace) {
  ChunkId chunk = put_chunk("some bytes");
  must(ingest->flush());
  ChunkPlace place = must(index->find(chunk)).value();
  std::vector<std::pair<ChunkId, std::optional<ChunkPlace>>> told;
  TreeWriter objects_writer(*ingest, *index, TreeKind::kExtents);
  objects_writer.on_reference(
      [&](const ChunkId& id, const std::optional<ChunkPlace>& at) { told.emplace_back(id, at); });
  must(objects_writer.add(encode_extent_record({{0, 10, chunk, 0}, std::nullopt})));
  auto root = must(objects_writer.finish());
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].first, chunk);
  EXPECT_EQ(told[0].second, place);
  EXPECT_EQ(told[1].first, root->id);
  TreeReader reader(fetch);
  auto record = must(reader.find(*root, extent_key(0)));
  EXPECT_EQ(must(decode_extent_record(*record)).hint, place);
}

}  // namespace
}  // namespace varve
