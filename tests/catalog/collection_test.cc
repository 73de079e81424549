// Goal: collection gives back the space of what nothing needs, and nothing else, whenever the power
// goes, whatever is written meanwhile, and on a disk without any space.
#include "catalog/collection.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/catalog/promotion_world.h"

namespace varve {
namespace {

constexpr size_t kFileBytes = 300'000;

Bytes collected_content(uint64_t seed) {
  return StoreWorld::content(seed, kFileBytes);
}

std::unique_ptr<SimulatedMachine> empty_machine(uint64_t seed) {
  auto machine = std::make_unique<SimulatedMachine>(seed);
  std::vector<AccessSecret> secrets;
  secrets.push_back(StoreWorld::secret());
  const auto made = create_store(*machine->disk, ChunkerSizes::of_average(16 << 10).value(),
                                 secrets, machine->random, "2026-11-22T05:30:00Z");
  EXPECT_TRUE(made.ok());
  return machine;
}

struct CollectedSite : SimulatedSite {
  using SimulatedSite::SimulatedSite;

  Result<CollectFigures> try_collect(bool dry_run = false) {
    CollectRequest request;
    request.dry_run = dry_run;
    return copy->collect(request);
  }
  CollectFigures collect(bool dry_run = false) {
    const Result<CollectFigures> done = try_collect(dry_run);
    EXPECT_TRUE(done.ok()) << done.error().message();
    return done.ok() ? *done : CollectFigures();
  }
  void drop(const std::string& name) {
    const auto found = copy->history().find(set_id("web"), name);
    ASSERT_TRUE(found) << name;
    const Result<void> dropped = copy->history().drop(found->hash);
    ASSERT_TRUE(dropped.ok()) << dropped.error().message();
  }
  void take(const std::string& name) {
    const auto taken = snapshot("web", name);
    ASSERT_TRUE(taken.ok()) << taken.error().message();
  }
  void checkpoint() {
    ASSERT_TRUE(copy->snapshotter().take({SnapshotClass::kCheckpoint, 0, ""}, at_once).ok());
    ASSERT_TRUE(copy->after_checkpoint().ok());
  }
  void remove(const std::string& name) {
    const Ino web = set("web");
    const auto gone = copy->tree().unlink(web, name);
    ASSERT_TRUE(gone.ok());
    ASSERT_TRUE(copy->tree().release(gone->ino).ok());
  }
  size_t packs() {
    size_t count = 0;
    for (const StoreFile& file : list_store_files(*machine->disk).value().files)
      count += file.file_class == FileClass::kPack ? 1 : 0;
    return count;
  }
  /// By a history and files of its own: what is there for whoever comes next.
  void expect_whole(const std::string& where) {
    const auto report = check();
    ASSERT_TRUE(report.ok()) << where;
    EXPECT_EQ(report->damages, 0u) << where;
    for (const Finding& finding : report->findings)
      if (report->damages > 0) ADD_FAILURE() << where << ": " << line_of(finding);
  }
};

/// Three snapshots: the first alone has "old", the second alone "middle"; "kept" is in all.
std::unique_ptr<CollectedSite> site_of_three() {
  auto site = std::make_unique<CollectedSite>(empty_machine(1));
  site->open();
  const Ino web = site->set("web");
  site->file(web, "kept", collected_content(1));
  site->commit();
  site->take("zero");
  site->file(web, "old", collected_content(2));
  site->take("one");
  site->remove("old");
  site->file(web, "middle", collected_content(3));
  site->take("two");
  site->remove("middle");
  site->file(web, "new", collected_content(4));
  site->take("three");
  site->checkpoint();
  site->checkpoint();
  return site;
}

TEST(CollectionTest, NothingIsRemovedThatAnythingNeeds) {
  const auto site = site_of_three();
  const size_t before = site->packs();
  EXPECT_EQ(site->collect().packs, 0u);
  EXPECT_EQ(site->packs(), before);
  site->expect_whole("nothing dropped");
}

TEST(CollectionTest, ADroppedSnapshotsSpaceIsBack) {
  const auto site = site_of_three();
  const size_t before = site->packs();
  site->drop("one");
  const CollectFigures tried = site->collect(true);
  EXPECT_GE(tried.bytes, kFileBytes);
  EXPECT_EQ(site->packs(), before) << "a dry run";
  const CollectFigures done = site->collect();
  EXPECT_EQ(done.packs, tried.packs);
  EXPECT_EQ(site->packs(), before - 1);
  EXPECT_EQ(site->read("web/kept"), collected_content(1));
  EXPECT_EQ(site->read("web/new"), collected_content(4));
  site->expect_whole("one dropped");
  EXPECT_EQ(site->collect().packs, 0u) << "twice";
}

TEST(CollectionTest, TheNextSnapshotsAndARebuildGoOnFromThere) {
  const auto site = site_of_three();
  site->drop("one");
  site->drop("zero");
  EXPECT_GT(site->collect().packs, 0u);
  site->file(site->set("web"), "later", collected_content(5));
  site->take("four");
  site->expect_whole("a snapshot after");
  site->close();
  site->open();
  site->expect_whole("mounted again");
  site->close();
  site->machine->lose_local();
  site->open();
  EXPECT_EQ(site->read("web/later"), collected_content(5));
  site->expect_whole("rebuilt");
  site->take("five");
  site->expect_whole("a snapshot after a rebuild");
}

TEST(CollectionTest, WhatWasRemovedIsStoredAnewWhenItComesAgain) {
  const auto site = site_of_three();
  site->drop("one");
  site->collect();
  site->file(site->set("web"), "old again", collected_content(2));
  site->commit();
  EXPECT_EQ(site->read("web/old again"), collected_content(2));
  site->crash();
  site->open();
  EXPECT_EQ(site->read("web/old again"), collected_content(2));
  site->expect_whole("written again");
}

/// The classic mistake: a chunk was told to be known, and nothing refers to it yet.
TEST(CollectionTest, WhatAStreamWasToldIsStoredStays) {
  const auto site = site_of_three();
  site->drop("one");
  auto stream = site->copy->ingest().open_stream(SegmentType::kChunks, Ingest::Access::kSequential);
  const Bytes bytes = collected_content(2);
  LiveTree::ContentChange change;
  change.to = bytes.size();
  change.size = change.to;
  uint64_t at = 0;
  for (ByteView left = bytes; !left.empty();) {
    const size_t length = site->copy->chunker().cut(left);
    const auto put = site->copy->ingest().put(*stream, left.first(length));
    ASSERT_TRUE(put.ok());
    EXPECT_FALSE(put->is_new);
    change.extents.push_back({at, length, put->id, 0});
    at += length;
    left = left.subspan(length);
  }
  const size_t before = site->packs();
  EXPECT_GT(site->collect().spared_packs, 0u);
  EXPECT_EQ(site->packs(), before);
  const Ino again = site->make(site->set("web"), "again", FileType::kFile);
  ASSERT_TRUE(site->copy->tree().change_content(again, change).ok());
  stream->settle();
  site->commit();
  EXPECT_EQ(site->collect().packs, 0u);
  EXPECT_EQ(site->read("web/again"), bytes);
  site->remove("again");
  site->commit();
  stream.reset();
  EXPECT_GT(site->collect().packs, 0u);
  site->expect_whole("in the end");
}

/// Between the first look and the moment somebody writes what is about to go.
TEST(CollectionTest, WhatIsWrittenWhileItRunsStays) {
  const auto site = site_of_three();
  site->drop("one");
  CollectRequest request;
  int moments = 0;
  request.alone = [&](const std::function<Result<void>()>& act) {
    if (moments++ == 0) {
      site->file(site->set("web"), "again", collected_content(2));  // before hits are misses
    } else {
      site->file(site->set("web"), "and again", collected_content(2));
    }
    return act();
  };
  ASSERT_TRUE(site->copy->collect(request).ok());
  site->commit();
  EXPECT_EQ(site->read("web/again"), collected_content(2));
  site->crash();
  site->open();
  EXPECT_EQ(site->read("web/again"), collected_content(2));
  site->expect_whole("written meanwhile");
}

TEST(CollectionTest, ASnapshotThatIsTakenWhileItRunsIsWhole) {
  const auto site = site_of_three();
  site->drop("one");
  CollectRequest request;
  int moments = 0;
  request.alone = [&](const std::function<Result<void>()>& act) {
    if (moments++ == 1) {
      site->file(site->set("web"), "again", collected_content(2));
      site->take("meanwhile");
    }
    return act();
  };
  const auto done = site->copy->collect(request);
  ASSERT_TRUE(done.ok());
  EXPECT_GT(done->packs, 0u);
  site->expect_whole("snapshot meanwhile");
  site->close();
  site->machine->lose_local();
  site->open();
  EXPECT_EQ(site->read("web/again"), collected_content(2));
  site->expect_whole("rebuilt");
}

TEST(CollectionTest, APowerCutAtEveryEffectLosesNothing) {
  const auto prepared = site_of_three();
  prepared->drop("one");
  prepared->file(prepared->set("web"), "synced", collected_content(6));
  prepared->close();
  bool done = false;
  for (uint64_t effects = 0; !done; effects++) {
    SCOPED_TRACE("effect " + std::to_string(effects));
    CollectedSite site(prepared->machine->copy(100 + effects));
    site.open();
    site.machine->power.stop_after(effects);
    done = site.try_collect().ok();
    site.copy.reset();
    site.machine->cut_power(effects);
    site.open();
    EXPECT_EQ(site.read("web/kept"), collected_content(1));
    EXPECT_EQ(site.read("web/new"), collected_content(4));
    EXPECT_EQ(site.read("web/synced"), collected_content(6));
    EXPECT_EQ(site.names("web"), (std::vector<std::string>{"zero", "two", "three"}));
    site.expect_whole("after the cut");
    site.collect();
    site.expect_whole("collected after the cut");
    EXPECT_EQ(site.collect(true).packs, 0u);
    EXPECT_EQ(site.collect(true).strange_packs, 0u);
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

/// Words of a run: files come, some of them again, and go; snapshots come and go; collections run,
/// and crashes come between.
TEST(CollectionTest, RandomRuns) {
  for (uint64_t seed = 1; seed <= 20; seed++) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 chance(seed);
    CollectedSite site(empty_machine(seed));
    site.open();
    site.set("web");
    std::map<std::string, uint64_t> live;
    std::set<std::string> snapshots;
    for (int step = 0; step < 60; step++) {
      const std::string name = "f" + std::to_string(chance() % 6);
      switch (chance() % 8) {
        case 0:
        case 1:
        case 2: {
          if (live.contains(name)) site.remove(name);
          live[name] = chance() % 10;
          site.file(site.set("web"), name, collected_content(live[name]));
          break;
        }
        case 3:
          if (live.erase(name) > 0) site.remove(name);
          break;
        case 4: {
          const std::string taken = "s" + std::to_string(step);
          site.take(taken);
          snapshots.insert(taken);
          break;
        }
        case 5:
          if (snapshots.empty()) break;
          site.drop(*snapshots.begin());
          snapshots.erase(snapshots.begin());
          break;
        case 6:
          site.collect();
          break;
        default:
          if (chance() % 2 == 0) site.checkpoint();
          site.commit();
          site.crash();
          site.machine->cut_power(chance());
          site.open();
      }
      for (const auto& [file, content] : live)
        ASSERT_EQ(site.read("web/" + file), collected_content(content)) << file << ", " << step;
    }
    site.collect();
    site.expect_whole("in the end");
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

TEST(CollectionTest, AMissingPackThatIsNeededStopsIt) {
  const auto site = site_of_three();
  site->drop("one");
  const auto kept = site->copy->index().find([&] {
    const auto found = site->copy->tree().lookup(site->set("web"), "kept");
    return site->copy->tree().extents(found->ino, 0, 1)->front().chunk;
  }());
  const auto pack = site->copy->packs().find((*kept)->pack);
  ASSERT_TRUE(site->machine->disk->unlink(pack_path(pack->pack_class, pack->hash)).ok());
  const size_t before = site->packs();
  const auto done = site->try_collect();
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code(), Errc::kCorrupt);
  EXPECT_EQ(site->packs(), before);
}

}  // namespace
}  // namespace varve
