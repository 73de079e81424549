// Goal: history says what is in force and nothing else, whatever lies in the folders, and
// publishing never breaks the order.
#include "catalog/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "catalog/snapshot_needs.h"
#include "dedup/base/checksum.h"
#include "dedup/statement.h"
#include "tests/catalog/history_world.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct HistoryTest : testing::Test, HistoryWorld {
  bool is_whole(const SnapshotInfo& info) {
    const Result<bool> whole = SnapshotNeeds(*history, lies_in(storage)).is_whole(info);
    return whole.ok() && *whole;
  }
};

TEST_F(HistoryTest, EmptyStoreHasNone) {
  EXPECT_THAT(history->snapshots(), IsEmpty());
  EXPECT_THAT(history->checkpoints(), IsEmpty());
  EXPECT_EQ(history->highest_sequence(), 0u);
}

TEST_F(HistoryTest, SnapshotsComeBackInOrder) {
  auto first = take("web", "monday", {}, {pack_info(1)});
  ASSERT_TRUE(first.ok());
  auto second = take("web", "tuesday", {first->header.list}, {pack_info(2)});
  ASSERT_TRUE(second.ok());
  ASSERT_TRUE(take("db", "monday").ok());
  for (int round = 0; round < 2; round++) {
    EXPECT_THAT(names("web"), ElementsAre("monday", "tuesday"));
    EXPECT_THAT(names("db"), ElementsAre("monday"));
    auto found = history->find(set_named("web"), "tuesday");
    ASSERT_TRUE(found);
    EXPECT_EQ(found->hash, second->hash);
    EXPECT_EQ(found->set_name, "web");
    EXPECT_EQ(found->time, second->time);
    auto body = history->body(found->hash);
    ASSERT_TRUE(body.ok());
    EXPECT_EQ(body->trees.at(0).next_number, 77u);
    auto packs = history->packs_of_list(found->header.list);
    ASSERT_TRUE(packs.ok());
    EXPECT_EQ(packs->size(), 2u);
    EXPECT_EQ(*history->list_depth(found->header.list), 1);
    EXPECT_EQ(history->highest_sequence(), 6u);
    reopen();
  }
  const auto sets = history->sets();
  ASSERT_EQ(sets.size(), 2u);
  EXPECT_EQ(sets[0].name, "db");
}

TEST_F(HistoryTest, ChainLinksEachPublicationToTheOneBefore) {
  auto first = take("web", "monday");
  auto second = take("web", "tuesday");
  const auto bytes = read_whole(storage, "lists/" + second->header.list.hex(), 1 << 20);
  ASSERT_TRUE(bytes.ok());
  auto envelope = decode_envelope(*bytes, keyring.store_id(), {}, &keyring);
  ASSERT_TRUE(envelope.ok());
  EXPECT_EQ(envelope->previous, first->hash);
  EXPECT_EQ(envelope->sequence, first->sequence + 1);
}

TEST_F(HistoryTest, ATakenNameIsRefused) {
  ASSERT_TRUE(take("web", "monday").ok());
  auto again = take("web", "monday");
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code(), Errc::kExists);
}

TEST_F(HistoryTest, EqualNamesOfTwoWritersAreToldApart) {
  ASSERT_TRUE(take("web", "monday").ok());
  // Another site, which did not know of ours: its files are copied here.
  HistoryWorld other(99);
  other.writer = same_bytes<WriterId>(0xab);
  other.reopen();
  ASSERT_TRUE(other.take("web", "monday").ok());
  for (const std::string& path : other.storage.files()) {
    auto bytes = read_whole(other.storage, path, 1 << 20);
    ASSERT_TRUE(write_whole(storage, path, *bytes).ok());
  }
  const uint64_t version = history->version();
  ASSERT_TRUE(history->refresh().ok());
  EXPECT_NE(history->version(), version);
  EXPECT_THAT(names("web"), ElementsAre("monday", "monday@abababab"));
  EXPECT_EQ(history->find(set_named("web"), "monday@abababab")->writer, same_bytes<WriterId>(0xab));
}

TEST_F(HistoryTest, DamagedAndForeignFilesAreAbsentUntilHealed) {
  auto good = take("web", "monday");
  auto bad = take("web", "tuesday");
  const std::string path = "snapshots/" + bad->hash.hex();
  auto bytes = read_whole(storage, path, 1 << 20);
  Bytes damaged = *bytes;
  damaged[damaged.size() / 2] ^= 1;
  ASSERT_TRUE(write_whole(storage, path, damaged).ok());
  ASSERT_TRUE(write_whole(storage, "snapshots/" + std::string(64, 'a'), as_bytes("junk")).ok());
  ASSERT_TRUE(write_whole(storage, "snapshots/README", as_bytes("not ours")).ok());
  ASSERT_TRUE(write_whole(storage, "records/" + std::string(64, 'b'), {}).ok());
  reopen();
  EXPECT_THAT(names("web"), ElementsAre("monday"));
  ASSERT_TRUE(write_whole(storage, path, *bytes).ok());
  ASSERT_TRUE(history->refresh().ok());
  EXPECT_THAT(names("web"), ElementsAre("monday", "tuesday"));
}

TEST_F(HistoryTest, AnotherStoresFilesAreNotBelieved) {
  HistoryWorld other(99);
  other.keyring = signing_keyring(2);
  other.reopen();
  ASSERT_TRUE(other.take("web", "monday").ok());
  for (const std::string& path : other.storage.files()) {
    ASSERT_TRUE(write_whole(storage, path, *read_whole(other.storage, path, 1 << 20)).ok());
  }
  ASSERT_TRUE(history->refresh().ok());
  EXPECT_THAT(names("web"), IsEmpty());
}

TEST_F(HistoryTest, DropTakesTheFileAndListsThatNothingNames) {
  auto first = take("web", "monday", {}, {pack_info(1)});
  auto second = take("web", "tuesday", {first->header.list}, {pack_info(2)});
  auto third = take("web", "wednesday", {}, {pack_info(2)});
  ASSERT_TRUE(history->drop(first->hash).ok());
  EXPECT_THAT(names("web"), ElementsAre("tuesday", "wednesday"));
  EXPECT_EQ(files_in("snapshots"), 2u);
  EXPECT_EQ(files_in("lists"), 3u) << "tuesday's list builds on monday's";
  EXPECT_TRUE(history->packs_of_list(second->header.list).ok());
  ASSERT_TRUE(history->drop(second->hash).ok());
  EXPECT_EQ(files_in("lists"), 1u);
  EXPECT_TRUE(history->packs_of_list(third->header.list).ok());
  EXPECT_EQ(history->drop(second->hash).error().code(), Errc::kNotFound);
  reopen();
  EXPECT_THAT(names("web"), ElementsAre("wednesday"));
}

TEST_F(HistoryTest, ListsThatTheNextOneBuildsOnStay) {
  auto first = take("web", "monday", {}, {pack_info(1)});
  ASSERT_TRUE(take("db", "monday").ok());
  reopen();
  const FileHash kept = first->header.list;
  history->keep_lists([&] { return std::vector<FileHash>{kept}; });
  ASSERT_TRUE(history->drop(first->hash).ok());
  EXPECT_TRUE(history->packs_of_list(kept).ok());
}

TEST_F(HistoryTest, ADroppedSnapshotThatComesBackStaysHidden) {
  auto first = take("web", "monday");
  const std::string path = "snapshots/" + first->hash.hex();
  const Bytes bytes = *read_whole(storage, path, 1 << 20);
  ASSERT_TRUE(history->drop(first->hash).ok());
  ASSERT_TRUE(write_whole(storage, path, bytes).ok());
  ASSERT_TRUE(history->refresh().ok());
  EXPECT_THAT(names("web"), IsEmpty());
  reopen();
  EXPECT_THAT(names("web"), IsEmpty());
  // Another replica has dropped nothing.
  replica = same_bytes<ReplicaId>(12);
  reopen();
  EXPECT_THAT(names("web"), ElementsAre("monday"));
}

TEST_F(HistoryTest, WithoutAGuardNothingIsDropped) {
  auto first = take("web", "monday");
  replica = {};
  reopen();
  EXPECT_EQ(history->drop(first->hash).error().code(), Errc::kReadOnly);
  EXPECT_THAT(names("web"), ElementsAre("monday"));
}

TEST_F(HistoryTest, ALockWinsAgainstADropUntilItsDate) {
  auto first = take("web", "monday");
  const int64_t now = clock.now() / 1'000'000'000;
  ASSERT_TRUE(history->publish_record({lock_statement(first->hash, now + 100)}).ok());
  EXPECT_EQ(history->drop(first->hash).error().code(), Errc::kPermission);
  ASSERT_TRUE(history->publish_record({drop_statement(first->hash, replica)}).ok());
  EXPECT_THAT(names("web"), ElementsAre("monday"));
  clock.advance(200'000'000'000);
  reopen();
  EXPECT_THAT(names("web"), IsEmpty());
}

TEST_F(HistoryTest, NoLaterStatementShortensALock) {
  auto first = take("web", "monday");
  const int64_t now = clock.now() / 1'000'000'000;
  ASSERT_TRUE(history->publish_record({lock_statement(first->hash, now + 1000)}).ok());
  ASSERT_TRUE(history->publish_record({lock_statement(first->hash, now + 10)}).ok());
  for (const bool anew : {false, true}) {
    if (anew) reopen();
    clock.advance(20'000'000'000);
    EXPECT_EQ(history->drop(first->hash).error().code(), Errc::kPermission);
  }
  ASSERT_TRUE(history->publish_record({lock_statement(first->hash, now + 2000)}).ok());
  clock.advance(1'000'000'000'000);
  EXPECT_EQ(history->drop(first->hash).error().code(), Errc::kPermission) << "it may be lengthened";
}

TEST_F(HistoryTest, TheNewestStatementOnASubjectIsInForce) {
  const SetId set = set_named("web");
  ASSERT_TRUE(history->publish_record({policy_statement(set, "1")}).ok());
  ASSERT_TRUE(history->publish_record({policy_statement(set, "2")}).ok());
  EXPECT_EQ(history->policy(set), "2");
  reopen();
  EXPECT_EQ(history->policy(set), "2");
  ASSERT_TRUE(history->publish_base().ok());
  reopen();
  EXPECT_EQ(history->policy(set), "2");
}

TEST_F(HistoryTest, BaseCoversRecordsAndTheyGo) {
  auto first = take("web", "monday");
  auto second = take("web", "tuesday");
  ASSERT_TRUE(history->drop(first->hash).ok());
  ASSERT_TRUE(history->publish_record({policy_statement(set_named("web"), "{}")}).ok());
  EXPECT_EQ(files_in("records"), 2u);
  ASSERT_TRUE(history->publish_base().ok());
  EXPECT_EQ(files_in("records"), 1u);
  const uint64_t highest = history->highest_sequence();
  reopen();
  EXPECT_THAT(names("web"), ElementsAre("tuesday"));
  EXPECT_EQ(history->highest_sequence(), highest);
  EXPECT_EQ(history->find(set_named("web"), "tuesday")->header.list, second->header.list);
  EXPECT_TRUE(history->drop(second->hash).ok());
}

TEST_F(HistoryTest, ASnapshotThatABaseVouchesForIsStillVerified) {
  auto first = take("web", "monday");
  ASSERT_TRUE(history->publish_base().ok());
  storage.flip_bit("snapshots/" + first->hash.hex(), 2000);
  reopen();
  EXPECT_THAT(names("web"), ElementsAre("monday")) << "the base speaks for it";
  EXPECT_FALSE(history->body(first->hash).ok());
  EXPECT_THAT(names("web"), IsEmpty());
}

TEST_F(HistoryTest, ABaseComesEvery32Publications) {
  for (int i = 0; i < 40; i++) ASSERT_TRUE(take("web", std::to_string(i)).ok());
  EXPECT_EQ(files_in("records"), 1u);
  reopen();
  EXPECT_EQ(names("web").size(), 40u);
}

TEST_F(HistoryTest, CheckpointsKeepTheNewestTwoOfThisWriterAndOfThoseItSucceeds) {
  std::vector<SnapshotInfo> taken;
  std::vector<FileHash> bases;
  for (int i = 0; i < 3; i++) {
    taken.push_back(*checkpoint(bases));
    bases = {taken.back().header.list};
  }
  ASSERT_TRUE(history->prune_checkpoints().ok());
  ASSERT_EQ(history->checkpoints().size(), 2u);
  EXPECT_EQ(history->checkpoints()[0].hash, taken[2].hash);
  EXPECT_EQ(files_in("lists"), 3u) << "the kept lists build on the first";

  const WriterId old = writer;
  writer = same_bytes<WriterId>(22);
  reopen();
  ASSERT_TRUE(history->prune_checkpoints().ok());
  EXPECT_EQ(history->checkpoints().size(), 2u) << "another writer's are not this one's to prune";
  history->become(writer, {old});
  taken.push_back(*checkpoint());
  ASSERT_TRUE(history->prune_checkpoints().ok());
  ASSERT_EQ(history->checkpoints().size(), 2u);
  EXPECT_EQ(history->checkpoints()[0].hash, taken[3].hash);
  EXPECT_EQ(history->checkpoints()[1].hash, taken[2].hash);
  taken.push_back(*checkpoint());
  ASSERT_TRUE(history->prune_checkpoints().ok());
  EXPECT_EQ(files_in("lists"), 2u);
  EXPECT_THAT(history->snapshots(), IsEmpty());
}

TEST_F(HistoryTest, ADamagedCheckpointIsNoneOfTheTwo) {
  std::vector<SnapshotInfo> taken;
  for (int i = 0; i < 3; i++) taken.push_back(*checkpoint());
  storage.flip_bit("snapshots/" + taken[2].hash.hex(), 1000);
  ASSERT_TRUE(history->prune_checkpoints().ok());
  EXPECT_TRUE(history->body(taken[0].hash).ok());
  EXPECT_TRUE(history->body(taken[1].hash).ok());
}

TEST_F(HistoryTest, DeepChainsAreWrittenOutFlat) {
  std::vector<FileHash> bases;
  FileHash last;
  for (int i = 0; i < 70; i++) {
    auto info = take("web", std::to_string(i), bases, {pack_info(static_cast<uint8_t>(i + 1))});
    ASSERT_TRUE(info.ok());
    last = info->header.list;
    bases = {last};
    EXPECT_LE(*history->list_depth(last), 64);
  }
  EXPECT_EQ(history->packs_of_list(last)->size(), 70u);
  EXPECT_LT(*history->list_depth(last), 10);
}

TEST_F(HistoryTest, AMissingBaseIsAnErrorThatNamesIt) {
  auto first = take("web", "monday", {}, {pack_info(1)});
  auto second = take("web", "tuesday", {first->header.list}, {pack_info(2)});
  ASSERT_TRUE(storage.unlink("lists/" + first->header.list.hex()).ok());
  reopen();
  auto packs = history->packs_of_list(second->header.list);
  ASSERT_FALSE(packs.ok());
  EXPECT_THAT(packs.error().message(), testing::HasSubstr(first->header.list.hex()));
  EXPECT_FALSE(is_whole(*second));
}

TEST_F(HistoryTest, WholeIsWhereAllPacksAre) {
  auto info = take("web", "monday", {}, {pack_info(1)});
  EXPECT_FALSE(is_whole(*info));
  const std::string path = pack_path(PackClass::kData, pack_info(1).hash);
  ASSERT_TRUE(storage.make_directories(path.substr(0, path.rfind('/'))).ok());
  ASSERT_TRUE(write_whole(storage, path, as_bytes("pack")).ok());
  EXPECT_TRUE(is_whole(*info));
}

TEST_F(HistoryTest, WhatIsAboutToBeGivenIsRememberedFirst) {
  uint64_t given = 0;
  history->before_publish([&](const WriterId& by, const std::vector<WriterId>&, uint64_t sequence) {
    EXPECT_EQ(by, writer);
    EXPECT_EQ(files_in("snapshots"), 0u);
    given = sequence;
    return Result<void>();
  });
  auto info = take("web", "monday");
  EXPECT_EQ(given, info->sequence);
  history->before_publish([&](const WriterId&, const std::vector<WriterId>&, uint64_t) {
    return Result<void>(Error(Errc::kNoSpace, "full"));
  });
  EXPECT_EQ(take("web", "tuesday").error().code(), Errc::kNoSpace);
  EXPECT_THAT(names("web"), ElementsAre("monday"));
}

TEST_F(HistoryTest, AWriterThatMeetsItsOwnIdTakesANewOne) {
  ASSERT_TRUE(take("web", "monday").ok());
  // The same writer from an older image of the disk, elsewhere.
  HistoryWorld image(5);
  image.reopen();
  for (int i = 0; i < 3; i++) ASSERT_TRUE(image.take("db", std::to_string(i)).ok());
  for (const std::string& path : image.storage.files()) {
    ASSERT_TRUE(write_whole(storage, path, *read_whole(image.storage, path, 1 << 20)).ok());
  }
  ASSERT_TRUE(history->refresh().ok());
  EXPECT_NE(history->writer(), writer);
  EXPECT_THAT(history->succeeded(), ElementsAre(writer));
  auto next = take("web", "tuesday");
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next->sequence, 8u);
}

TEST_F(HistoryTest, FilesThatGoAreNoticed) {
  auto first = take("web", "monday");
  ASSERT_TRUE(storage.unlink("snapshots/" + first->hash.hex()).ok());
  ASSERT_TRUE(history->refresh().ok());
  EXPECT_THAT(names("web"), IsEmpty());
}

TEST_F(HistoryTest, APowerCutLeavesAWholeHistory) {
  for (uint64_t seed = 0; seed < 20; seed++) {
    const std::string before = "before" + std::to_string(seed);
    // The last round's failure may still be to come.
    ASSERT_TRUE(take("web", before).ok() || take("web", before).ok());
    storage.fail_write(1 + seed % 4);
    const bool published = take("web", "torn" + std::to_string(seed)).ok();
    storage.power_cut(seed);
    reopen();
    EXPECT_TRUE(history->find(set_named("web"), before));
    EXPECT_TRUE(!published || history->find(set_named("web"), "torn" + std::to_string(seed)));
    for (const SnapshotInfo& info : history->snapshots()) {
      EXPECT_TRUE(history->packs_of_list(info.header.list).ok());
    }
  }
}

}  // namespace
}  // namespace varve
