// Goal: collection gives back the space of what nothing needs, and nothing else, whenever the power
// goes, whatever is written meanwhile, and on a disk without any space.
#include "catalog/collection.h"

#include <gtest/gtest.h>

#include "tests/catalog/collection_world.h"

namespace varve {
namespace {

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
  EXPECT_GE(tried.bytes, kCollectedFileBytes);
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

/// What a collection may make of a store whose disk or database has no room at some place: an
/// honest error, or its work.
void expect_nothing_lost(CollectedSite& site, const Result<CollectFigures>& done,
                         const std::string& where) {
  EXPECT_TRUE(done.ok() || done.error().code() == Errc::kNoSpace) << where;
  const auto expect_all = [&](const std::string& when) {
    EXPECT_EQ(site.read("web/kept"), collected_content(1)) << where << when;
    EXPECT_EQ(site.read("web/new"), collected_content(4)) << where << when;
    EXPECT_EQ(site.read("web/synced"), collected_content(6)) << where << when;
    EXPECT_EQ(site.names("web"), (std::vector<std::string>{"zero", "two", "three"})) << where;
    site.expect_whole(where + when);
  };
  expect_all(", at once");
  site.crash();
  site.machine->cut_power(1);
  site.open();
  expect_all(", after a crash");
  site.machine->disk->set_capacity(std::nullopt);
  site.collect();
  expect_all(", with room again");
  EXPECT_EQ(site.collect(true).packs, 0u) << where;
  // What it would have removed is known again, and what it removed is not.
  site.file(site.set("web"), "old again", collected_content(2));
  site.commit();
  EXPECT_EQ(site.read("web/old again"), collected_content(2)) << where;
}

std::unique_ptr<CollectedSite> site_with_one_dropped() {
  auto site = site_of_three();
  site->drop("one");
  site->file(site->set("web"), "synced", collected_content(6));
  site->commit();
  return site;
}

TEST(CollectionTest, WithoutAByteFreeNothingIsLost) {
  const auto prepared = site_with_one_dropped();
  prepared->close();
  bool failed = false, done = false;
  for (uint64_t left = 0; left <= 16'000; left += 250) {
    const std::string where = std::to_string(left) + " bytes free";
    CollectedSite site(prepared->machine->copy(200 + left));
    site.open();
    while (site.copy->ballast().give()) {
    }
    const StorageSpace before = site.machine->disk->space().value();
    site.machine->disk->set_capacity(before.total - before.available + left);
    ASSERT_EQ(site.machine->disk->space().value().available, left);
    const Result<CollectFigures> outcome = site.try_collect();
    (outcome.ok() ? done : failed) = true;
    expect_nothing_lost(site, outcome, where);
    ASSERT_FALSE(testing::Test::HasFailure()) << where;
  }
  EXPECT_TRUE(failed && done);
}

TEST(CollectionTest, TheBallastIsForAFullDisk) {
  const auto prepared = site_with_one_dropped();
  prepared->close();
  CollectedSite site(prepared->machine->copy(300));
  site.machine->disk->set_capacity(uint64_t{1} << 30);
  site.open();
  site.copy->ballast().take_if_room();
  ASSERT_EQ(site.copy->ballast().missing_bytes(), 0u);
  const StorageSpace space = site.machine->disk->space().value();
  site.machine->disk->set_capacity(space.total - space.available);
  const Result<CollectFigures> outcome = site.try_collect();
  ASSERT_TRUE(outcome.ok()) << outcome.error().message();
  EXPECT_GT(outcome->packs, 0u);
  expect_nothing_lost(site, outcome, "with a ballast");
}

TEST(CollectionTest, ADatabaseWithoutRoomLosesNothing) {
  const auto prepared = site_with_one_dropped();
  prepared->close();
  bool done = false;
  for (uint64_t nth = 1; !done; nth++) {
    const std::string where = "commit " + std::to_string(nth);
    CollectedSite site(prepared->machine->copy(400 + nth));
    site.open();
    while (site.copy->ballast().give()) {
    }
    site.machine->database->fail_commit(nth, Errc::kNoSpace);
    const Result<CollectFigures> outcome = site.try_collect();
    done = outcome.ok();
    site.machine->database->fail_commit(0, Errc::kNoSpace);
    const bool more = done || site.try_collect().ok();  // in the same mount
    EXPECT_TRUE(more) << where;
    expect_nothing_lost(site, outcome, where);
    ASSERT_FALSE(testing::Test::HasFailure()) << where;
  }
}

/// Its first list and the list of its set may name what went: whoever takes a snapshot afterwards
/// does not go on from them.
TEST(CollectionTest, TheListsOfOtherSetsAreNotBuiltOnEither) {
  const auto site = site_of_three();
  site->file(site->set("db"), "other", collected_content(7));
  ASSERT_TRUE(site->snapshot("db", "first").ok());
  site->checkpoint();
  site->drop("one");
  ASSERT_GT(site->collect().packs, 0u);
  site->file(site->set("db"), "later", collected_content(8));
  ASSERT_TRUE(site->snapshot("db", "second").ok());
  site->checkpoint();
  for (const SnapshotInfo& info : site->copy->history().snapshots()) {
    if (info.name != "second") continue;
    for (const PackInfo& pack : *site->copy->history().packs_of_list(info.header.list))
      EXPECT_TRUE(*site->machine->disk->exists(pack_path(pack.pack_class, pack.hash)));
  }
  site->expect_whole("in the end");
}

/// A snapshot of this store's own that comes back while a collection runs, by a drive perhaps.
TEST(CollectionTest, ASnapshotThatComesBackWhileItRunsKeepsItsPacks) {
  const auto site = site_of_three();
  const auto drive = site->machine->copy(500);
  const auto found = site->copy->history().find(site->set_id("web"), "one");
  ASSERT_TRUE(found);
  const std::string file = "snapshots/" + found->hash.hex();
  // As where a file was lost: nothing was dropped.
  ASSERT_TRUE(site->machine->disk->unlink(file).ok());
  ASSERT_TRUE(site->copy->history().refresh().ok());
  ASSERT_GT(site->collect(true).packs, 0u);
  CollectRequest request;
  int moments = 0;
  request.alone = [&](const std::function<Result<void>()>& act) {
    if (moments++ == 1) site->absorb(*drive);
    return act();
  };
  ASSERT_TRUE(site->copy->collect(request).ok());
  EXPECT_EQ(moments, 2);
  EXPECT_TRUE(site->copy->history().find(site->set_id("web"), "one"));
  site->expect_whole("it came back");
}

/// It counts as absent until it is healed; by then its packs must not have gone.
TEST(CollectionTest, ADamagedSnapshotStopsIt) {
  const auto site = site_of_three();
  const auto found = site->copy->history().find(site->set_id("web"), "one");
  ASSERT_TRUE(found);
  site->close();
  ASSERT_TRUE(site->machine->disk->flip_bit("snapshots/" + found->hash.hex(), 2000));
  site->open();
  const size_t before = site->packs();
  for (int i = 0; i < 2; i++) {
    const auto done = site->try_collect();
    ASSERT_FALSE(done.ok());
    EXPECT_EQ(done.error().code(), Errc::kCorrupt);
  }
  EXPECT_EQ(site->packs(), before);
  site->machine->disk->repair_all();
  site->close();
  site->open();
  EXPECT_TRUE(site->copy->history().find(site->set_id("web"), "one"));
  EXPECT_EQ(site->collect().packs, 0u);
  site->expect_whole("healed");
}

TEST(CollectionTest, AHoldOfThisPlaceKeepsItsPacks) {
  const auto site = site_of_three();
  site->drop("one");
  std::vector<PackInfo> all = site->copy->packs().sealed_packs();
  ASSERT_TRUE(site->copy->history().publish_hold(site->guard().replica, all).ok());
  EXPECT_EQ(site->collect().packs, 0u);
  EXPECT_EQ(site->copy->packs().sealed_packs().size(), all.size());
}

TEST(CollectionTest, ALockedSnapshotStays) {
  const auto site = site_of_three();
  const auto found = site->copy->history().find(site->set_id("web"), "one");
  ASSERT_TRUE(found);
  const int64_t until = site->machine->clock.now() / 1'000'000'000 + 1000;
  ASSERT_TRUE(site->copy->history().lock(found->hash, until).ok());
  EXPECT_FALSE(site->copy->history().drop(found->hash).ok());
  EXPECT_EQ(site->collect().packs, 0u);
  site->expect_whole("locked");
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
