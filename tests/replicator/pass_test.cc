// Goal: whatever stops a replication, wherever, on either side, the remote is a good store at that
// moment and after the next power cut, every snapshot seen there is whole, and the next pass
// completes it without sending much again.

#include "replicator/pass.h"

#include <gmock/gmock.h>

#include "dedup/statement.h"
#include "tests/replicator/pass_world.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

using testing::HasSubstr;

TEST_F(PassTest, EverythingArrivesAndASecondPassSendsNothing) {
  fill();
  const PassResult first = pass();
  ASSERT_TRUE(first.done.ok()) << first.done.error().message();
  EXPECT_EQ(first.figures.files_left, 0u);
  EXPECT_EQ(first.figures.bytes_left, 0u);
  EXPECT_EQ(first.figures.snapshots_sent, 3u);
  EXPECT_TRUE(first.problems.empty());
  expect_good_store(remote, maker.config, "first");
  EXPECT_FALSE(is_at_remote(FileClass::kSnapshot, old_checkpoint));
  EXPECT_TRUE(is_at_remote(FileClass::kSnapshot, new_checkpoint));
  const PassResult second = pass(2);
  ASSERT_TRUE(second.done.ok());
  EXPECT_EQ(second.figures.files_sent, 0u);
  EXPECT_EQ(second.written, 0u);
}

TEST_F(PassTest, ADamagedPackIsNotCopiedOnAndHoldsBackWhatNeedsIt) {
  const PackInfo whole = maker.pack(3000), damaged = maker.pack(9000);
  const FileHash needs_whole = maker.snapshot(maker.list({}, {whole}));
  const FileHash needs_damaged = maker.snapshot(maker.list({}, {damaged}));
  ASSERT_TRUE(store.flip_bit(path_of(file_of_pack(damaged)), 60'001));
  const PassResult held = pass();
  ASSERT_TRUE(held.done.ok());
  EXPECT_FALSE(is_at_remote(FileClass::kPack, damaged.hash));
  EXPECT_TRUE(is_at_remote(FileClass::kSnapshot, needs_whole));
  EXPECT_FALSE(is_at_remote(FileClass::kSnapshot, needs_damaged));
  EXPECT_EQ(held.figures.snapshots_waiting, 1u);
  ASSERT_EQ(held.problems.size(), 2u);
  EXPECT_THAT(held.problems[0], HasSubstr("do not hash to its name; it is not sent"));
  EXPECT_THAT(held.problems[1], HasSubstr("waits, because packs/"));
  store.repair_all();
  ASSERT_TRUE(pass(2).done.ok());
  EXPECT_TRUE(is_at_remote(FileClass::kSnapshot, needs_damaged));
  expect_good_store(remote, maker.config, "healed");
}

TEST_F(PassTest, BytesThatWereDamagedInAnInterruptedRunAreSentAgain) {
  const PackInfo pack = maker.pack(20'000);
  maker.snapshot(maker.list({}, {pack}));
  // The first block goes over damaged, then the line breaks; then the disk gives the right bytes
  // again.
  ASSERT_TRUE(store.flip_bit(path_of(file_of_pack(pack)), 8));
  const auto machines = copy();
  uint64_t effects = 0;
  for (;; effects++) {
    machines->remote_power.stop_after(effects);
    const PassResult broken = pass(*machines, effects);
    machines->remote_power.restore();
    if (broken.written >= 12'000) break;
    ASSERT_LT(effects, 1000u);
  }
  machines->store->repair_all();
  ASSERT_TRUE(pass(*machines, 77).done.ok());
  expect_complete(*machines, "repaired");
}

TEST_F(PassTest, BlocksOfATemporaryFileThatIsGoneAreForgottenBeforeANewOneIsWritten) {
  const StoreFile file = file_of_pack(maker.pack(20'000));
  const std::string folder = path_of(file).substr(0, path_of(file).rfind('/'));
  ASSERT_TRUE(remote.make_directories(folder).ok());
  const std::string path = replication_ledger_path(config.replica);
  const auto steps = [&](ReplicationLedger& ledger, const auto& enough) {
    Shipment shipment({store, remote, "sender", &ledger, kTestBlockBytes, kTestWriteBytes}, file,
                      Shipment::Look::kNone);
    while (!enough(shipment)) ASSERT_TRUE(shipment.step().ok());
  };
  {
    const auto ledger = ReplicationLedger::open(store, path).value();
    steps(*ledger, [&](Shipment&) { return ledger->blocks_of(file.hash).size() == 2; });
  }
  ASSERT_TRUE(remote.unlink(shipment_temporary_path(file, "sender")).ok());
  {
    // Killed before the first block is durable; after a power cut there its length may be right.
    const auto ledger = ReplicationLedger::open(store, path).value();
    steps(*ledger, [](Shipment& shipment) { return shipment.next_write() > 0; });
  }
  EXPECT_TRUE(ReplicationLedger::open(store, path).value()->blocks_of(file.hash).empty())
      << "else the next run takes what was never written for durable";
}

TEST_F(PassTest, SeedsCountAtOnceAndShortOnesAreReplaced) {
  const PackInfo seeded = maker.pack(8000), cut_off = maker.pack(7000);
  maker.snapshot(maker.list({}, {seeded, cut_off}));
  const auto seed = [&](const PackInfo& pack, size_t length) {
    const std::string path = path_of(file_of_pack(pack));
    Bytes bytes = read_whole(store, path, 1 << 20).value();
    bytes.resize(length);
    ASSERT_TRUE(remote.make_directories(path.substr(0, path.rfind('/'))).ok());
    ASSERT_TRUE(write_whole(remote, path, bytes).ok());
  };
  seed(seeded, 8000);
  seed(cut_off, 6999);
  const PassResult result = pass();
  ASSERT_TRUE(result.done.ok());
  EXPECT_EQ(result.figures.files_were_there, 1u);
  EXPECT_GE(result.written, 7000u);
  EXPECT_LT(result.written, 8000u + 4000u);
  expect_good_store(remote, maker.config, "seeded");
}

TEST_F(PassTest, RelistingFindsWhatWasRemovedThere) {
  fill();
  ASSERT_TRUE(pass().done.ok());
  const PackInfo pack = maker.pack(1234);
  maker.snapshot(maker.list({}, {pack}));
  ASSERT_TRUE(pass(2).done.ok());
  ASSERT_TRUE(remote.unlink(path_of(file_of_pack(pack))).ok());
  ASSERT_TRUE(pass(3).done.ok());
  EXPECT_FALSE(is_at_remote(FileClass::kPack, pack.hash));  // the ledger is believed
  const PassResult relisted = pass(4, true);
  ASSERT_TRUE(relisted.done.ok());
  EXPECT_EQ(relisted.figures.files_sent, 1u);
  expect_good_store(remote, maker.config, "relisted");
}

TEST_F(PassTest, AfterCollectionTheExactListCounts) {
  const PackInfo old_pack = maker.pack(2000), new_pack = maker.pack(1500);
  const FileHash snapshot = maker.snapshot(maker.list({}, {old_pack}));
  const FileHash exact = maker.exact_list({snapshot}, {new_pack});
  ASSERT_TRUE(store.unlink(path_of(file_of_pack(old_pack))).ok());
  ASSERT_TRUE(pass().done.ok());
  EXPECT_TRUE(is_at_remote(FileClass::kList, exact));
  EXPECT_TRUE(is_at_remote(FileClass::kSnapshot, snapshot));
  expect_good_store(remote, maker.config, "exact");
}

TEST_F(PassTest, APackThatIsLostHereHoldsBackItsSnapshotAlone) {
  const PackInfo lost = maker.pack(2000), whole = maker.pack(1500);
  const FileHash broken = maker.snapshot(maker.list({}, {lost}));
  const FileHash good = maker.snapshot(maker.list({}, {whole}));
  ASSERT_TRUE(store.unlink(path_of(file_of_pack(lost))).ok());
  const PassResult result = pass();
  ASSERT_TRUE(result.done.ok());
  EXPECT_FALSE(is_at_remote(FileClass::kSnapshot, broken));
  EXPECT_TRUE(is_at_remote(FileClass::kSnapshot, good));
  EXPECT_EQ(result.figures.snapshots_waiting, 1u);
}

/// What goes wrong at an effect, and what has to be so afterwards.
struct Accident {
  const char* name;
  bool at_remote;  // else at the store
  bool power;      // the disk loses what was not synced; else the call fails and the process ends
};

struct PassAccidentTest : PassTest, testing::WithParamInterface<Accident> {};

TEST_P(PassAccidentTest, AtEveryEffect) {
  const Accident accident = GetParam();
  fill();
  const auto undisturbed = copy();
  SimulatedPower& counted =
      accident.at_remote ? undisturbed->remote_power : undisturbed->store_power;
  const uint64_t before = counted.effects();
  const PassResult whole_run = pass(*undisturbed, 1);
  ASSERT_TRUE(whole_run.done.ok());
  const uint64_t effects = counted.effects() - before;
  ASSERT_GT(effects, 20u);
  for (uint64_t cut = 0; cut < effects; cut++) {
    const std::string what = std::string(accident.name) + " at effect " + std::to_string(cut);
    const auto machines = copy();
    SimulatedPower& power = accident.at_remote ? machines->remote_power : machines->store_power;
    power.stop_after(cut);
    const PassResult broken = pass(*machines, 1);
    EXPECT_FALSE(broken.done.ok()) << what;
    power.restore();
    if (accident.power) {
      (accident.at_remote ? machines->remote : machines->store)->power_cut(cut * 31 + 7);
    }
    expect_good_store(*machines->remote, maker.config, what);
    // What was seen at the remote must not hang on what its disk has not kept.
    const auto cut_too = machines->remote->copy_of(nullptr);
    cut_too->power_cut(cut, Unsynced::kLost);
    expect_good_store(*cut_too, maker.config, what + ", and the remote's power goes");

    const PassResult resumed = pass(*machines, cut + 1000);
    ASSERT_TRUE(resumed.done.ok()) << what << ": " << resumed.done.error().message();
    EXPECT_LE(broken.written + resumed.written, whole_run.written + 3 * kTestBlockBytes) << what;
    expect_complete(*machines, what);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Accidents, PassAccidentTest,
                         testing::Values(Accident{"the remote's power", true, true},
                                         Accident{"the line", true, false},
                                         Accident{"the store's power", false, true},
                                         Accident{"the process", false, false}),
                         [](const auto& tested) {
                           std::string name = tested.param.name;
                           std::erase_if(name, [](char c) { return !std::isalnum(c); });
                           return name;
                         });

TEST_F(PassTest, AFullRemoteEndsThePassAndLeavesAGoodStore) {
  fill();
  const auto undisturbed = copy();
  const PassResult whole_run = pass(*undisturbed, 1);
  ASSERT_TRUE(whole_run.done.ok());
  for (uint64_t capacity = 3'000; capacity < whole_run.written; capacity += 1'777) {
    const auto machines = copy();
    machines->remote->set_capacity(capacity);
    const PassResult full = pass(*machines, capacity);
    ASSERT_FALSE(full.done.ok()) << capacity;
    EXPECT_EQ(full.done.error().code(), Errc::kNoSpace) << full.done.error().message();
    expect_good_store(*machines->remote, maker.config, std::to_string(capacity));
    machines->remote->set_capacity(std::nullopt);
    ASSERT_TRUE(pass(*machines, 3).done.ok());
    expect_complete(*machines, "with room again");
  }
}

TEST_F(PassTest, RandomRuns) {
  const uint64_t seed = test_seed();
  const int runs = is_full_scale() ? 2000 : 60;
  for (int run = 0; run < runs && !HasFailure(); run++) {
    std::mt19937_64 dice(seed + static_cast<uint64_t>(run));
    SCOPED_TRACE(testing::Message() << "VARVE_SEED=" << seed << ", run " << run);
    Machines machines;
    machines.store = std::make_unique<SimulatedStorage>(&machines.store_power);
    machines.remote = std::make_unique<SimulatedStorage>(&machines.remote_power);
    StoreMaker made(*machines.store, dice());
    SeededRandom random(dice());
    config.replica = settle_remote(*machines.remote, *machines.store, made.config, random).value();
    std::vector<FileHash> lists;
    for (int round = 0; round < 12; round++) {
      for (uint64_t n = dice() % 3; n > 0; n--) {
        std::vector<PackInfo> rows;
        for (uint64_t packs = dice() % 4; packs > 0; packs--)
          rows.push_back(made.pack(1 + dice() % 15'000,
                                   dice() % 3 == 0 ? PackClass::kCatalog : PackClass::kData));
        std::vector<FileHash> bases;
        if (!lists.empty() && dice() % 3 != 0) bases.push_back(lists.back());
        lists.push_back(made.list(bases, rows));
        made.snapshot(lists.back(),
                      dice() % 3 == 0 ? SnapshotClass::kCheckpoint : SnapshotClass::kSet);
        if (dice() % 2 == 0) made.record();
      }
      const uint64_t accident = dice() % 8;
      if (accident == 0) machines.remote_power.stop_after(dice() % 150);
      if (accident == 1) machines.store_power.stop_after(dice() % 60);
      if (accident == 2) machines.remote->set_capacity(dice() % 200'000);
      if (accident == 3) machines.remote->fail_sync(1 + dice() % 40);
      if (accident == 4) machines.remote->fail_write(1 + dice() % 60);
      if (accident == 5) machines.store->fail_read(1 + dice() % 60);
      const PassResult result =
          run_pass(*machines.store, *machines.remote, made.config, config, dice(), 1 + dice() % 6);
      machines.store_power.restore();
      machines.remote_power.restore();
      machines.remote->set_capacity(std::nullopt);
      if (accident == 0 && dice() % 2 == 0) machines.remote->power_cut(dice());
      if (accident == 1 && dice() % 2 == 0) machines.store->power_cut(dice());
      // Whoever opens the remote's disk after an error opens it anew.
      machines.remote = machines.remote->copy_of(&machines.remote_power);
      machines.store = machines.store->copy_of(&machines.store_power);
      made.go_on_with(*machines.store);
      expect_good_store(*machines.remote, made.config, "round " + std::to_string(round));
      if (HasFailure()) return;
    }
    const PassResult last =
        run_pass(*machines.store, *machines.remote, made.config, config, dice());
    ASSERT_TRUE(last.done.ok()) << last.done.error().message();
    EXPECT_EQ(last.figures.files_left, 0u);
    expect_good_store(*machines.remote, made.config, "last");
  }
}

}  // namespace
}  // namespace varve
