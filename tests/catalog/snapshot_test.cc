// Goal: a snapshot shows exactly the moment it was taken at, costs what changed, and comes back as
// a live tree that is the same again.
#include <map>
#include <random>
#include <set>

#include "catalog/schema.h"
#include "dedup/base/limits.h"
#include "tests/catalog/catalog_world.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

// Everything that can be told of a file, in one line; of a regular file with its bytes.
using Picture = std::map<std::string, std::string>;

std::string describe(const Inode& inode, const Xattrs& xattrs, const std::string& target,
                     const std::string& content) {
  Encoder out;
  out.u8(static_cast<uint8_t>(inode.type)).u16(inode.permissions).u32(inode.uid).u32(inode.gid);
  out.i64(inode.atime).i64(inode.mtime).i64(inode.ctime).i64(inode.btime);
  if (inode.type == FileType::kFile) out.u64(inode.size).u64(inode.allocated).u32(inode.links);
  for (const auto& [name, value] : xattrs) out.blob(name).blob(value);
  out.blob(target).blob(content);
  return std::string(as_text(out.view()));
}

std::string live_content(CatalogWorld& world, const LiveEntry& file) {
  std::string content(file.inode.size, '\0');
  for (const Extent& extent : must(world.tree->extents(file.ino, 0, file.inode.size))) {
    ChunkBytes chunk = must(world.fetch.chunk(extent.chunk));
    content.replace(extent.offset, extent.length,
                    as_text(chunk.bytes).substr(extent.chunk_offset, extent.length));
  }
  return content;
}

Picture picture_of_live(CatalogWorld& world, Ino top) {
  Picture picture;
  std::vector<std::pair<std::string, Ino>> directories{{"", top}};
  while (!directories.empty()) {
    auto [path, directory] = directories.back();
    directories.pop_back();
    std::vector<std::string> names;
    must(world.tree->list(directory, 0, [&](const LiveTree::Listed& listed) {
      names.emplace_back(listed.name);
      return true;
    }));
    for (const std::string& name : names) {
      LiveEntry entry = must(world.tree->lookup(directory, name));
      if (set_of(entry.ino) != set_of(top)) continue;
      FileType type = entry.inode.type;
      std::string target = type == FileType::kSymlink ? must(world.tree->read_link(entry.ino)) : "";
      std::string content;
      if (type == FileType::kFile) {
        content = live_content(world, entry);
        entry.inode = must(world.tree->inode(entry.ino));  // unfolding tells what is allocated
      }
      std::string number = std::to_string(number_of(entry.ino)) + " ";
      picture[path + "/" + name] =
          number + describe(entry.inode, must(world.tree->xattrs(entry.ino)), target, content);
      if (type == FileType::kDirectory) directories.emplace_back(path + "/" + name, entry.ino);
    }
  }
  return picture;
}

Picture picture_of_snapshot(SnapshotReader& reader) {
  Picture picture;
  std::vector<std::pair<std::string, TreeEntry>> directories{{"", reader.top()}};
  while (!directories.empty()) {
    auto [path, directory] = directories.back();
    directories.pop_back();
    must(reader.list(directory, "", true, [&](TreeEntry& entry) -> Result<bool> {
      std::string content(entry.type == FileType::kFile ? entry.node.inode.size : 0, 'x');
      if (!content.empty()) {
        ByteSpan out(reinterpret_cast<uint8_t*>(content.data()), content.size());
        EXPECT_EQ(must(reader.read(entry, 0, out)), content.size());
      }
      const TreeNode& node = entry.node;
      picture[path + "/" + entry.name] = std::to_string(entry.number) + " " +
                                         describe(node.inode, node.xattrs, node.target, content);
      TreeEntry again = must(reader.lookup(directory, entry.name));
      EXPECT_EQ(again.number, entry.number);
      if (entry.type == FileType::kDirectory)
        directories.emplace_back(path + "/" + entry.name, entry);
      return true;
    }));
  }
  return picture;
}

void expect_same(const Picture& expected, const Picture& actual) {
  for (const auto& [path, text] : expected) {
    auto found = actual.find(path);
    ASSERT_NE(found, actual.end()) << path;
    EXPECT_EQ(found->second, text) << path;
  }
  EXPECT_EQ(actual.size(), expected.size());
}

std::string some_text(uint64_t seed, size_t size) {
  std::mt19937_64 random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

// A little of everything.
Ino make_sample(CatalogWorld& world) {
  Ino top = world.make_directory(kRootIno, "web");
  Ino etc = world.make_directory(top, "etc");
  Ino deep = etc;
  for (int i = 0; i < 30; i++) deep = world.make_directory(deep, "d" + std::to_string(i));
  world.write(world.make(deep, "leaf").ino, 0, "at the bottom");
  world.make_directory(top, "empty");
  for (FileType type :
       {FileType::kSymlink, FileType::kFifo, FileType::kSocket, FileType::kBlockDevice})
    world.make(etc, "special" + std::to_string(static_cast<int>(type)), type);
  Ino sparse = world.make(etc, "sparse").ino;
  world.write(sparse, 100'000, "in the middle");
  LiveTree::ContentChange longer;
  longer.size = 300'000;
  must(world.tree->change_content(sparse, longer));
  Ino large = world.make(etc, "large").ino;
  for (uint64_t i = 0; i < 40; i++) world.write(large, i * 1000, some_text(i, 999));
  Ino linked = world.make(etc, "linked").ino;
  world.write(linked, 0, "twice");
  must(world.tree->link(linked, top, "the other name"));
  must(world.tree->set_xattr(linked, "user.on-link", "yes", LiveTree::XattrMode::kAny));
  must(world.tree->set_xattr(etc, "user.on-directory", some_text(1, 3000),
                             LiveTree::XattrMode::kAny));
  must(world.tree->set_xattr(top, "user.on-top", "top", LiveTree::XattrMode::kAny));
  for (int i = 0; i < 1000; i++) {
    Ino ino = world.make(top, "many" + std::to_string(i)).ino;
    if (i % 3 == 0) world.write(ino, 0, some_text(static_cast<uint64_t>(i), 50));
    if (i % 7 == 0)
      must(world.tree->set_xattr(ino, "user.x", std::to_string(i), LiveTree::XattrMode::kAny));
  }
  return top;
}

TEST(Snapshot, ShowsEverythingAsItWas) {
  CatalogWorld world;
  Ino top = make_sample(world);
  Picture live = picture_of_live(world, top);
  SnapshotInfo info = world.take(top, "monday");
  SnapshotReader reader = world.reader(info);
  expect_same(live, picture_of_snapshot(reader));
  EXPECT_EQ(reader.top().node.xattrs, (Xattrs{{"user.on-top", "top"}}));

  // What happens later does not show.
  world.write(must(world.tree->lookup(top, "many0")).ino, 0, "changed");
  must(world.tree->unlink(top, "many1"));
  SnapshotReader later = world.reader(info);
  expect_same(live, picture_of_snapshot(later));
}

TEST(Snapshot, CostsWhatChanged) {
  CatalogWorld world;
  Ino top = make_sample(world);
  SnapshotInfo first = world.take(top, "1");
  uint64_t before = world.stored();
  SnapshotInfo second = world.take(top, "2");
  // One index bundle at most: of the data pack that the first one sealed.
  EXPECT_LE(world.stored() - before, 1u);
  EXPECT_EQ(must(world.history->body(first.hash)).trees[0].top.below->id,
            must(world.history->body(second.hash)).trees[0].top.below->id);

  Ino deep = must(world.tree->lookup(top, "etc")).ino;
  for (int i = 0; i < 30; i++) deep = must(world.tree->lookup(deep, "d" + std::to_string(i))).ino;
  world.write(must(world.tree->lookup(deep, "leaf")).ino, 0, "changed at the bottom");
  before = world.stored();
  SnapshotInfo third = world.take(top, "3");
  EXPECT_LE(world.stored() - before,
            32u + 3u + 2u);  // one a directory on the way, the top's own branches, a bundle
  SnapshotReader reader = world.reader(third);
  expect_same(picture_of_live(world, top), picture_of_snapshot(reader));
}

TEST(Snapshot, FollowsHardLinks) {
  CatalogWorld world;
  Ino top = make_sample(world);
  world.take(top, "1");
  Ino linked = must(world.tree->lookup(top, "the other name")).ino;
  world.write(linked, 0, "TWICE AND CHANGED");
  Ino second = world.make(top, "second").ino;
  must(world.tree->link(second, top, "second again"));
  SnapshotInfo two = world.take(top, "2");
  SnapshotReader reader = world.reader(two);
  expect_same(picture_of_live(world, top), picture_of_snapshot(reader));

  // The last names go, and with them the link.
  Ino etc = must(world.tree->lookup(top, "etc")).ino;
  must(world.tree->unlink(top, "the other name"));
  must(world.tree->unlink(etc, "linked"));
  must(world.tree->release(linked));
  must(world.tree->unlink(top, "second"));
  SnapshotInfo three = world.take(top, "3");
  SnapshotReader last = world.reader(three);
  expect_same(picture_of_live(world, top), picture_of_snapshot(last));
  TreeReader trees(world.fetch);
  EXPECT_EQ(must(trees.count(*must(world.history->body(three.hash)).trees[0].links)), 1u);
  must(world.tree->unlink(top, "second again"));
  must(world.tree->release(second));
  EXPECT_FALSE(must(world.history->body(world.take(top, "4").hash)).trees[0].links);
}

TEST(Snapshot, UnfoldsToTheSameAgain) {
  CatalogWorld world;
  Ino top = make_sample(world);
  Picture live = picture_of_live(world, top);
  SnapshotInfo info = world.take(top, "1");
  SnapshotTree body = must(world.history->body(info.hash)).trees[0];
  uint32_t set = set_of(top);
  must(world.tree->replace_tree(set, body.top.inode, body.top.xattrs, body.top.below, body.links,
                                body.next_number));

  // Folded, half unfolded, wholly unfolded: always the same tree.
  SnapshotTree folded = must(world.history->body(world.take(top, "2").hash)).trees[0];
  EXPECT_EQ(folded.top.below->id, body.top.below->id);
  must(world.tree->lookup(top, "etc"));
  Ino many = must(world.tree->lookup(top, "many3")).ino;
  LiveTree::ContentChange longer;
  longer.size = 1;
  must(world.tree->change_content(many, longer));
  SnapshotInfo changed = world.take(top, "3");
  SnapshotReader reader = world.reader(changed);
  EXPECT_NE(must(world.history->body(changed.hash)).trees[0].top.below->id, body.top.below->id);

  must(world.tree->replace_tree(set, body.top.inode, body.top.xattrs, body.top.below, body.links,
                                body.next_number));
  expect_same(live, picture_of_live(world, top));
  // Written anew from rows alone, as if nothing were known of tree objects.
  uint32_t tree = world.tree->set(set)->row.tree;
  KvBatch forget;
  for (char table : {'r'}) {
    std::string from = key::prefix(table, tree, 0), to = key::prefix(table, tree, UINT64_MAX);
    must(world.kv.scan(from, to, [&](std::string_view key, std::string_view) {
      forget[std::string(key)] = std::nullopt;
      return true;
    }));
  }
  EXPECT_GT(forget.size(), 30u);
  forget[key::mark(tree, kTopNumber)] = encode_u64(world.tree->generation());
  world.kv.apply(std::move(forget));
  uint64_t before = world.stored();
  SnapshotTree again = must(world.history->body(world.take(top, "4").hash)).trees[0];
  EXPECT_EQ(again.top.below->id, body.top.below->id);
  ASSERT_TRUE(again.links);
  EXPECT_EQ(again.links->id, body.links->id);
  EXPECT_LE(world.stored() - before, 2u);
}

TEST(Snapshot, ListsNameEveryPackThatIsNeeded) {
  CatalogWorld world;
  Ino top = make_sample(world);
  Ino other = world.make_directory(kRootIno, "other");
  world.write(world.make(other, "file").ino, 0, "of the other set");
  std::vector<SnapshotInfo> taken;
  for (int i = 0; i < 70; i++) {
    world.write(world.make(top, "new" + std::to_string(i)).ino, 0,
                some_text(static_cast<uint64_t>(i) + 5000, 100));
    if (i % 10 == 3)
      taken.push_back(must(world.try_take({SnapshotClass::kMount, 0, "all" + std::to_string(i)})));
    else
      taken.push_back(world.take(i % 7 == 6 ? other : top, "s" + std::to_string(i)));
    EXPECT_LE(must(world.history->list_depth(taken.back().header.list)), 64);
  }
  // Only the packs of the list, and a fresh index from their own indexes: as on another machine.
  for (size_t i : {size_t{0}, size_t{1}, size_t{33}, size_t{66}, size_t{69}}) {
    PackStore packs(world.storage, world.store.keyring, world.random, world.writer, world.metrics);
    auto index = make_memory_chunk_index();
    for (const PackInfo& pack : must(world.history->packs_of_list(taken[i].header.list))) {
      packs.add(pack);
      if (pack.pack_class == PackClass::kCatalog)
        index->add_pack(pack.pack, must(packs.read_index(pack.pack)));
    }
    Fetch fetch(packs, *index, nullptr, world.threads.get(), world.metrics, 64u << 20);
    for (const SnapshotTree& tree : must(world.history->body(taken[i].hash)).trees) {
      SnapshotReader reader(fetch, tree);
      EXPECT_EQ(picture_of_snapshot(reader).empty(), tree.set.is_zero());
    }
  }
}

TEST(Snapshot, WholeMountHasTheRootFirstAndEverySet) {
  CatalogWorld world;
  world.write(world.make(kRootIno, "in the root").ino, 0, "root");
  Ino a = world.make_directory(kRootIno, "a");
  Ino b = world.make_directory(kRootIno, "b");
  world.write(world.make(a, "file").ino, 0, "a");
  world.write(world.make(b, "file").ino, 0, "b");
  EXPECT_TRUE(world.snapshotter.checkpoint_due());
  SnapshotInfo info = must(world.try_take({SnapshotClass::kCheckpoint, 0, ""}));
  EXPECT_FALSE(world.snapshotter.checkpoint_due());
  SnapshotBody body = must(world.history->body(info.hash));
  ASSERT_EQ(body.trees.size(), 3u);
  EXPECT_TRUE(body.trees[0].set.is_zero());
  EXPECT_LT(body.trees[1].set, body.trees[2].set);
  SnapshotReader root = world.reader(info);
  Picture picture = picture_of_snapshot(root);
  EXPECT_EQ(picture.size(), 1u);
  EXPECT_TRUE(picture.contains("/in the root"));

  world.write(must(world.tree->lookup(a, "file")).ino, 0, "A");
  EXPECT_TRUE(world.snapshotter.checkpoint_due());
  world.take(a, "now");
  EXPECT_TRUE(world.snapshotter.checkpoint_due())
      << "a snapshot that may be dropped is no checkpoint";
  must(world.try_take({SnapshotClass::kCheckpoint, 0, ""}));
  EXPECT_FALSE(world.snapshotter.checkpoint_due());
}

TEST(Snapshot, NamesAreChecked) {
  CatalogWorld world;
  Ino top = world.make_directory(kRootIno, "web");
  auto code = [&](const std::string& name, SnapshotClass snapshot_class = SnapshotClass::kSet) {
    auto taken = world.try_take(
        {snapshot_class, snapshot_class == SnapshotClass::kSet ? set_of(top) : 0, name});
    return taken.ok() ? std::optional<Errc>() : taken.error().code();
  };
  for (const char* name : {"", ".", "..", "a/b", "x.tar"})
    EXPECT_EQ(code(name), Errc::kInvalid) << name;
  EXPECT_EQ(code(std::string("a\0b", 3)), Errc::kInvalid);
  EXPECT_EQ(code(std::string(256, 'n')), Errc::kNameTooLong);
  EXPECT_EQ(code("name", SnapshotClass::kCheckpoint), Errc::kInvalid);
  EXPECT_EQ(code(std::string(255, 'n')), std::nullopt);
  EXPECT_EQ(code("ok"), std::nullopt);
  EXPECT_EQ(code("ok"), Errc::kExists);
  EXPECT_EQ(code("ok", SnapshotClass::kMount), std::nullopt);
  EXPECT_EQ(code("ok", SnapshotClass::kMount), Errc::kExists);
  auto missing = world.try_take({SnapshotClass::kSet, 77, "x"});
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code(), Errc::kNotFound);
}

TEST(Snapshot, AMomentThatFailsOrNeverComesIsAnError) {
  CatalogWorld world;
  Ino top = world.make_directory(kRootIno, "web");
  Snapshotter::Request request{SnapshotClass::kSet, set_of(top), "x"};
  EXPECT_FALSE(
      world.snapshotter.take(request, [](const Snapshotter::Moment&) { return Result<void>(); })
          .ok());
  auto failed = world.snapshotter.take(
      request, [](const Snapshotter::Moment&) { return Result<void>(Errc::kIo); });
  EXPECT_FALSE(failed.ok());
  EXPECT_TRUE(world.try_take(request).ok());
}

TEST(Snapshot, WritesAfterTheMomentDoNotShow) {
  CatalogWorld world;
  Ino top = world.make_directory(kRootIno, "web");
  Ino file = world.make(top, "file").ino;
  world.write(file, 0, "before");
  auto taken = world.snapshotter.take({SnapshotClass::kSet, set_of(top), "x"},
                                      [&](const Snapshotter::Moment& moment) {
                                        Result<void> outcome = moment();
                                        world.write(file, 0, "behind");
                                        world.make(top, "too late");
                                        return outcome;
                                      });
  SnapshotReader reader = world.reader(must(std::move(taken)));
  TreeEntry entry = must(reader.lookup(reader.top(), "file"));
  std::string content(6, 0);
  must(reader.read(entry, 0, ByteSpan(reinterpret_cast<uint8_t*>(content.data()), 6)));
  EXPECT_EQ(content, "before");
  EXPECT_FALSE(reader.lookup(reader.top(), "too late").ok());
  SnapshotReader next = world.reader(world.take(top, "y"));
  EXPECT_TRUE(next.lookup(next.top(), "too late").ok());
  must(next.read(must(next.lookup(next.top(), "file")), 0,
                 ByteSpan(reinterpret_cast<uint8_t*>(content.data()), 6)));
  EXPECT_EQ(content, "behind");
}

// The working copy forgets all that the snapshot taught it; the files stay.
TEST(Snapshot, ACrashBehindThePublicationCostsOnlyWork) {
  auto base = std::make_unique<SimulatedKv>();
  SimulatedKv& kv = *base;
  CatalogWorld world(std::move(base));
  Ino top = make_sample(world);
  Picture live = picture_of_live(world, top);
  kv.fail_commit(2, Errc::kIo);  // the first is the moment's
  SnapshotInfo first = world.take(top, "1");

  StagedKv staged(kv);
  auto tree = must(LiveTree::open(staged, &world.unfolder, world.clock, world.random));
  Committer committer(staged, *tree, *world.ingest);
  Snapshotter again(staged, *tree, committer, *world.ingest, *world.index, world.packs, world.fetch,
                    *world.history, world.storage);
  EXPECT_TRUE(again.checkpoint_due());
  uint64_t before = world.stored();
  auto moment = [](const Snapshotter::Moment& now) { return now(); };
  SnapshotInfo second = must(again.take({SnapshotClass::kSet, set_of(top), "2"}, moment));
  EXPECT_LE(world.stored() - before, 1u);
  SnapshotTree one = must(world.history->body(first.hash)).trees[0];
  SnapshotTree two = must(world.history->body(second.hash)).trees[0];
  EXPECT_EQ(one.top.below->id, two.top.below->id);
  EXPECT_EQ(one.links->id, two.links->id);
  for (const SnapshotInfo& info : {first, second}) {
    SnapshotReader reader = world.reader(info);
    expect_same(live, picture_of_snapshot(reader));
  }
}

TEST(Snapshot, ASetThatGetsAnotherTreeMeanwhileIsLeftAlone) {
  CatalogWorld world;
  Ino top = make_sample(world);
  SnapshotInfo first = world.take(top, "1");
  SnapshotTree body = must(world.history->body(first.hash)).trees[0];
  world.make(top, "new");
  auto taken = world.snapshotter.take(
      {SnapshotClass::kSet, set_of(top), "2"}, [&](const Snapshotter::Moment& moment) {
        Result<void> outcome = moment();
        must(world.tree->replace_tree(set_of(top), body.top.inode, body.top.xattrs, body.top.below,
                                      body.links, body.next_number));
        return outcome;
      });
  SnapshotReader second = world.reader(must(std::move(taken)));
  EXPECT_TRUE(second.lookup(second.top(), "new").ok());
  SnapshotInfo third = world.take(top, "3");
  EXPECT_EQ(must(world.history->body(third.hash)).trees[0].top.below->id, body.top.below->id);
}

TEST(Snapshot, ThousandsOfLevelsAreNoMatter) {
  CatalogWorld world;
  Ino top = world.make_directory(kRootIno, "web");
  Ino deep = top;
  for (int i = 0; i < 3000; i++) deep = world.make_directory(deep, "d");
  world.write(world.make(deep, "leaf").ino, 0, "down here");
  SnapshotReader reader = world.reader(world.take(top, "x"));
  TreeEntry entry = reader.top();
  for (int i = 0; i < 3000; i++) entry = must(reader.lookup(entry, "d"));
  EXPECT_EQ(must(reader.lookup(entry, "leaf")).node.inode.size, 9u);
}

TEST(Snapshot, ReadsPartsOfSparseAndLargeFiles) {
  CatalogWorld world;
  std::mt19937_64 random(test_seed());
  Ino top = world.make_directory(kRootIno, "web");
  Ino file = world.make(top, "file").ino;
  for (uint64_t i = 0; i < 200; i++)
    world.write(file, random() % 1'000'000, some_text(i, random() % 9000 + 1));
  std::string expected = live_content(world, {file, must(world.tree->inode(file))});
  SnapshotReader reader = world.reader(world.take(top, "x"));
  TreeEntry entry = must(reader.lookup(reader.top(), "file"));
  ASSERT_TRUE(entry.node.below);
  for (int i = 0; i < 500; i++) {
    uint64_t offset = random() % (expected.size() + 100);
    std::string part(random() % 50'000, 'x');
    size_t count = must(
        reader.read(entry, offset, ByteSpan(reinterpret_cast<uint8_t*>(part.data()), part.size())));
    std::string wanted = offset < expected.size() ? expected.substr(offset, part.size()) : "";
    ASSERT_EQ(part.substr(0, count), wanted) << "at " << offset;
  }
}

}  // namespace
}  // namespace varve
