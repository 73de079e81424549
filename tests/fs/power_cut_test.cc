// Goal: a store whose power goes at any write of a run, and again while it recovers, opens without
// help; all that was promised is there, the rest is old or new, the checker finds no damage, and
// work goes on.
//
// The scripts are cut at every effect on disk and database, with what was not synced lost, kept, or
// lost in part by several seeds. A failure prints VARVE_CUT=script:effect:seed, which replays that
// cut alone; random runs print a seed for VARVE_SEED.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "dedup/base/log.h"
#include "tests/fs/power_run.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

using Kind = PowerOp::Kind;

Unsynced fate_of(uint64_t seed) {
  if (seed == 0) return Unsynced::kLost;
  return seed == 1 ? Unsynced::kKept : Unsynced::kBySeed;
}

/// What a store is put through after a cut.
class Aftermath {
 public:
  Aftermath(SimulatedMachine& machine, PowerModel model)
      : machine_(machine), model_(std::move(model)) {}

  /// "" if the store opens and shows what it must.
  std::string check() {
    return checked([&] { return model_.check_live(live_); });
  }
  /// Whether the checker is asked too, whenever the store was opened.
  void use_checker(bool use) { uses_checker_ = use; }
  /// What the checker says of it as it is. A recovery that was cut off itself may leave a second
  /// name of a pack, which the next one removes: this is for what a first cut leaves.
  std::string damage() { return uses_checker_ ? run_.damage() : std::string(); }

  /// New data, the old data once more and another snapshot; then the power goes, and local/ is
  /// lost.
  std::string work_goes_on(uint64_t seed) {
    model_.rebase(live_, snapshots_);
    std::string why = write_more();
    if (!why.empty()) return "afterwards: " + why;
    run_.drop();
    machine_.cut_power(seed, fate_of(seed));
    why = check();
    if (!why.empty()) return "after a second cut: " + why;
    model_.rebase(live_, snapshots_);
    run_.drop();
    machine_.lose_local();
    why = checked([&] { return model_.check_rebuilt(live_); });
    if (!why.empty()) return "without local/: " + why;
    const Result<void> unmounted = run_.unmount();
    if (!unmounted.ok()) return "unmounting: " + unmounted.error().message();
    for (const std::string& path : machine_.disk->files()) {
      if (path.starts_with("local/open/")) return path + " is left over";
    }
    return "";
  }
  PowerModel& model() { return model_; }
  PowerRun& run() { return run_; }
  void rebase() { model_.rebase(live_, snapshots_); }

 private:
  template <typename CheckLive>
  std::string checked(CheckLive check_live) {
    const Result<void> mounted = run_.mount();
    if (!mounted.ok()) return "it does not open: " + mounted.error().message();
    auto live = run_.live_tree();
    if (!live.ok()) return "the live tree cannot be read: " + live.error().message();
    live_ = std::move(live).value();
    auto snapshots = run_.snapshots();
    if (!snapshots.ok()) return "a snapshot cannot be read: " + snapshots.error().message();
    snapshots_ = std::move(snapshots).value();
    std::string why = check_live();
    if (why.empty()) why = model_.check_snapshots(snapshots_);
    if (why.empty()) why = run_.missing_packs();
    if (!why.empty()) return why;
    why = damage();
    return why.empty() ? "" : "the checker: " + why;
  }

  std::string write_more() {
    PowerScript script;
    const Result<void> made = run_.run({Kind::kDirectory, "after"});
    if (!made.ok()) return "a new set: " + made.error().message();
    size_t number = 0;
    for (const Bytes& bytes : old_contents_) {
      const std::string path = fmt::format("after/{}", number++);
      const Result<void> put = run_.put(path, bytes);
      if (!put.ok()) return path + ": " + put.error().message();
    }
    for (const auto& [path, file] : live_) {
      if (path.find('/') != std::string::npos || file.type != FileType::kDirectory) continue;
      script.push_back({Kind::kPut, path + "/new", "", 0, 30'000, number++});
      script.push_back({Kind::kSnapshot, path, "later"});
    }
    script.push_back({Kind::kSyncAll});
    script.push_back({Kind::kSnapshot, "after", "later"});
    for (const PowerOp& op : script) {
      const Result<void> done = run_.run(op);
      if (!done.ok()) return describe(op) + ": " + done.error().message();
    }
    return "";
  }

  SimulatedMachine& machine_;
  PowerModel model_;
  PowerRun run_{machine_, model_};
  bool uses_checker_ = true;
  FoundTree live_;
  std::vector<PowerModel::FoundSnapshot> snapshots_;
  const std::vector<Bytes> old_contents_ = model_.contents();
};

struct PowerCut : testing::Test {
  void SetUp() override {
    // Thousands of recoveries say what they found; only a replay is worth reading.
    const bool replay = std::getenv("VARVE_CUT") != nullptr;
    set_log_level(replay ? LogLevel::kInfo : static_cast<LogLevel>(99));
  }
  void TearDown() override { set_log_level(LogLevel::kInfo); }
};

/// Runs one script and cuts the power before each of its effects.
class EveryCut {
 public:
  EveryCut(std::string name, PowerScript script)
      : name_(std::move(name)), script_(std::move(script)) {
    if (const char* replay = std::getenv("VARVE_CUT")) only_ = replay;
    seeds_ = is_full_scale() ? 12 : is_quick_scale() ? 2 : 3;
  }

  void run() {
    PowerRun run(*machine_, model_);
    machine_->power.before_effects([this] { cut(); });
    for (const PowerOp& op : script_) {
      op_ = describe(op);
      const Result<void> done = run.run(op);
      ASSERT_TRUE(done.ok()) << name_ << ": " << op_ << ": " << done.error().message();
      if (testing::Test::HasFailure()) return;
    }
    cut();
    machine_->power.before_effects(nullptr);
    std::printf("%s: %llu effects, %llu cuts\n", name_.c_str(),
                static_cast<unsigned long long>(effects_), static_cast<unsigned long long>(cuts_));
  }

 private:
  void cut() {
    const uint64_t effect = effects_++;
    for (uint64_t seed = 0; seed < seeds_; seed++) {
      if (testing::Test::HasFailure()) return;
      const std::string replay = fmt::format("{}:{}:{}", name_, effect, seed);
      if (!only_.empty() && only_ != replay) continue;
      cuts_++;
      const std::string why = outcome(effect, seed);
      if (!why.empty()) ADD_FAILURE() << "VARVE_CUT=" << replay << " (in " << op_ << "): " << why;
    }
  }

  std::string outcome(uint64_t effect, uint64_t seed) {
    const uint64_t cut_seed = effect * 1000 + seed;
    auto machine = machine_->copy(cut_seed);
    machine->cut_power(cut_seed, fate_of(seed));
    Aftermath aftermath(*machine, model_);
    const bool thorough = is_full_scale() || !only_.empty();
    aftermath.use_checker(thorough || (effect + seed) % 4 == 0);
    const std::string damage = aftermath.damage();
    if (!damage.empty()) return "the checker, before it is opened: " + damage;
    std::string again;
    const bool cuts_recovery = thorough || (effect + seed) % 5 == 0;
    if (cuts_recovery) {
      machine->power.before_effects([&] {
        if (!again.empty()) return;
        for (uint64_t second : {seed % 2, cut_seed + 2}) {
          cuts_++;
          auto twice = machine->copy(second);
          twice->cut_power(second, fate_of(second));
          Aftermath after_both(*twice, model_);
          after_both.use_checker(thorough || cuts_ % 16 == 0);
          again = after_both.check();
          if (!again.empty()) again = "after another cut while it recovered: " + again;
        }
      });
    }
    std::string why = aftermath.check();
    machine->power.before_effects(nullptr);
    if (why.empty()) why = again;
    const bool goes_on = thorough || (effect + seed) % seeds_ == 0;
    if (why.empty() && goes_on) why = aftermath.work_goes_on(seed);
    return why;
  }

  const std::string name_;
  const PowerScript script_;
  std::string only_, op_;
  uint64_t seeds_ = 0, effects_ = 0, cuts_ = 0;
  std::unique_ptr<SimulatedMachine> machine_ = machine_with_store();
  PowerModel model_;
};

TEST_F(PowerCut, OfFilesAndNames) {
  EveryCut("files",
           {
               {Kind::kMount},
               {Kind::kDirectory, "web"},
               {Kind::kPut, "web/a", "", 0, 100'000, 1},
               {Kind::kCreate, "web/b"},
               {Kind::kWrite, "web/b", "", 0, 70'000, 2},
               {Kind::kSync, "web/b"},
               {Kind::kWrite, "web/b", "", 30'000, 50'000, 3},
               {Kind::kDirectory, "web/d"},
               {Kind::kPut, "web/d/new", "", 0, 40'000, 4},
               {Kind::kRename, "web/d/new", "web/a"},
               {Kind::kSyncDirectory, "web"},
               {Kind::kTruncate, "web/b", "", 0, 60'000},
               {Kind::kPunch, "web/b", "", 10'000, 20'000},
               {Kind::kSync, "web/b"},
               {Kind::kLink, "web/a", "web/d/link"},
               {Kind::kSymlink, "web/d/symlink", "to/nowhere"},
               {Kind::kOpen, "web/a"},
               {Kind::kClone, "web/a", "web/b"},
               {Kind::kCommit},
               {Kind::kUnlink, "web/a"},
               {Kind::kClose, "web/b"},
               {Kind::kSyncAll},
           })
      .run();
}

TEST_F(PowerCut, OfSnapshots) {
  EveryCut("snapshots",
           {
               {Kind::kMount},
               {Kind::kDirectory, "web"},
               {Kind::kPut, "web/a", "", 0, 60'000, 1},
               {Kind::kSnapshot, "web", "one"},
               {Kind::kDirectory, "mail"},
               {Kind::kPut, "mail/m", "", 0, 20'000, 2},
               {Kind::kPut, "web/b", "", 0, 60'000, 3},
               {Kind::kSnapshot, "", "all"},
               {Kind::kUnlink, "web/a"},
               {Kind::kCheckpoint},
               {Kind::kPut, "web/c", "", 0, 10'000, 4},
               {Kind::kSnapshot, "web", "two"},
               {Kind::kDrop, "web", "one"},
               {Kind::kTidy},
               {Kind::kPut, "web/a", "", 0, 60'000, 1},
               {Kind::kCheckpoint},
               {Kind::kDrop, "", "all"},
               {Kind::kCheckpoint},
           })
      .run();
}

TEST_F(PowerCut, OfMountsAndReverts) {
  EveryCut("mounts",
           {
               {Kind::kMount},
               {Kind::kDirectory, "web"},
               {Kind::kPut, "web/a", "", 0, 60'000, 1},
               {Kind::kSnapshot, "web", "one"},
               {Kind::kPut, "web/b", "", 0, 30'000, 2},
               {Kind::kUnmount},
               {Kind::kMount},
               {Kind::kOpen, "web/a"},
               {Kind::kWrite, "web/a", "", 50'000, 30'000, 3},
               {Kind::kRevert, "web", "one"},
               {Kind::kTidy},
               {Kind::kPut, "web/c", "", 0, 30'000, 2},
               {Kind::kSyncAll},
               {Kind::kUnmount},
               {Kind::kMount},
               {Kind::kPut, "web/d", "", 0, 30'000, 5},
               {Kind::kSyncAll},
           })
      .run();
}

/// Operations that fit the state of the model, drawn by a seed.
class RandomWork {
 public:
  RandomWork(uint64_t seed, const PowerModel& model, const PowerRun& run)
      : random_(seed), model_(model), run_(run) {}

  PowerOp next() {
    for (;;) {
      if (const std::optional<PowerOp> op = draw()) return *op;
    }
  }

 private:
  size_t below(size_t limit) { return static_cast<size_t>(random_() % limit); }
  std::string set() { return below(2) == 0 ? "a" : "b"; }
  std::string path() { return fmt::format("{}/{}", set(), below(5)); }

  std::optional<PowerOp> draw() {
    const std::string one = path(), other = path(), top = set();
    if (!model_.has(top)) return PowerOp{Kind::kDirectory, top};
    const bool has = model_.has(one), open = run_.is_open(one);
    const bool same_set = one[0] == other[0];
    switch (below(20)) {
      case 0:
        if (model_.has(one[0] + std::string())) return of_file(Kind::kSync, open, one);
        return std::nullopt;
      case 1:
        return of_file(Kind::kClose, open, one);
      case 2:
        if (!has || !same_set || model_.is_same(one, other)) return std::nullopt;
        return PowerOp{Kind::kRename, one, other};
      case 3:
        if (!has) return std::nullopt;
        return PowerOp{Kind::kTruncate, one, "", 0, below(90'000)};
      case 4:
        if (!open) return std::nullopt;
        return PowerOp{Kind::kPunch, one, "", below(50'000), 1 + below(50'000)};
      case 5:
        return of_file(Kind::kUnlink, has, one);
      case 6:
        if (!has || model_.has(other) || !same_set) return std::nullopt;
        return PowerOp{Kind::kLink, one, other};
      case 7:
        if (!open || !run_.is_open(other) || model_.is_same(one, other)) return std::nullopt;
        return PowerOp{Kind::kClone, one, other};
      case 8:
        return PowerOp{Kind::kSyncAll};
      case 9:
        return PowerOp{Kind::kCommit};
      case 10:
        return PowerOp{Kind::kTidy};
      case 11:
        return PowerOp{Kind::kSnapshot, below(4) == 0 ? "" : top, fmt::format("s{}", random_())};
      case 12:
        return of_snapshot(below(3) == 0 ? Kind::kRevert : Kind::kDrop);
      case 13:
        return PowerOp{Kind::kCheckpoint};
      case 14:
        return of_file(Kind::kOpen, has && !open, one);
      default:
        return of_content(one, has, open);
    }
  }

  static std::optional<PowerOp> of_file(Kind kind, bool possible, const std::string& path) {
    if (!possible) return std::nullopt;
    return PowerOp{kind, path};
  }
  std::optional<PowerOp> of_content(const std::string& path, bool has, bool open) {
    // Few contents, so that much of it is known already.
    const size_t size = 1 + below(90'000);
    const uint64_t content = below(6);
    if (open) return PowerOp{Kind::kWrite, path, "", below(60'000), size, content};
    if (has || !model_.has(path.substr(0, 1))) return std::nullopt;
    if (below(2) == 0) return PowerOp{Kind::kCreate, path};
    return PowerOp{Kind::kPut, path, "", 0, size, content};
  }
  std::optional<PowerOp> of_snapshot(Kind kind) {
    std::vector<const ModelPoint*> taken;
    for (const ModelPoint& point : model_.points()) {
      const bool shown = point.kind != ModelPoint::Kind::kCheckpoint && point.returned;
      if (!shown || point.dropping || point.dropped) continue;
      if (kind == Kind::kDrop || (!point.set.empty() && model_.has(point.set)))
        taken.push_back(&point);
    }
    if (taken.empty()) return std::nullopt;
    const ModelPoint& chosen = *taken[below(taken.size())];
    return PowerOp{kind, chosen.set, *chosen.name};
  }

  std::mt19937_64 random_;
  const PowerModel& model_;
  const PowerRun& run_;
};

/// Works until the power goes in the midst of it, recovers (perhaps not at once), and again.
class RandomCuts {
 public:
  explicit RandomCuts(uint64_t seed) : seed_(seed), random_(seed) {}

  std::string run() {
    PowerModel model;
    std::string why;
    for (int life = 0; life < 4 && why.empty(); life++) {
      why = live_and_die(model);
      if (!why.empty()) break;
      Aftermath aftermath(*machine_, model);
      why = aftermath.check();
      if (why.empty() && life == 3) return aftermath.work_goes_on(seed_);
      aftermath.rebase();
      model = aftermath.model();
    }
    return why;
  }

 private:
  std::string live_and_die(PowerModel& model) {
    PowerRun run(*machine_, model);
    const Result<void> mounted = run.mount();
    if (!mounted.ok()) return "mounting: " + mounted.error().message();
    RandomWork work(random_(), model, run);
    machine_->power.stop_after(random_() % 250);
    for (int i = 0; i < 60; i++) {
      const PowerOp op = work.next();
      trace_ += describe(op) + "\n";
      const Result<void> done = run.run(op);
      if (machine_->power.is_off()) break;
      if (!done.ok()) return describe(op) + ": " + done.error().message();
    }
    run.drop();
    cut();
    // Nobody says that the power stays when it has come back.
    for (uint64_t again = random_() % 3; again > 0; again--) {
      machine_->power.stop_after(random_() % 20);
      PowerRun recovering(*machine_, model);
      (void)recovering.mount().ok();
      recovering.drop();
      cut();
    }
    return "";
  }
  void cut() {
    const uint64_t cut_seed = random_();
    machine_->cut_power(cut_seed, fate_of(cut_seed % 4));
    trace_ += "cut\n";
  }

  const uint64_t seed_;
  std::mt19937_64 random_;
  std::unique_ptr<SimulatedMachine> machine_ = machine_with_store();

 public:
  std::string trace_;  // what was done, a line each
};

TEST_F(PowerCut, OfRandomWork) {
  const uint64_t seed = test_seed();
  // The run that failed is the first one of its seed.
  const int runs = is_full_scale() ? 3000 : is_quick_scale() ? 10 : 30;
  for (uint64_t i = 0; i < static_cast<uint64_t>(runs); i++) {
    RandomCuts cuts(seed + i);
    const std::string why = cuts.run();
    ASSERT_EQ(why, "") << "VARVE_SEED=" << seed + i << " after\n" << cuts.trace_;
  }
}

TEST_F(PowerCut, OntoAFullDiskIsMountedAndEmptied) {
  auto machine = machine_with_store();
  PowerModel model;
  PowerRun run(*machine, model);
  for (const PowerOp& op : PowerScript{{Kind::kMount},
                                       {Kind::kDirectory, "web"},
                                       {Kind::kPut, "web/a", "", 0, 200'000, 1},
                                       {Kind::kPut, "web/b", "", 0, 200'000, 2},
                                       {Kind::kSyncAll}}) {
    ASSERT_TRUE(run.run(op).ok()) << describe(op);
  }
  run.drop();
  machine->cut_power(1, Unsynced::kLost);
  const StorageSpace space = *machine->disk->space();
  machine->disk->set_capacity(space.total - space.available);
  Aftermath aftermath(*machine, model);
  EXPECT_EQ(aftermath.check(), "");
  EXPECT_FALSE((*machine->disk->list("local/open")).empty()) << "there was no space to seal it";
  ASSERT_TRUE(aftermath.run().run({Kind::kUnlink, "web/a"}).ok());
  machine->disk->set_capacity(std::nullopt);
  EXPECT_EQ(aftermath.run().run({Kind::kSnapshot, "web", "one"}).ok(), true);
  EXPECT_TRUE((*machine->disk->list("local/open")).empty());
  aftermath.run().drop();
  machine->cut_power(2, Unsynced::kLost);
  EXPECT_EQ(aftermath.check(), "");
}

}  // namespace
}  // namespace varve
