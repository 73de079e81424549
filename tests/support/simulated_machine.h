// A whole machine that a working copy can live on: disk, database, power, time and chance, all of
// it deterministic and without threads; and copies of it, as a power cut at this moment meets them.
#pragma once

#include "catalog/world.h"
#include "tests/support/simulated_kv.h"
#include "tests/support/simulated_storage.h"
#include "tests/support/simulation.h"

namespace varve {

struct SimulatedMachine {
  explicit SimulatedMachine(uint64_t seed_in) : seed(seed_in) {}

  const uint64_t seed;
  SimulatedPower power;
  std::unique_ptr<SimulatedStorage> disk = std::make_unique<SimulatedStorage>(&power);
  std::unique_ptr<SimulatedKv> database = std::make_unique<SimulatedKv>(&power);
  SeededRandom random{seed};
  SimulatedClock clock;

  /// Another machine with the same disks; `seed` is for what it draws from then on.
  std::unique_ptr<SimulatedMachine> copy(uint64_t copy_seed) {
    auto made = std::make_unique<SimulatedMachine>(copy_seed);
    made->disk = disk->copy_of(&made->power);
    made->database = database->copy_of(&made->power);
    made->clock.advance(clock.monotonic() + 1'000'000'000);
    return made;
  }
  /// The power goes, and comes back. What ran is over: it must not be used any more.
  void cut_power(uint64_t cut_seed, Unsynced unsynced = Unsynced::kBySeed) {
    power.restore();
    disk->power_cut(cut_seed, unsynced);
    database->power_cut(cut_seed);
    // It lies in a directory of the disk's.
    const Result<bool> there = disk->exists("local/db");
    if (!there.ok() || !*there) database = std::make_unique<SimulatedKv>(&power);
    clock.advance(1'000'000'000);
  }
  void lose_local() {
    disk->remove_all("local");
    database = std::make_unique<SimulatedKv>(&power);
  }
  std::unique_ptr<World> world();
};

/// Refers to the machine, which outlives it.
class SimulatedWorld final : public World {
 public:
  explicit SimulatedWorld(SimulatedMachine& machine) : machine_(machine) {}

  const std::string& root() const override { return root_; }
  Storage& storage() override { return *machine_.disk; }
  Clock& clock() override { return machine_.clock; }
  Random& random() override { return machine_.random; }
  Result<std::unique_ptr<Kv>> open_database(const std::string&) override {
    return std::unique_ptr<Kv>(std::make_unique<Opened>(*machine_.database));
  }
  Result<void> erase_database(const std::string&) override {
    machine_.database = std::make_unique<SimulatedKv>(&machine_.power);
    return {};
  }
  std::unique_ptr<Executor> make_executor(const char*, size_t, size_t) override {
    return std::make_unique<InlineExecutor>();
  }
  Result<std::unique_ptr<StoreLock>> lock(const std::string&) override {
    return std::unique_ptr<StoreLock>();  // nobody else is there
  }
  Result<Place> place() override { return Place{"simulated", 1}; }

 private:
  struct Opened final : Kv {
    explicit Opened(Kv& database_in) : database(database_in) {}
    Result<std::unique_ptr<KvView>> view() override { return database.view(); }
    Result<void> commit(const KvBatch& batch) override { return database.commit(batch); }
    Kv& database;
  };

  SimulatedMachine& machine_;
  const std::string root_ = "simulated";
};

inline std::unique_ptr<World> SimulatedMachine::world() {
  return std::make_unique<SimulatedWorld>(*this);
}

}  // namespace varve
