// Goal: a pack is evicted only while a remote holds it, by a hold that was seen to count, and shows
// it whole; whenever the power goes meanwhile, everything is here or read from there, and a check
// tells what is evicted from what is lost.
#include "fs/evict.h"

#include <gmock/gmock.h>

#include "catalog/checker.h"
#include "fs/release_holds.h"
#include "replicator/heal.h"
#include "replicator/holding_remotes.h"
#include "tests/catalog/store_world.h"
#include "tests/replicator/replication_world.h"
#include "tests/support/simulated_machine.h"

namespace varve {
namespace {

using testing::HasSubstr;

/// The remote, as packs are read from it.
class OneFarPlace final : public Elsewhere {
 public:
  explicit OneFarPlace(std::shared_ptr<Storage> files) : files_(std::move(files)) {}
  Result<void> ask(const PackInfo&, const Read& read) override {
    if (!answers) return Error(Errc::kIo, "does not answer");
    return read({"far", files_});
  }
  bool has_places() override { return true; }
  void stop() override {}
  void rest() override {}

  bool answers = true;

 private:
  const std::shared_ptr<Storage> files_;
};

/// A site with three snapshots of a file each, in packs of their own, and a remote.
struct EvictTest : StoreWorld, testing::Test {
  static constexpr size_t kFiles = 3;
  std::unique_ptr<SimulatedMachine> machine = std::make_unique<SimulatedMachine>(1);
  std::shared_ptr<SimulatedStorage> remote = std::make_shared<SimulatedStorage>();
  OneFarPlace place{remote};
  RemoteConfig config{"far", "/mnt/far", {}, "", ""};
  StoreConfig store_config;

  EvictTest() {
    std::vector<AccessSecret> secrets;
    secrets.push_back(secret());
    store_config = create_store(*machine->disk, ChunkerSizes::of_average(16 << 10).value(), secrets,
                                machine->random, "2026-11-22T05:30:00Z")
                       .value()
                       .config;
    open_here();
    for (size_t i = 0; i < kFiles; i++) {
      file(set("web"), name_of_file(i), content(i, 60'000));
      commit();
      EXPECT_TRUE(snapshot("web", "snapshot" + std::to_string(i)).ok());
      copy->ingest().seal_open(PackClass::kData).value();
    }
    close();  // whose checkpoint bundles the indexes
    config.replica = settle_remote(*remote, *machine->disk, store_config, machine->random).value();
    EXPECT_TRUE(write_remote(*machine->disk, config).ok());
    open_here();
  }
  ~EvictTest() override { copy.reset(); }

  static std::string name_of_file(size_t i) { return "file" + std::to_string(i); }
  Result<void> try_to_open_here() {
    copy.reset();
    WorkingCopy::Options options;
    options.threads = 1;
    options.cache_bytes = 0;
    options.elsewhere = &place;
    copy = VARVE_TRY(WorkingCopy::open(machine->world(), secret(), options, metrics));
    return {};
  }
  void open_here() {
    const Result<void> opened = try_to_open_here();
    ASSERT_TRUE(opened.ok()) << opened.error().message();
  }
  void replicate() {
    const PassResult done = run_pass(*machine->disk, *remote, store_config, config, 1);
    ASSERT_TRUE(done.done.ok()) << done.done.error().message();
    ASSERT_TRUE(done.problems.empty()) << done.problems.front();
  }
  Result<EvictFigures> try_to_evict(std::optional<uint64_t> bytes = {}) {
    const FilesAt files_at = [&](const std::string&) {
      return Result<std::shared_ptr<Storage>>(remote);
    };
    EvictRequest request;
    request.remote = "far";
    request.bytes = bytes;
    return evict(*copy, files_at, request);
  }
  EvictFigures do_evict(std::optional<uint64_t> bytes = {}) {
    const Result<EvictFigures> done = try_to_evict(bytes);
    EXPECT_TRUE(done.ok()) << done.error().message();
    return done.ok() ? *done : EvictFigures();
  }
  /// Until all that may go waits for evict alone.
  void hold_all() {
    replicate();
    do_evict();
    replicate();
  }
  void bring_back() {
    const auto healed =
        heal(*machine->disk, *remote, "sender", HealLook::kLengths, {}, HealEvicted::kBring);
    ASSERT_TRUE(healed.ok()) << healed.error().message();
    ASSERT_TRUE(healed->unhealed.empty()) << healed->unhealed.front();
  }
  ReleaseFigures do_release(bool dry_run = false) {
    const Result<ReleaseFigures> done = release_holds(*copy, "far", dry_run);
    EXPECT_TRUE(done.ok()) << done.error().message();
    return done.ok() ? *done : ReleaseFigures();
  }
  bool is_held() { return !copy->history().holds().empty(); }
  std::vector<std::string> data_packs() {
    std::vector<std::string> paths;
    for (const StoreFile& file : list_store_files(*machine->disk).value().files) {
      if (file.file_class == FileClass::kPack) paths.push_back(path_of(file));
    }
    return paths;
  }
  void expect_all_readable(const std::string& when) {
    for (size_t i = 0; i < kFiles; i++)
      EXPECT_EQ(read("web/" + name_of_file(i)), content(i, 60'000)) << when << ", file " << i;
  }
  CheckReport check_here() {
    CheckOptions how;
    how.read_data = true;
    how.threads = 1;
    how.remotes = holding_remotes(*machine->disk).value();
    return copy->check(how).value();
  }
  void expect_undamaged(const std::string& when) {
    const CheckReport report = check_here();
    EXPECT_EQ(report.damages, 0u) << when << ": " << lines_of_findings(report);
  }
  static std::string lines_of_findings(const CheckReport& report) {
    std::string lines;
    for (const Finding& finding : report.findings) lines += line_of(finding) + "\n";
    return lines;
  }
};

TEST_F(EvictTest, GoesOnceAHoldCounts) {
  EvictFigures figures = do_evict();
  EXPECT_EQ(figures.packs + figures.waiting_packs, 0u) << "nothing is replicated yet";
  EXPECT_EQ(figures.unreplicated_packs, kFiles);
  replicate();
  figures = do_evict();
  EXPECT_EQ(figures.packs, 0u);
  EXPECT_EQ(figures.newly_held_packs, kFiles);
  figures = do_evict();
  EXPECT_EQ(figures.packs + figures.newly_held_packs, 0u) << "the hold is not there yet";
  EXPECT_EQ(figures.waiting_packs, kFiles);
  EXPECT_EQ(data_packs().size(), kFiles);
  replicate();
  EXPECT_EQ(do_evict(1).packs, 1u);
  EXPECT_EQ(data_packs().size(), kFiles - 1);
  EXPECT_EQ(do_evict().packs, kFiles - 1);
  EXPECT_TRUE(data_packs().empty());
  expect_all_readable("evicted");
  EXPECT_THAT(lines_of_findings(check_here()), HasSubstr("3 packs of"));
  expect_undamaged("evicted");
  replicate();  // and nothing is missed there, nor brought back
  EXPECT_TRUE(data_packs().empty());
}

TEST_F(EvictTest, TheOldestGoesFirst) {
  hold_all();
  do_evict(1);
  place.answers = false;
  EXPECT_EQ(read("web/file0"), std::nullopt);
  EXPECT_TRUE(read("web/file1").has_value());
  EXPECT_TRUE(read("web/file2").has_value());
}

TEST_F(EvictTest, WhatTheRemoteHasLostOrTornStaysHere) {
  hold_all();
  const std::vector<std::string> paths = data_packs();
  ASSERT_EQ(paths.size(), kFiles);
  ASSERT_TRUE(remote->unlink(paths[0]).ok());
  ASSERT_TRUE(write_whole(*remote, paths[1], Bytes(100)).ok());
  const EvictFigures figures = do_evict();
  EXPECT_EQ(figures.packs, 1u);
  EXPECT_EQ(figures.kept_packs, 2u);
  EXPECT_EQ(figures.lost_packs, 2u);
  EXPECT_EQ(data_packs(), (std::vector<std::string>{paths[0], paths[1]}));
  expect_all_readable("with what stayed");
}

TEST_F(EvictTest, AnotherRemoteThatLacksThemKeepsThem) {
  hold_all();
  RemoteConfig other = config;
  other.name = "other";
  other.replica = filled_id<ReplicaId>(99);
  ASSERT_TRUE(write_remote(*machine->disk, other).ok());
  EXPECT_EQ(do_evict().unreplicated_packs, kFiles);
  EXPECT_EQ(data_packs().size(), kFiles);
}

TEST_F(EvictTest, AHoldThatWasNotSeenToCountExcusesNothing) {
  replicate();
  do_evict();
  ASSERT_TRUE(machine->disk->unlink(data_packs().front()).ok());
  const CheckReport report = check_here();
  EXPECT_GT(report.damages, 0u);
  EXPECT_THAT(lines_of_findings(report), HasSubstr("not known whether far holds"));
  replicate();
  expect_undamaged("once it counts");
}

TEST_F(EvictTest, ARemoteThatIsGoneIsAnErrorUntilItIsBack) {
  hold_all();
  do_evict();
  place.answers = false;
  EXPECT_EQ(read("web/file1"), std::nullopt);
  place.answers = true;
  expect_all_readable("back");
}

TEST_F(EvictTest, WhatIsWrittenAgainRefersToWhatIsEvicted) {
  hold_all();
  do_evict();
  const uint64_t before = metrics.counter("varve_ingest_new_bytes_total", "").value();
  file(set("web"), "again", content(1, 60'000));
  commit();
  EXPECT_EQ(metrics.counter("varve_ingest_new_bytes_total", "").value(), before);
  EXPECT_EQ(read("web/again"), content(1, 60'000));
}

TEST_F(EvictTest, ALostWorkingCopyIsMadeAnewWithoutTheRemote) {
  hold_all();
  do_evict();
  copy.reset();
  machine->lose_local();
  place.answers = false;
  open_here();
  place.answers = true;
  expect_all_readable("made anew");
  EXPECT_GT(check_here().damages, 0u) << "the ledger is lost: nobody knows that it is held";
  replicate();
  expect_undamaged("made anew and replicated");
  EXPECT_TRUE(data_packs().empty());
}

TEST_F(EvictTest, ThePowerMayGoAtAnyMoment) {
  for (const bool counts : {false, true}) {
    if (counts) {
      do_evict();
      replicate();
    } else {
      replicate();
    }
    copy.reset();
    const std::unique_ptr<SimulatedMachine> start = machine->copy(1);
    for (uint64_t effects = 0;; effects++) {
      copy.reset();
      machine = start->copy(effects + 1);
      open_here();
      machine->power.stop_after(effects);
      (void)try_to_evict().ok();
      const bool was_cut = machine->power.is_off();
      copy.reset();
      machine->cut_power(effects);
      open_here();
      const std::string when =
          (counts ? "holds count, " : "") + std::to_string(effects) + " effects";
      expect_all_readable(when);
      expect_undamaged(when);
      if (!counts) {
        EXPECT_EQ(data_packs().size(), kFiles) << when;
      }
      if (!was_cut) break;
    }
  }
}

TEST_F(EvictTest, AHoldIsReleasedWhenAllItsPacksAreHereAgain) {
  hold_all();
  do_evict(1);
  ReleaseFigures figures = do_release();
  EXPECT_EQ(figures.holds, 0u) << "one of them is there alone";
  EXPECT_EQ(figures.kept_holds, 1u);
  EXPECT_EQ(figures.away_packs, 1u);
  ASSERT_TRUE(is_held());
  bring_back();
  figures = do_release(true);
  EXPECT_EQ(figures.holds, 1u);
  ASSERT_TRUE(is_held()) << "a dry run publishes nothing";
  const FileHash list = copy->history().holds().front().hold.lists.front();
  figures = do_release();
  EXPECT_EQ(figures.holds, 1u);
  EXPECT_EQ(figures.packs, kFiles);
  EXPECT_EQ(figures.kept_holds, 0u);
  EXPECT_FALSE(is_held());
  EXPECT_FALSE(machine->disk->exists(path_of({FileClass::kList, list})).value());
  close();
  open_here();
  EXPECT_FALSE(is_held()) << "after the next mount";
  place.answers = false;
  expect_all_readable("without the remote");
  expect_undamaged("released");
  place.answers = true;
  replicate();
  EXPECT_EQ(do_evict().newly_held_packs, kFiles) << "nothing goes without a new hold";
  EXPECT_EQ(data_packs().size(), kFiles);
}

TEST_F(EvictTest, AHoldOfWhatIsDamagedHereStays) {
  hold_all();
  const std::string path = data_packs().front();
  Bytes bytes = read_whole(*machine->disk, path, kPackBytes).value();
  bytes[bytes.size() / 2] ^= 1;
  ASSERT_TRUE(machine->disk->unlink(path).ok());
  ASSERT_TRUE(write_whole(*machine->disk, path, bytes).ok());
  const ReleaseFigures figures = do_release();
  EXPECT_EQ(figures.holds, 0u);
  EXPECT_EQ(figures.away_packs, 1u);
  EXPECT_TRUE(is_held());
}

TEST_F(EvictTest, ThePowerMayGoWhileAHoldIsReleased) {
  hold_all();
  do_evict();
  bring_back();
  copy.reset();
  const std::unique_ptr<SimulatedMachine> start = machine->copy(1);
  bool was_held = false, was_released = false;
  for (uint64_t effects = 0;; effects++) {
    copy.reset();
    machine = start->copy(effects + 1);
    open_here();
    machine->power.stop_after(effects);
    (void)release_holds(*copy, "far", false).ok();
    const bool was_cut = machine->power.is_off();
    copy.reset();
    machine->cut_power(effects);
    open_here();
    const std::string when = std::to_string(effects) + " effects";
    (is_held() ? was_held : was_released) = true;
    EXPECT_EQ(data_packs().size(), kFiles) << when;
    expect_all_readable(when);
    expect_undamaged(when);
    do_release();
    EXPECT_FALSE(is_held()) << when;
    if (!was_cut) break;
  }
  EXPECT_TRUE(was_held);
  EXPECT_TRUE(was_released);
}

}  // namespace
}  // namespace varve
