// Goal: two sites of one store send to one remote, at the same time and whatever stops them: every
// snapshot seen there is whole, both are complete in the end, and neither takes what is the
// other's.
#include <gmock/gmock.h>

#include "replicator/transfer.h"
#include "tests/replicator/replication_world.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

using testing::Contains;

const WriterId kFirstWriter = filled_id<WriterId>(21), kSecondWriter = filled_id<WriterId>(22);

/// Who a site is, and its disk.
struct Site {
  SimulatedPower power;
  std::unique_ptr<SimulatedStorage> storage;
  WriterId writer;
};

struct Sites {
  Site first, second;
  SimulatedPower remote_power;
  std::unique_ptr<SimulatedStorage> remote;
};

struct SitesTest : testing::Test {
  SimulatedStorage first, second, remote;
  StoreMaker maker{first};
  std::optional<StoreMaker> joined;
  RemoteConfig config{"offsite", "/mnt/offsite", {}, "", ""};
  FileHash shared, old_checkpoint, own_checkpoint;

  SitesTest() {
    SeededRandom random(5);
    config.replica = settle_remote(remote, first, maker.config, random).value();
    maker.live_here();
  }

  PassResult pass(Storage& store, const WriterId& writer, uint64_t seed = 1) {
    PassRun run(store, remote, maker.config, config, seed, {3, false, sender_named(writer)});
    return run_to_its_end(run);
  }
  bool is_there(const FileHash& snapshot) {
    return remote.exists(path_of({FileClass::kSnapshot, snapshot})).value();
  }
  void bring(Storage& from, Storage& to) {
    const auto brought = absorb(from, to, "drive", {});
    ASSERT_TRUE(brought.ok()) << brought.error().message();
    ASSERT_TRUE(brought->problems.empty());
  }
  /// A snapshot and a checkpoint at the first site, which have come to the remote and from there to
  /// the second one, and what the second one has made itself.
  void fill() {
    const FileHash list = maker.list({}, {maker.pack(9'000), maker.pack(700, PackClass::kCatalog)});
    shared = maker.snapshot(list);
    old_checkpoint = maker.snapshot(list, SnapshotClass::kCheckpoint);
    maker.record();
    ASSERT_TRUE(pass(first, kFirstWriter).done.ok());
    joined.emplace(second, maker, kSecondWriter);
    bring(remote, second);
    const FileHash own = joined->list({}, {joined->pack(6'000), joined->pack(5'000)});
    joined->snapshot(own);
    own_checkpoint = joined->snapshot(own, SnapshotClass::kCheckpoint);
    joined->record();
  }
  /// And goes on at both.
  void go_on() {
    const FileHash list = maker.list({}, {maker.pack(11'000), maker.pack(8'000)});
    maker.snapshot(list);
    maker.snapshot(list, SnapshotClass::kCheckpoint);
    maker.record();
    const FileHash own = joined->list({}, {joined->pack(7'000)});
    joined->snapshot(own);
  }
  std::unique_ptr<Sites> copy() const {
    auto made = std::make_unique<Sites>();
    made->first.storage = first.copy_of(&made->first.power);
    made->first.writer = kFirstWriter;
    made->second.storage = second.copy_of(&made->second.power);
    made->second.writer = kSecondWriter;
    made->remote = remote.copy_of(&made->remote_power);
    return made;
  }
  /// A pass of each, their steps in an order drawn from `seed`; whether both were completed.
  bool pass_both(Sites& sites, uint64_t seed) {
    const auto run_of = [&](const Site& site) {
      return std::make_unique<PassRun>(*site.storage, *sites.remote, maker.config, config, seed,
                                       PassRun::Ways{3, false, sender_named(site.writer)});
    };
    std::vector<std::unique_ptr<PassRun>> runs;
    runs.push_back(run_of(sites.first));
    runs.push_back(run_of(sites.second));
    bool good = true;
    std::mt19937_64 dice(seed);
    while (!runs.empty()) {
      const auto at = runs.begin() + static_cast<ptrdiff_t>(dice() % runs.size());
      const Result<bool> goes_on = (*at)->step();
      if (!goes_on.ok()) good = false;
      if (goes_on.ok() && !*goes_on && (*at)->result.figures.files_left > 0) good = false;
      if (!goes_on.ok() || !*goes_on) runs.erase(at);
    }
    return good;
  }
  void expect_complete(Sites& sites, const std::string& what) {
    expect_good_store(*sites.remote, maker.config, what);
    for (const Site* site : {&sites.first, &sites.second}) {
      for (const StoreFile& file : list_store_files(*site->storage).value().files) {
        // A checkpoint that has a successor, at the other site perhaps, need not be there; whole
        // snapshots have their lists.
        if (file.hash == old_checkpoint || file.file_class == FileClass::kList) continue;
        EXPECT_TRUE(sites.remote->exists(path_of(file)).value()) << what << ": " << path_of(file);
      }
    }
  }
};

TEST_F(SitesTest, EachBringsItsOwnAndBothAreThere) {
  fill();
  const PassResult sent = pass(second, kSecondWriter);
  ASSERT_TRUE(sent.done.ok()) << sent.done.error().message();
  EXPECT_EQ(sent.figures.files_left, 0u);
  EXPECT_LT(sent.written, 14'000u) << "what the first site had sent was there";
  EXPECT_TRUE(is_there(shared) && is_there(old_checkpoint) && is_there(own_checkpoint));
  expect_good_store(remote, maker.config, "second");
  bring(remote, first);
  EXPECT_TRUE(first.exists(path_of({FileClass::kSnapshot, own_checkpoint})).value());
  EXPECT_EQ(pass(first, kFirstWriter, 2).figures.files_sent, 0u);
}

TEST_F(SitesTest, AnothersCheckpointThatWasReplacedIsNotSentAgain) {
  fill();
  go_on();
  ASSERT_TRUE(pass(first, kFirstWriter, 2).done.ok());
  EXPECT_FALSE(is_there(old_checkpoint));
  const PassResult sent = pass(second, kSecondWriter, 3);
  ASSERT_TRUE(sent.done.ok()) << sent.done.error().message();
  EXPECT_EQ(sent.figures.files_left, 0u);
  EXPECT_FALSE(is_there(old_checkpoint));
  expect_good_store(remote, maker.config, "both");
}

TEST_F(SitesTest, AnothersCheckpointIsSentWhereItIsTheNewest) {
  fill();
  ASSERT_TRUE(remote.unlink(path_of({FileClass::kSnapshot, old_checkpoint})).ok());
  ASSERT_TRUE(pass(second, kSecondWriter).done.ok());
  EXPECT_TRUE(is_there(old_checkpoint)) << "it may be all that is left of the other site";
}

TEST_F(SitesTest, AnothersCheckpointThatIsLostHereStaysThere) {
  fill();
  ASSERT_TRUE(pass(second, kSecondWriter).done.ok());
  ASSERT_TRUE(second.unlink(path_of({FileClass::kSnapshot, old_checkpoint})).ok());
  joined->snapshot(joined->list({}, {}), SnapshotClass::kCheckpoint);
  ASSERT_TRUE(pass(second, kSecondWriter, 2).done.ok());
  EXPECT_FALSE(is_there(own_checkpoint)) << "one's own older one goes";
  EXPECT_TRUE(is_there(old_checkpoint)) << "the other site's live tree is its to replace";
}

TEST_F(SitesTest, AbsorbBringsTheNewestCheckpointAlone) {
  fill();
  go_on();
  bring(first, remote);
  bring(remote, second);
  CarriedHistory history;
  ASSERT_TRUE(history.refresh(remote, maker.config, list_store_files(remote).value()).ok());
  std::vector<FileHash> there;
  for (const CarriedSnapshot& snapshot : history.snapshots()) there.push_back(snapshot.hash);
  EXPECT_THAT(there, Contains(old_checkpoint)) << "absorb removes nothing";
  SimulatedStorage fresh;
  ASSERT_TRUE(settle_store_config(fresh, remote).ok());
  bring(remote, fresh);
  EXPECT_FALSE(fresh.exists(path_of({FileClass::kSnapshot, old_checkpoint})).value());
}

/// Whose power goes.
enum class Whose { kRemote, kFirst, kSecond };
struct SitesAccidentTest : SitesTest, testing::WithParamInterface<Whose> {
  static SimulatedPower& power_of(Sites& sites, Whose whose) {
    if (whose == Whose::kRemote) return sites.remote_power;
    return whose == Whose::kFirst ? sites.first.power : sites.second.power;
  }
  static SimulatedStorage& disk_of(Sites& sites, Whose whose) {
    if (whose == Whose::kRemote) return *sites.remote;
    return whose == Whose::kFirst ? *sites.first.storage : *sites.second.storage;
  }
};

TEST_P(SitesAccidentTest, AtEveryEffectOfBothAtOnce) {
  fill();
  go_on();
  const auto undisturbed = copy();
  const uint64_t before = power_of(*undisturbed, GetParam()).effects();
  ASSERT_TRUE(pass_both(*undisturbed, 1));
  expect_complete(*undisturbed, "undisturbed");
  const uint64_t effects = power_of(*undisturbed, GetParam()).effects() - before;
  ASSERT_GT(effects, 20u);
  for (uint64_t cut = 0; cut < effects && !HasFailure(); cut++) {
    const std::string what = "effect " + std::to_string(cut);
    const auto sites = copy();
    power_of(*sites, GetParam()).stop_after(cut);
    EXPECT_FALSE(pass_both(*sites, 1)) << what;
    power_of(*sites, GetParam()).restore();
    disk_of(*sites, GetParam()).power_cut(cut * 31 + 7);
    expect_good_store(*sites->remote, maker.config, what);
    const auto cut_too = sites->remote->copy_of(nullptr);
    cut_too->power_cut(cut, Unsynced::kLost);
    expect_good_store(*cut_too, maker.config, what + ", and the remote's power goes");
    EXPECT_TRUE(pass_both(*sites, cut + 1000)) << what;
    expect_complete(*sites, what);
  }
}

INSTANTIATE_TEST_SUITE_P(Whose, SitesAccidentTest,
                         testing::Values(Whose::kRemote, Whose::kFirst, Whose::kSecond),
                         [](const auto& tested) {
                           return tested.param == Whose::kRemote  ? "Remote"
                                  : tested.param == Whose::kFirst ? "First"
                                                                  : "Second";
                         });

TEST_F(SitesTest, AnyInterleavingCompletesBoth) {
  fill();
  go_on();
  const uint64_t seed = test_seed();
  const uint64_t runs = is_full_scale() ? 2000 : 60;
  for (uint64_t run = 0; run < runs && !HasFailure(); run++) {
    SCOPED_TRACE(testing::Message() << "VARVE_SEED=" << seed << ", run " << run);
    const auto sites = copy();
    ASSERT_TRUE(pass_both(*sites, seed + run));
    expect_complete(*sites, "any");
  }
}

}  // namespace
}  // namespace varve
