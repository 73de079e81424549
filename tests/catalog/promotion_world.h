// Sites of a store on simulated machines, and a remote of theirs that is promoted.
#pragma once

#include <gtest/gtest.h>

#include "catalog/checker.h"
#include "catalog/promotion.h"
#include "catalog/rejoin.h"
#include "dedup/store_files.h"
#include "dedup/writer_head.h"
#include "tests/catalog/store_world.h"
#include "tests/support/simulated_machine.h"

namespace varve {

inline constexpr const char* kShown = "simulated";

/// Words for files come from StoreWorld; the store is the simulated machine's.
struct SimulatedSite : StoreWorld {
  explicit SimulatedSite(std::unique_ptr<SimulatedMachine> machine_in)
      : machine(std::move(machine_in)) {}
  ~SimulatedSite() { copy.reset(); }

  std::unique_ptr<SimulatedMachine> machine;

  static WorkingCopy::Options options() {
    WorkingCopy::Options options;
    options.threads = 1;
    options.cache_bytes = 1 << 20;
    return options;
  }
  Result<void> try_to_open() {
    copy.reset();
    copy = VARVE_TRY(WorkingCopy::open(machine->world(), secret(), options(), metrics));
    return {};
  }
  void open() {
    const Result<void> opened = try_to_open();
    ASSERT_TRUE(opened.ok()) << opened.error().message();
  }
  Guard guard() {
    const auto config = read_store_config(*machine->disk).value();
    const AskPlace place = [&] { return machine->world()->place(); };
    return read_guard(*machine->disk, place, config.store_id).value().guard.value_or(Guard{});
  }
  PromotionPlace place() {
    return {*machine->disk, kShown, [this] { return machine->world()->place(); }};
  }
  Result<WriterId> promote(bool unbound = false, const std::string& site = "") {
    PromotionPlace here = place();
    here.unbound = unbound;
    const PromotionPlan plan =
        VARVE_TRY(plan_promotion(here, secret(), site, machine->clock, machine->random));
    VARVE_TRY(begin_promotion(here, plan));
    return complete_promotion(machine->world(), secret(), options());
  }
  Result<Rejoined> come_back(bool keep_mine) {
    copy.reset();
    return rejoin([this] { return Result<std::unique_ptr<World>>(machine->world()); }, secret(),
                  keep_mine, options(), machine->clock);
  }
  /// As absorb does.
  void absorb(SimulatedMachine& from) {
    const StoreFiles files = list_store_files(*from.disk).value();
    for (const StoreFile& file : files.files) {
      const std::string path = path_of(file);
      if (machine->disk->exists(path).value()) continue;
      ASSERT_TRUE(machine->disk->make_directories(path.substr(0, path.rfind('/'))).ok());
      ASSERT_TRUE(write_whole(*machine->disk, path, *read_whole(*from.disk, path, 1 << 30)).ok());
    }
  }
  /// The whole mount's snapshots, as names.
  std::vector<SnapshotInfo> whole_snapshots() {
    std::vector<SnapshotInfo> result;
    for (const SnapshotInfo& info : copy->history().snapshots()) {
      if (info.header.snapshot_class == SnapshotClass::kMount) result.push_back(info);
    }
    return result;
  }
  Result<CheckReport> check() {
    CheckOptions how;
    how.read_data = true;
    how.threads = 1;
    return copy->check(how);
  }
};

inline const Bytes& first_file() {
  static const Bytes bytes = StoreWorld::content(1, 100'000);
  return bytes;
}
inline const Bytes& later_file() {
  static const Bytes bytes = StoreWorld::content(2, 50'000);
  return bytes;
}

/// A site whose checkpoint has both files, and whose snapshot has the first; closed.
inline std::unique_ptr<SimulatedMachine> site_machine() {
  auto machine = std::make_unique<SimulatedMachine>(1);
  std::vector<AccessSecret> secrets;
  secrets.push_back(StoreWorld::secret());
  const auto made = create_store(*machine->disk, ChunkerSizes::of_average(16 << 10).value(),
                                 secrets, machine->random, "2026-11-22T05:30:00Z");
  EXPECT_TRUE(made.ok());
  SimulatedSite site(std::move(machine));
  site.open();
  site.file(site.set("web"), "first", first_file());
  site.commit();
  EXPECT_TRUE(site.snapshot("web", "one").ok());
  site.file(site.set("web"), "later", later_file());
  site.close();
  return std::move(site.machine);
}

inline void make_remote(SimulatedMachine& machine) {
  machine.lose_local();
  machine.disk->remove_all("replica");
  const auto config = read_store_config(*machine.disk).value();
  const Guard guard{machine.random.id<ReplicaId>(), {}};
  ASSERT_TRUE(write_unbound_guard(*machine.disk, config.store_id, guard).ok());
}

}  // namespace varve
