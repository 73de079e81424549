// Goal: a whole store is clean however it came about, and every contradiction of the working copy,
// and every pack that is not there, is found and named by its path.

#include "catalog/checker.h"

#include <gmock/gmock.h>

#include "catalog/repair.h"
#include "catalog/schema.h"
#include "tests/catalog/checked_store.h"

namespace varve {
namespace {

using testing::HasSubstr;

void expect_clean(const Result<CheckReport>& report) {
  ASSERT_TRUE(report.ok()) << report.error().message();
  EXPECT_EQ(report->damages, 0u) << lines_of(*report);
}

TEST(Checker, AWholeStoreIsCleanHoweverItCameAbout) {
  CheckedStoreWorld world;
  world.fill();
  auto report = world.check(true);
  expect_clean(report);
  EXPECT_TRUE(report->working_copy);
  EXPECT_EQ(report->packs_read, report->packs);
  EXPECT_GT(report->snapshots, 4u);  // checkpoints are among them
  EXPECT_TRUE(report->findings.empty()) << lines_of(*report);
  expect_clean(world.check_without_key());

  // In the middle of things, as a crash leaves it: packs in writing, an orphan.
  world.open();
  const Ino web = world.set("web");
  world.file(web, "fresh", StoreWorld::content(50, 100'000));
  world.commit();
  world.crash();
  expect_clean(world.check(true));
  world.open();
  world.close();
  expect_clean(world.check(true));

  // Of stubs: after the loss of local/, and partly unfolded.
  world.lose_local();
  world.open();
  world.commit();
  world.crash();
  expect_clean(world.check(true));
  world.open();
  EXPECT_TRUE(world.read("web/etc/d0/d1/d2/d3/d4/d5/d6/d7/d8/d9/d10/d11/bottom"));
  EXPECT_TRUE(world.read("web/etc/big too"));
  world.commit();
  world.crash();
  expect_clean(world.check(true));

  // After a revert and the removal of a set.
  world.open();
  const auto snapshots = world.copy->history().snapshots_of(world.set_id("web"));
  ASSERT_TRUE(world.copy->revert(world.copy->tree().set_named("web")->number, snapshots[0]).ok());
  EXPECT_TRUE(world.read("web/etc/small7"));
  ASSERT_TRUE(world.copy->history().drop(snapshots[1].hash).ok());
  world.close();
  expect_clean(world.check(true));
}

TEST(Checker, ObjectsThatSnapshotsShareAreReadOnce) {
  CheckedStoreWorld world;
  world.fill();
  const uint64_t objects = world.check()->objects;
  world.open();
  for (int i = 0; i < 10; i++) ASSERT_TRUE(world.snapshot("web", "same" + std::to_string(i)).ok());
  world.close();
  EXPECT_LT(world.check()->objects, objects + 10);
}

TEST(Checker, AMissingPackIsNamedAndSoIsEveryPathThatNeedsIt) {
  CheckedStoreWorld world;
  world.fill();
  for (const StoreFile& file : world.files()) {
    if (file.file_class != FileClass::kPack) continue;
    const Bytes bytes = world.read_file(path_of(file));
    std::filesystem::remove(world.root + "/" + path_of(file));
    const auto report = world.check();
    ASSERT_TRUE(report.ok());
    bool pack = false, path = false;
    for (const Finding& finding : report->findings) {
      pack = pack || (finding.kind == FindingKind::kPack && finding.file == path_of(file));
      path = path || (finding.kind == FindingKind::kContent && finding.pack && finding.path &&
                      !finding.snapshot.empty());
    }
    EXPECT_TRUE(pack) << lines_of(*report);
    EXPECT_TRUE(path) << lines_of(*report);
    const auto keyless = world.check_without_key();
    ASSERT_TRUE(keyless.ok());
    EXPECT_THAT(lines_of(*keyless), HasSubstr(path_of(file)));
    world.put_file(path_of(file), bytes);
  }
  expect_clean(world.check(true));
}

// Contradictions in the database, one by one.

struct Contradiction {
  std::string what;  // part of the line
  std::function<void(CheckedStoreWorld&, KvView&, KvBatch&)> make;
};

/// The live tree's number of set "web", and a file's number in it.
uint32_t tree_of_web(KvView& view) {
  uint32_t tree = 0;
  auto cursor = view.cursor().value();
  EXPECT_TRUE(cursor->seek("s").ok());
  for (; cursor->valid() && cursor->key()[0] == 's'; cursor->next().value()) {
    const SetRow row = decode_set(cursor->value()).value();
    if (row.name == "web") tree = row.tree;
  }
  return tree;
}

DirentRow entry_of(KvView& view, uint64_t directory, const std::string& name) {
  const auto value = view.get(key::entry(tree_of_web(view), directory, name)).value();
  EXPECT_TRUE(value) << name;
  return decode_entry(*value).value();
}

std::string inode_key(KvView& view, uint64_t number) {
  return key::inode(tree_of_web(view), number);
}

Inode inode_at(KvView& view, uint64_t number) {
  return decode_inode(*view.get(inode_key(view, number)).value()).value();
}

const std::vector<Contradiction>& contradictions() {
  static const std::vector<Contradiction> all = {
      {"which has no inode",
       [](auto&, KvView& view, KvBatch& batch) {
         batch[inode_key(view, entry_of(view, kTopNumber, "link").number)] = std::nullopt;
       }},
      {"/etc/big too: local/db: has 1 names and 2 links",
       [](auto&, KvView& view, KvBatch& batch) {
         const DirentRow row = entry_of(view, kTopNumber, "big");
         batch[key::entry(tree_of_web(view), kTopNumber, "big")] = std::nullopt;
         batch[key::cookie(tree_of_web(view), kTopNumber, row.cookie)] = std::nullopt;
       }},
      {"/etc: local/db: has 1 directories in it and 9 links",
       [](auto&, KvView& view, KvBatch& batch) {
         const uint64_t etc = entry_of(view, kTopNumber, "etc").number;
         Inode inode = inode_at(view, etc);
         inode.links = 9;
         batch[inode_key(view, etc)] = encode(inode);
       }},
      {"of another type than its inode",
       [](auto&, KvView& view, KvBatch& batch) {
         const uint64_t number = entry_of(view, kTopNumber, "link").number;
         Inode inode = inode_at(view, number);
         inode.type = FileType::kFifo;
         batch[inode_key(view, number)] = encode(inode);
       }},
      {"symbolic link without a target",
       [](auto&, KvView& view, KvBatch& batch) {
         batch[key::symlink(tree_of_web(view), entry_of(view, kTopNumber, "link").number)] =
             std::nullopt;
       }},
      {"is listed under another name",
       [](auto&, KvView& view, KvBatch& batch) {
         const DirentRow row = entry_of(view, kTopNumber, "empty");
         batch[key::cookie(tree_of_web(view), kTopNumber, row.cookie)] = std::nullopt;
       }},
      {"/etc/passwd: 10 bytes cannot be read",
       [](auto&, KvView& view, KvBatch& batch) {
         const uint64_t etc = entry_of(view, kTopNumber, "etc").number;
         const uint64_t number = entry_of(view, etc, "passwd").number;
         Extent extent{89'990, 10, {}, 0};
         extent.chunk.bytes.fill(0x77);
         auto cursor = view.cursor().value();
         const std::string prefix = key::prefix('e', tree_of_web(view), number);
         ASSERT_TRUE(cursor->seek(prefix).ok());
         for (; cursor->valid() && cursor->key().starts_with(prefix); cursor->next().value()) {
           Extent old = decode_extent(cursor->key(), cursor->value()).value();
           if (old.offset + old.length <= extent.offset) continue;
           old.length = extent.offset - old.offset;
           batch[std::string(cursor->key())] = encode(old);
         }
         batch[key::extent(tree_of_web(view), number, extent.offset)] = encode(extent);
       }},
      {"extents that overlap",
       [](auto&, KvView& view, KvBatch& batch) {
         const uint64_t number = entry_of(view, kTopNumber, "big").number;
         auto cursor = view.cursor().value();
         ASSERT_TRUE(cursor->seek(key::prefix('e', tree_of_web(view), number)).ok());
         Extent extent = decode_extent(cursor->key(), cursor->value()).value();
         extent.length = 1;
         batch[key::extent(tree_of_web(view), number, 5)] = encode(extent);
       }},
      {"is a directory that the top is not above",
       [](auto&, KvView& view, KvBatch& batch) {
         // The deep directories become a ring.
         const uint64_t etc = entry_of(view, kTopNumber, "etc").number;
         const DirentRow first = entry_of(view, etc, "d0");
         const uint64_t second = entry_of(view, first.number, "d1").number;
         const uint32_t set = set_of(inode_at(view, first.number).parent);
         DirentRow row = first;
         row.cookie = 1'000;
         batch[key::entry(tree_of_web(view), etc, "d0")] = std::nullopt;
         batch[key::cookie(tree_of_web(view), etc, first.cookie)] = std::nullopt;
         batch[key::entry(tree_of_web(view), second, "d0")] = encode(row);
         batch[key::cookie(tree_of_web(view), second, row.cookie)] = encode(ListedRow{row, "d0"});
         Inode inode = inode_at(view, first.number);
         inode.parent = make_ino(set, second);
         batch[inode_key(view, first.number)] = encode(inode);
       }},
      {"no links, and is not among the orphans",
       [](auto&, KvView& view, KvBatch& batch) {
         Inode inode = inode_at(view, entry_of(view, kTopNumber, "link").number);
         inode.links = 0;
         batch[inode_key(view, 900)] = encode(inode);
       }},
      {"has rows in table x, and no inode",
       [](auto&, KvView& view, KvBatch& batch) {
         batch[key::xattr(tree_of_web(view), 901, "user.a")] = "b";
       }},
      {"which is no set's",
       [](auto&, KvView& view, KvBatch& batch) {
         batch[key::symlink(777, 3)] = "x";
         (void)view;
       }},
      {"names a set that is not there",
       [](auto&, KvView&, KvBatch& batch) {
         SetId set;
         set.bytes.fill(9);
         batch[key::listed(set, PackId())] = "";
       }},
      {"would refer to object",
       [](auto&, KvView& view, KvBatch& batch) {
         TreeRef ref;
         ref.id.bytes.fill(0x55);
         batch[key::clean(tree_of_web(view), entry_of(view, kTopNumber, "etc").number)] =
             encode(ref);
       }},
      {"the top directory has no inode",
       [](auto&, KvView& view, KvBatch& batch) {
         batch[inode_key(view, kTopNumber)] = std::nullopt;
       }},
      {"another version or another store",
       [](auto&, KvView&, KvBatch& batch) { batch[key::meta("schema")] = encode_u32(99); }},
  };
  return all;
}

TEST(Checker, EveryContradictionOfTheDatabaseIsFoundAndRepairedByMakingItAnew) {
  CheckedStoreWorld world;
  world.fill();
  const std::string pristine = world.directory / "local";
  std::filesystem::copy(world.root + "/local", pristine, std::filesystem::copy_options::recursive);
  for (const Contradiction& contradiction : contradictions()) {
    SCOPED_TRACE(contradiction.what);
    {
      const auto database = open_lmdb_kv(world.root + "/local/db").value();
      KvBatch batch;
      {
        const auto view = database->view().value();
        contradiction.make(world, *view, batch);
      }
      ASSERT_FALSE(batch.empty());
      ASSERT_TRUE(database->commit(batch).ok());
    }
    auto report = world.check();
    ASSERT_TRUE(report.ok());
    EXPECT_GT(report->damages, 0u);
    EXPECT_THAT(lines_of(*report), HasSubstr(contradiction.what));
    world.lose_local();
    std::filesystem::copy(pristine, world.root + "/local",
                          std::filesystem::copy_options::recursive);
  }
  expect_clean(world.check());
}

TEST(Checker, EndsSoonWhenItIsStopped) {
  CheckedStoreWorld world;
  world.fill();
  for (const int after : {0, 3, 20, 60}) {
    std::atomic<int> asked{0};
    CheckOptions options;
    options.read_data = true;
    options.stopped = [&] { return asked++ >= after; };
    const auto report = world.check(options);
    ASSERT_FALSE(report.ok()) << after;
    EXPECT_EQ(report.error().code(), Errc::kInterrupted);
  }
}

TEST(Checker, ALineHasNoControlCharacters) {
  Finding finding;
  finding.kind = FindingKind::kContent;
  finding.set = "web";
  finding.snapshot = "monday";
  finding.path = "a\nb\x1b[1m";
  finding.problem = "gone";
  EXPECT_EQ(line_of(finding), "snapshot monday of web: /a\\012b\\033[1m: gone");
}

}  // namespace
}  // namespace varve
