// Goal: repairs put right what can be, move aside what is damaged and delete nothing of anybody's;
// what is whole stays as it is.

#include "catalog/repair.h"

#include <gmock/gmock.h>

#include "catalog/schema.h"
#include "dedup/quarantine.h"
#include "tests/catalog/checked_store.h"

namespace varve {
namespace {

struct RepairWorld : CheckedStoreWorld {
  RepairWorld() { fill(); }

  /// Checks, repairs, and gives the report with what was repaired.
  CheckReport repair(bool all, bool read_data = false) {
    CheckReport report = check(read_data).value();
    const auto storage = open_posix_storage(root).value();
    const StoreConfig config = read_store_config(*storage).value();
    const Keyring keyring = open_keyring(*storage, config, secret()).value();
    const auto done = repair_store({*storage, config, keyring, nullptr, {}}, {all, root}, report);
    EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().message());
    repairs = done.ok() ? *done : Repairs();
    return report;
  }
  StoreFile first(FileClass file_class) {
    for (const StoreFile& file : files()) {
      if (file.file_class == file_class) return file;
    }
    ADD_FAILURE();
    return {};
  }
  bool exists(const std::string& path) { return std::filesystem::exists(root + "/" + path); }
  void flip(const std::string& path, size_t at) {
    Bytes bytes = read_file(path);
    bytes.at(at) ^= 1;
    put_file(path, bytes);
  }
  static uint64_t unrepaired(const CheckReport& report) {
    uint64_t count = 0;
    for (const Finding& finding : report.findings) {
      count += finding.is_damage() && !finding.repaired ? 1 : 0;
    }
    return count;
  }

  Repairs repairs;
};

TEST(Repair, NothingIsDoneToAWholeStore) {
  RepairWorld world;
  EXPECT_TRUE(world.repair(true, true).findings.empty());
  EXPECT_EQ(world.repairs.changes, 0u);
  EXPECT_FALSE(world.exists(kQuarantineFolder));
}

TEST(Repair, TemporariesGo) {
  RepairWorld world;
  for (const char* path : {"packs/.tmp-1", "lists/.tmp-2", ".tmp-3"}) world.put_file(path, {1});
  const std::string open = open_pack_path(PackId());
  world.put_file(open, {1, 2});
  EXPECT_EQ(world.repair(false).damages, 0u);
  EXPECT_EQ(world.repairs.changes, 4u);
  for (const char* path : {"packs/.tmp-1", "lists/.tmp-2", ".tmp-3"}) {
    EXPECT_FALSE(world.exists(path)) << path;
  }
  EXPECT_FALSE(world.exists(open));
}

TEST(Repair, ADamagedSnapshotAndAnUnreadablePackGoToTheQuarantineWithAllTheirBytes) {
  RepairWorld world;
  const StoreFile snapshot = world.first(FileClass::kSnapshot),
                  pack = world.first(FileClass::kPack);
  world.flip(path_of(snapshot), 50);
  world.flip(path_of(pack), 60);  // the header: no key of it can be had
  const Bytes damaged_snapshot = world.read_file(path_of(snapshot));
  const Bytes damaged_pack = world.read_file(path_of(pack));
  const std::string snapshot_aside =
      std::string(kQuarantineFolder) + "/snapshots/" + snapshot.hash.hex();
  const std::string pack_aside = std::string(kQuarantineFolder) + "/packs/" + pack.hash.hex();

  world.repair(false);
  EXPECT_FALSE(world.exists(path_of(snapshot)));
  EXPECT_EQ(world.read_file(snapshot_aside), damaged_snapshot);
  EXPECT_TRUE(world.exists(path_of(pack)));  // only where all repairs are asked for

  world.repair(true);
  EXPECT_FALSE(world.exists(path_of(pack)));
  EXPECT_EQ(world.read_file(pack_aside), damaged_pack);
}

TEST(Repair, ChunksThatCannotBeReadAreStoredAnewWhenTheyComeAgain) {
  RepairWorld world;
  StoreFile largest;
  size_t size = 0;
  for (const StoreFile& file : world.files()) {
    if (file.file_class != FileClass::kPack) continue;
    const size_t length = world.read_file(path_of(file)).size();
    if (length > size) largest = file;
    size = std::max(size, length);
  }
  world.flip(path_of(largest), size / 2);
  EXPECT_EQ(world.repair(false, false).damages, 0u);  // nobody has read it
  EXPECT_GT(world.repair(false, true).damages, 0u);
  EXPECT_TRUE(world.exists(path_of(largest)));
  world.open();
  const std::optional<Bytes> big = world.read("web/big"), passwd = world.read("web/etc/passwd");
  EXPECT_TRUE(!big || *big == StoreWorld::content(3, 700'000));
  EXPECT_TRUE(!passwd || *passwd == StoreWorld::content(2, 90'000));
  EXPECT_FALSE(big && passwd);
  world.file(world.set("web"), "big again", StoreWorld::content(3, 700'000));
  world.file(world.set("web"), "passwd again", StoreWorld::content(2, 90'000));
  world.close();
  world.open();
  EXPECT_EQ(world.read("web/big"), StoreWorld::content(3, 700'000));
  EXPECT_EQ(world.read("web/etc/passwd"), StoreWorld::content(2, 90'000));
  world.close();
}

TEST(Repair, ADamagedIndexIsMadeAnew) {
  RepairWorld world;
  for (const auto& entry : std::filesystem::directory_iterator(world.root + "/local/index")) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("run-")) world.flip("local/index/" + name, 4100);
  }
  const CheckReport report = world.repair(false);
  EXPECT_GT(report.damages, 0u);
  EXPECT_EQ(RepairWorld::unrepaired(report), 0u) << lines_of(report);
  EXPECT_EQ(world.check()->damages, 0u);
  world.open();
  EXPECT_EQ(world.read("web/big"), StoreWorld::content(3, 700'000));
  world.close();
}

TEST(Repair, ADatabaseThatContradictsItselfIsMovedAsideOnlyWhereAllRepairsAreAskedFor) {
  RepairWorld world;
  {
    const auto database = open_lmdb_kv(world.root + "/local/db").value();
    KvBatch batch;
    batch[key::symlink(777, 3)] = "x";
    ASSERT_TRUE(database->commit(batch).ok());
  }
  EXPECT_EQ(RepairWorld::unrepaired(world.repair(false)), 1u);
  EXPECT_FALSE(world.repairs.working_copy_refused);
  EXPECT_EQ(RepairWorld::unrepaired(world.repair(true)), 0u);
  EXPECT_TRUE(world.repairs.working_copy_refused);
  world.open();
  EXPECT_EQ(world.read("web/big"), StoreWorld::content(3, 700'000));
  EXPECT_EQ(world.read("db/dump2"), StoreWorld::content(6, 200'000));
  world.close();
  const auto report = world.check();
  EXPECT_EQ(report->damages, 0u) << lines_of(*report);
}

}  // namespace
}  // namespace varve
