// A working copy on a simulated machine, and words for what collection meets.
#pragma once

#include "catalog/collection.h"
#include "tests/catalog/promotion_world.h"

namespace varve {

inline constexpr size_t kCollectedFileBytes = 300'000;

inline Bytes collected_content(uint64_t seed) {
  return StoreWorld::content(seed, kCollectedFileBytes);
}

inline std::unique_ptr<SimulatedMachine> machine_to_collect(uint64_t seed) {
  auto machine = std::make_unique<SimulatedMachine>(seed);
  std::vector<AccessSecret> secrets;
  secrets.push_back(StoreWorld::secret());
  const auto made = create_store(*machine->disk, ChunkerSizes::of_average(16 << 10).value(),
                                 secrets, machine->random, "2026-11-22T05:30:00Z");
  EXPECT_TRUE(made.ok());
  return machine;
}

struct CollectedSite : SimulatedSite {
  using SimulatedSite::SimulatedSite;

  Result<CollectFigures> try_collect(bool dry_run = false) {
    CollectRequest request;
    request.dry_run = dry_run;
    return copy->collect(request);
  }
  CollectFigures collect(bool dry_run = false) {
    const Result<CollectFigures> done = try_collect(dry_run);
    EXPECT_TRUE(done.ok()) << done.error().message();
    return done.ok() ? *done : CollectFigures();
  }
  void drop(const std::string& name) {
    const auto found = copy->history().find(set_id("web"), name);
    ASSERT_TRUE(found) << name;
    const Result<void> dropped = copy->history().drop(found->hash);
    ASSERT_TRUE(dropped.ok()) << dropped.error().message();
  }
  void take(const std::string& name) {
    const auto taken = snapshot("web", name);
    ASSERT_TRUE(taken.ok()) << taken.error().message();
  }
  void checkpoint() {
    ASSERT_TRUE(copy->snapshotter().take({SnapshotClass::kCheckpoint, 0, ""}, at_once).ok());
    ASSERT_TRUE(copy->after_checkpoint().ok());
  }
  void remove(const std::string& name) {
    const Ino web = set("web");
    const auto gone = copy->tree().unlink(web, name);
    ASSERT_TRUE(gone.ok());
    ASSERT_TRUE(copy->tree().release(gone->ino).ok());
  }
  size_t packs() {
    size_t count = 0;
    for (const StoreFile& file : list_store_files(*machine->disk).value().files)
      count += file.file_class == FileClass::kPack ? 1 : 0;
    return count;
  }
  /// By a history and files of its own: what is there for whoever comes next.
  void expect_whole(const std::string& where) {
    const auto report = check();
    ASSERT_TRUE(report.ok()) << where;
    EXPECT_EQ(report->damages, 0u) << where;
    for (const Finding& finding : report->findings)
      if (report->damages > 0) ADD_FAILURE() << where << ": " << line_of(finding);
  }
};

/// Three snapshots: the first alone has "old", the second alone "middle"; "kept" is in all.
inline std::unique_ptr<CollectedSite> site_of_three() {
  auto site = std::make_unique<CollectedSite>(machine_to_collect(1));
  site->open();
  const Ino web = site->set("web");
  site->file(web, "kept", collected_content(1));
  site->commit();
  site->take("zero");
  site->file(web, "old", collected_content(2));
  site->take("one");
  site->remove("old");
  site->file(web, "middle", collected_content(3));
  site->take("two");
  site->remove("middle");
  site->file(web, "new", collected_content(4));
  site->take("three");
  site->checkpoint();
  site->checkpoint();
  return site;
}

}  // namespace varve
