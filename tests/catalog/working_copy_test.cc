// Goal: what was committed is there after a crash, and what was snapshotted or checkpointed is
// there after the loss of local/.
#include "catalog/working_copy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "catalog/recovery.h"
#include "dedup/guard.h"
#include "dedup/writer_head.h"
#include "tests/catalog/store_world.h"

namespace varve {
namespace {

using testing::ElementsAre;
namespace fs = std::filesystem;

struct WorkingCopyTest : testing::Test, StoreWorld {
  void SetUp() override { open(); }

  std::vector<std::string> entries(const std::string& folder) {
    std::vector<std::string> result;
    for (const auto& entry : fs::directory_iterator(root + "/" + folder)) {
      result.push_back(entry.path().filename().string());
    }
    return result;
  }
};

TEST_F(WorkingCopyTest, AFreshStoreOpensAndComesBack) {
  const Bytes bytes = content(1, 300'000);
  file(set("web"), "a", bytes);
  EXPECT_EQ(read("web/a"), bytes);
  close();
  EXPECT_TRUE(entries("local/open").empty());
  open();
  EXPECT_EQ(read("web/a"), bytes);
  close();
}

TEST_F(WorkingCopyTest, WhatWasCommittedSurvivesACrash) {
  const Bytes first = content(1, 300'000), second = content(2, 200'000);
  file(set("web"), "a", first);
  commit();
  file(set("web"), "b", second);  // never committed
  crash();
  open();
  EXPECT_EQ(read("web/a"), first);
  EXPECT_FALSE(read("web/b"));
  EXPECT_TRUE(entries("local/open").empty());
  file(set("web"), "b", second);
  commit();
  crash();
  open();
  EXPECT_EQ(read("web/a"), first);
  EXPECT_EQ(read("web/b"), second);
}

TEST_F(WorkingCopyTest, APackThatWasSealedButNotWrittenDownIsFound) {
  const Bytes bytes = content(1, 300'000);
  file(set("web"), "a", bytes);
  commit();
  crash();
  {
    auto storage = open_posix_storage(root).value();
    auto config = read_store_config(*storage).value();
    auto keyring = open_keyring(*storage, config, secret());
    ASSERT_TRUE(keyring.ok());
    PackStore packs(*storage, *keyring, system_random(), WriterId(), metrics);
    const std::vector<PackId> in_writing = packs.list_open().value();
    ASSERT_FALSE(in_writing.empty());
    for (const PackId& pack : in_writing) ASSERT_TRUE(packs.recover(pack, 128).ok());
  }
  open();
  EXPECT_EQ(read("web/a"), bytes);
  close();
  open();
  EXPECT_EQ(read("web/a"), bytes);
}

TEST_F(WorkingCopyTest, ALostOpenPackIsReportedAndTheRestGoesOn) {
  const Bytes old = content(1, 100'000);
  file(set("web"), "old", old);
  close();
  open();
  file(set("web"), "new", content(2, 100'000));
  commit();
  crash();
  for (const std::string& name : entries("local/open")) fs::remove(root + "/local/open/" + name);
  open();
  EXPECT_EQ(read("web/old"), old);
  EXPECT_FALSE(read("web/new"));
}

TEST_F(WorkingCopyTest, LocalIsRebuiltFromTheCheckpoint) {
  const Bytes bytes = content(1, 300'000);
  const Ino web = set("web");
  file(make(web, "dir", FileType::kDirectory), "a", bytes);
  file(kRootIno, "of the root", content(3, 1000));
  ASSERT_TRUE(snapshot("web", "monday").ok());
  file(web, "later", content(2, 1000));
  const WriterId writer = copy->history().writer();
  const SetId id = set_id("web");
  close();
  lose_local();

  open();
  EXPECT_EQ(read("web/dir/a"), bytes);
  EXPECT_EQ(read("web/later"), content(2, 1000));
  EXPECT_EQ(read("of the root"), content(3, 1000));
  EXPECT_EQ(set_id("web"), id);
  EXPECT_THAT(names("web"), ElementsAre("monday"));
  EXPECT_NE(copy->history().writer(), writer);
  EXPECT_THAT(copy->history().succeeded(), ElementsAre(writer));
  const Ino fresh = file(set("web"), "fresh", content(4, 1000));
  EXPECT_GT(number_of(fresh), uint64_t{1} << 20);
  close();
  open();
  EXPECT_EQ(read("web/fresh"), content(4, 1000));
  EXPECT_LE(copy->history().checkpoints().size(), 2u);
}

TEST_F(WorkingCopyTest, LocalIsLostAgainAndAgain) {
  const Bytes bytes = content(1, 100'000);
  file(make(set("web"), "dir", FileType::kDirectory), "a", bytes);
  for (int round = 0; round < 4; round++) {
    const std::string name = "snapshot" + std::to_string(round);
    file(set("web"), name, content(10 + static_cast<uint64_t>(round), 5000));
    ASSERT_TRUE(snapshot("web", name).ok());
    if (round % 2 == 0) close();
    crash();
    lose_local();
    open();
    EXPECT_EQ(read("web/dir/a"), bytes);
    EXPECT_EQ(read("web/" + name), content(10 + static_cast<uint64_t>(round), 5000));
    EXPECT_EQ(names("web").size(), static_cast<size_t>(round) + 1);
  }
}

TEST_F(WorkingCopyTest, ASnapshotNewerThanTheCheckpointIsTheLiveTree) {
  file(set("web"), "a", content(1, 1000));
  file(set("db"), "a", content(5, 1000));
  close();
  open();
  file(set("web"), "b", content(2, 1000));
  file(set("db"), "b", content(6, 1000));
  ASSERT_TRUE(snapshot("web", "monday").ok());
  crash();
  lose_local();
  open();
  EXPECT_EQ(read("web/b"), content(2, 1000));
  EXPECT_EQ(read("db/a"), content(5, 1000));
  EXPECT_FALSE(read("db/b"));
}

TEST_F(WorkingCopyTest, WithoutASnapshotThereIsNothingToRebuild) {
  file(set("web"), "a", content(1, 1000));
  commit();
  crash();
  lose_local();
  open();
  EXPECT_FALSE(copy->tree().set_named("web"));
  file(set("web"), "a", content(1, 1000));
  close();
}

TEST_F(WorkingCopyTest, ADamagedNewestCheckpointGivesWayToTheOneBefore) {
  file(set("web"), "a", content(1, 1000));
  close();
  open();
  file(set("web"), "b", content(2, 1000));
  close();
  open();
  const SnapshotInfo newest = copy->history().checkpoints().front();
  crash();
  lose_local();
  std::ofstream(root + "/snapshots/" + newest.hash.hex(), std::ios::trunc) << "torn";
  open();
  EXPECT_EQ(read("web/a"), content(1, 1000));
}

TEST_F(WorkingCopyTest, ARefusedDatabaseIsMovedAsideAndRebuilt) {
  const Bytes bytes = content(1, 100'000);
  file(set("web"), "a", bytes);
  close();
  for (int round = 0; round < 2; round++) {
    std::ofstream(root + "/local/db/data.mdb", std::ios::trunc) << std::string(8192, 'x');
    open();
    EXPECT_EQ(read("web/a"), bytes);
    close();
  }
  size_t refused = 0;
  for (const std::string& name : entries("local")) refused += name.starts_with("refused-");
  EXPECT_EQ(refused, 1u);
}

TEST_F(WorkingCopyTest, AnotherStoresDatabaseIsRefused) {
  file(set("web"), "a", content(1, 1000));
  close();
  StoreWorld other;
  other.open();
  other.file(other.set("foreign"), "b", content(2, 1000));
  other.close();
  fs::remove_all(root + "/local/db");
  fs::copy(other.root + "/local/db", root + "/local/db");
  open();
  EXPECT_EQ(read("web/a"), content(1, 1000));
  EXPECT_FALSE(read("foreign/b"));
}

TEST_F(WorkingCopyTest, ASecondOpeningIsBusy) {
  auto second = try_open(root);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), Errc::kBusy);
  EXPECT_THAT(second.error().message(), testing::HasSubstr("is in use by"));
  crash();
  auto wrong = WorkingCopy::open(root, secret("another"), {}, metrics);
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code(), Errc::kWrongPassphrase);
  open();
}

TEST_F(WorkingCopyTest, ACopiedStoreIsAReplicaAndAWriterOfItsOwn) {
  file(set("web"), "a", content(1, 1000));
  ASSERT_TRUE(snapshot("web", "monday").ok());
  const WriterId writer = copy->history().writer();
  close();
  const std::string twin = directory / "twin";
  fs::copy(root, twin, fs::copy_options::recursive);
  root = twin;
  open();
  EXPECT_NE(copy->history().writer(), writer);
  EXPECT_EQ(read("web/a"), content(1, 1000));
  EXPECT_THAT(names("web"), ElementsAre("monday"));
  close();
}

TEST_F(WorkingCopyTest, ASetIsRevertedToAnotherWritersSnapshot) {
  file(set("web"), "a", content(1, 1000));
  ASSERT_TRUE(snapshot("web", "monday").ok());
  close();
  const std::string here = root;
  root = directory / "twin";
  fs::copy(here, root, fs::copy_options::recursive);
  open();
  file(set("web"), "b", content(2, 300'000));
  ASSERT_TRUE(snapshot("web", "tuesday").ok());
  close();
  const std::string twin = std::exchange(root, here);
  open();
  for (const char* folder : {"packs", "catalog", "lists", "snapshots"}) {
    fs::copy(twin + "/" + folder, root + "/" + folder,
             fs::copy_options::recursive | fs::copy_options::skip_existing);
  }
  ASSERT_TRUE(copy->history().refresh().ok());
  const auto tuesday = copy->history().find(set_id("web"), "tuesday");
  ASSERT_TRUE(tuesday);
  ASSERT_TRUE(copy->revert(copy->tree().set_named("web")->number, *tuesday).ok());
  EXPECT_EQ(read("web/b"), content(2, 300'000));
  ASSERT_TRUE(snapshot("web", "wednesday").ok());
  close();
  open();
  EXPECT_EQ(read("web/b"), content(2, 300'000));
}

TEST_F(WorkingCopyTest, ALocalFromAnImageMeetsItsOwnIdAndTakesANewOne) {
  file(set("web"), "a", content(1, 1000));
  close();
  const std::string image = directory / "image";
  fs::copy(root + "/local", image, fs::copy_options::recursive);
  open();
  const WriterId writer = copy->history().writer();
  ASSERT_TRUE(snapshot("web", "monday").ok());
  close();
  lose_local();
  fs::copy(image, root + "/local", fs::copy_options::recursive);
  open();
  EXPECT_NE(copy->history().writer(), writer);
  EXPECT_EQ(read("web/a"), content(1, 1000));
  ASSERT_TRUE(snapshot("web", "tuesday").ok());
  EXPECT_THAT(names("web"), ElementsAre("monday", "tuesday"));
  close();
  open();
  EXPECT_THAT(names("web"), ElementsAre("monday", "tuesday"));
}

TEST_F(WorkingCopyTest, ACrashBetweenPublicationsKeepsTheWriter) {
  file(set("web"), "a", content(1, 1000));
  ASSERT_TRUE(snapshot("web", "monday").ok());
  const WriterId writer = copy->history().writer();
  crash();
  open();
  EXPECT_EQ(copy->history().writer(), writer);
  EXPECT_TRUE(copy->history().succeeded().empty());
}

TEST_F(WorkingCopyTest, RevertShowsTheSnapshotAndSurvivesTheLossOfLocal) {
  const Ino web = set("web");
  file(make(web, "dir", FileType::kDirectory), "a", content(1, 50'000));
  const auto monday = snapshot("web", "monday");
  ASSERT_TRUE(monday.ok());
  file(make(web, "dir", FileType::kDirectory), "a", content(2, 50'000));
  file(web, "b", content(3, 1000));
  commit();
  const uint32_t number = copy->tree().set_named("web")->number;
  ASSERT_TRUE(copy->revert(number, *monday).ok());
  EXPECT_EQ(read("web/dir/a"), content(1, 50'000));
  EXPECT_FALSE(read("web/b"));
  file(set("web"), "c", content(4, 1000));
  ASSERT_TRUE(snapshot("web", "tuesday").ok());
  ASSERT_TRUE(copy->history().drop(monday->hash).ok());
  crash();
  lose_local();
  open();
  EXPECT_EQ(read("web/dir/a"), content(1, 50'000));
  EXPECT_EQ(read("web/c"), content(4, 1000));
  EXPECT_THAT(names("web"), ElementsAre("tuesday"));
}

TEST_F(WorkingCopyTest, ARevertIsAChangeThatTheNextCheckpointHas) {
  const Ino web = set("web");
  file(web, "a", content(1, 50'000));
  const auto monday = snapshot("web", "monday");
  ASSERT_TRUE(monday.ok());
  file(web, "a", content(2, 50'000));
  close();  // a checkpoint has the second
  open();
  ASSERT_TRUE(snapshot("web", "before the revert").ok());
  EXPECT_FALSE(copy->snapshotter().checkpoint_due());
  ASSERT_TRUE(copy->revert(copy->tree().set_named("web")->number, *monday).ok());
  EXPECT_TRUE(copy->snapshotter().checkpoint_due());
  close();
  lose_local();
  open();
  EXPECT_EQ(read("web/a"), content(1, 50'000));
}

TEST_F(WorkingCopyTest, PacksThatWereMissingAtTheOpeningAreNoticedWhenTheyAreBack) {
  const Bytes bytes = content(1, 300'000);
  file(set("web"), "a", bytes);
  close();
  for (const bool has_index : {true, false}) {
    SCOPED_TRACE(has_index);
    fs::rename(root + "/packs", root + "/away");
    fs::create_directory(root + "/packs");
    if (!has_index) fs::remove_all(root + "/local/index");
    open();
    EXPECT_FALSE(read("web/a"));
    fs::remove_all(root + "/packs");
    fs::rename(root + "/away", root + "/packs");
    reindex_lost_packs(copy->packs(), copy->index());
    EXPECT_EQ(read("web/a"), bytes);
    close();
  }
}

TEST_F(WorkingCopyTest, AnIndexThatTheDiskDoesNotGiveIsAnErrorAndLosesNothing) {
  const Bytes before = content(1, 300'000), during = content(2, 200'000);
  file(set("web"), "a", before);
  close();
  const std::string unreadable = root + "/local/index/run-" + std::string(32, '7');
  fs::create_directory(unreadable);
  open();
  const Ino web = set("web");
  const auto found = copy->tree().lookup(web, "a");
  ASSERT_TRUE(found.ok()) << "names and attributes need no index";
  const auto extents = copy->tree().extents(found->ino, 0, before.size());
  const auto chunk = copy->fetch().chunk(extents.value().at(0).chunk);
  ASSERT_FALSE(chunk.ok());
  EXPECT_NE(chunk.error().message().find("run-777"), std::string::npos) << chunk.error().message();
  file(web, "b", during);
  file(web, "a again", before);
  commit();
  EXPECT_EQ(read("web/b"), during);
  EXPECT_EQ(read("web/a"), before) << "what is written is stored anew";
  EXPECT_FALSE(copy->finish(at_once).ok()) << "and the end says that the index was not written";
  copy.reset();
  fs::remove(unreadable);
  open();
  EXPECT_EQ(read("web/a"), before);
  EXPECT_EQ(read("web/b"), during);
  close();
}

TEST_F(WorkingCopyTest, AfterACrashThereIsNoMountWithoutItsIndex) {
  const Bytes bytes = content(1, 300'000);
  file(set("web"), "a", bytes);
  commit();
  crash();
  const std::string unreadable = root + "/local/index/run-" + std::string(32, '7');
  fs::create_directory(unreadable);
  EXPECT_FALSE(try_open(root).ok());
  fs::remove(unreadable);
  open();
  EXPECT_EQ(read("web/a"), bytes);
}

TEST_F(WorkingCopyTest, RunsThatAreGoneOrDamagedAreMadeAnewFromThePacks) {
  const Bytes first = content(1, 300'000), second = content(2, 300'000);
  file(set("web"), "a", first);
  close();
  open();
  file(set("web"), "b", second);
  close();
  for (const bool gone : {true, false}) {
    SCOPED_TRACE(gone);
    const auto runs = entries("local/index");
    ASSERT_FALSE(runs.empty());
    for (const std::string& name : runs) {
      const std::string path = root + "/local/index/" + name;
      if (gone) {
        fs::remove(path);
      } else {
        fs::resize_file(path, fs::file_size(path) - 1);
      }
    }
    open();
    EXPECT_EQ(read("web/a"), first);
    EXPECT_EQ(read("web/b"), second);
    close();
  }
}

TEST_F(WorkingCopyTest, ARemovedSetsNameTakesUpItsIdAgainAfterARebuild) {
  file(set("web"), "a", content(1, 1000));
  file(set("db"), "a", content(1, 1000));
  ASSERT_TRUE(snapshot("web", "monday").ok());
  const SetId id = set_id("web");
  const Ino web = set("web");
  auto gone = copy->tree().unlink(web, "a");
  ASSERT_TRUE(gone.ok());
  ASSERT_TRUE(copy->tree().release(gone->ino).ok());
  ASSERT_TRUE(copy->tree().remove_directory(kRootIno, "web").ok());
  close();
  lose_local();
  open();
  EXPECT_FALSE(copy->tree().lookup(kRootIno, "web").ok());
  set("web");
  EXPECT_EQ(set_id("web"), id);
  EXPECT_THAT(names("web"), ElementsAre("monday"));
}

TEST_F(WorkingCopyTest, ViewNumbersStay) {
  file(set("web"), "a", content(1, 1000));
  const auto monday = snapshot("web", "monday");
  const auto tuesday = snapshot("web", "tuesday");
  const SetId id = set_id("web");
  const uint32_t first = copy->view_number(monday->hash, id).value();
  const uint32_t second = copy->view_number(tuesday->hash, id).value();
  EXPECT_NE(first, second);
  EXPECT_NE(first, 0u);
  close();
  open();
  EXPECT_EQ(copy->view_number(tuesday->hash, id).value(), second);
  EXPECT_EQ(copy->view_number(monday->hash, id).value(), first);
}

}  // namespace
}  // namespace varve
