// Goal: a hold counts only when its record lies at the remote and its packs were seen in place
// after that; what is evicted under one is no reason for snapshots to wait, also where the ledger
// was lost.
#include <gmock/gmock.h>

#include "tests/replicator/replication_world.h"

namespace varve {
namespace {

using testing::HasSubstr;

struct HoldsTest : testing::Test {
  SimulatedStorage store, remote;
  StoreMaker maker{store};
  RemoteConfig config{"offsite", "/mnt/offsite", {}, "", ""};
  Hold hold;
  PackInfo pack = maker.pack(5'000), other = maker.pack(3'000);
  uint64_t sequence = 0;

  HoldsTest() {
    SeededRandom random(5);
    config.replica = settle_remote(remote, store, maker.config, random).value();
    maker.snapshot(maker.list({}, {pack, other}));
    EXPECT_TRUE(complete());
    hold.id = filled_id<HoldId>(3);
    hold.replica = config.replica;
  }
  bool complete() {
    const PassResult result = run_pass(store, remote, maker.config, config, 1);
    EXPECT_TRUE(result.done.ok()) << result.done.error().message();
    problems = result.problems;
    return result.figures.files_left == 0 && result.problems.empty();
  }
  void publish() {
    hold.lists = {maker.list({}, {pack})};
    maker.record({encode_hold(hold)});
    sequence = maker.sequence();
  }
  bool counts() {
    const auto ledger =
        ReplicationLedger::read(store, replication_ledger_path(config.replica)).value();
    return ledger->is_held({hold.id, maker.writer, sequence});
  }
  std::string path() const { return path_of(file_of_pack(pack)); }

  std::vector<std::string> problems;
};

TEST_F(HoldsTest, OneCountsOnceItsRecordIsThereAndItsPacksWereSeen) {
  publish();
  EXPECT_FALSE(counts());
  EXPECT_TRUE(complete());
  EXPECT_TRUE(counts());
  EXPECT_TRUE(remote.exists(path_of({FileClass::kList, hold.lists[0]})).value());
}

TEST_F(HoldsTest, APackThatIsNotInPlaceIsSentAgainFirst) {
  publish();
  ASSERT_TRUE(remote.unlink(path()).ok());
  EXPECT_FALSE(complete());
  EXPECT_FALSE(counts());
  EXPECT_THAT(problems.at(0), HasSubstr("does not count"));
  EXPECT_TRUE(complete());
  EXPECT_TRUE(counts());
}

TEST_F(HoldsTest, OneThatIsReleasedOrAtAnotherReplicaIsNotLookedAfter) {
  hold.held = false;
  publish();
  EXPECT_TRUE(complete());
  EXPECT_FALSE(counts());
  hold.held = true;
  hold.replica = filled_id<ReplicaId>(77);
  publish();
  EXPECT_TRUE(complete());
  EXPECT_FALSE(counts());
}

TEST_F(HoldsTest, AnotherSitesIsLeftToIt) {
  publish();
  const StoreMaker here(store, maker, filled_id<WriterId>(5));  // who lives here from now on
  EXPECT_TRUE(complete());
  EXPECT_FALSE(counts());
}

TEST_F(HoldsTest, WhatIsEvictedIsFoundThereWhereTheLedgerWasLost) {
  publish();
  EXPECT_TRUE(complete());
  ASSERT_TRUE(store.unlink(path()).ok());
  EXPECT_TRUE(complete()) << "it does not wait for what is evicted";
  store.remove_all("local/replication");
  EXPECT_TRUE(complete());
  EXPECT_TRUE(counts());
}

TEST_F(HoldsTest, AForgottenLedgerKnowsOfNoHold) {
  publish();
  EXPECT_TRUE(complete());
  auto ledger = ReplicationLedger::open(store, replication_ledger_path(config.replica)).value();
  ledger->forget_files();
  ASSERT_TRUE(ledger->save().ok());
  EXPECT_FALSE(counts());
}

}  // namespace
}  // namespace varve
