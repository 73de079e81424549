// A store and an empty remote, for tests of a pass between the two.
#pragma once

#include <gmock/gmock.h>

#include "replicator/pass.h"
#include "tests/replicator/replication_world.h"

namespace varve {

struct PassTest : testing::Test {
  SimulatedStorage store, remote;
  StoreMaker maker{store};
  RemoteConfig config{"offsite", "/mnt/offsite", {}, "", ""};

  PassTest() {
    SeededRandom random(5);
    config.replica = settle_remote(remote, store, maker.config, random).value();
  }

  /// Two snapshots, a checkpoint that is superseded and its successor, and a pack that no list
  /// names yet.
  void fill() {
    const auto first = maker.pack(10'000), second = maker.pack(5'000);
    const auto tree = maker.pack(700, PackClass::kCatalog);
    const FileHash list = maker.list({}, {first, second, tree});
    maker.snapshot(list);
    const auto old_tree = maker.pack(600, PackClass::kCatalog);
    const FileHash old_list = maker.list({list}, {old_tree});
    old_checkpoint = maker.snapshot(old_list, SnapshotClass::kCheckpoint);
    const auto third = maker.pack(9'000), next_tree = maker.pack(650, PackClass::kCatalog);
    const FileHash next = maker.list({list}, {third, next_tree});
    maker.snapshot(next);
    new_checkpoint = maker.snapshot(next, SnapshotClass::kCheckpoint);
    maker.record();
    maker.pack(3'000);
  }
  PassResult pass(uint64_t seed = 1, bool relist = false) {
    return run_pass(store, remote, maker.config, config, seed, 3, relist);
  }
  bool is_at_remote(FileClass file_class, const FileHash& hash) {
    return remote.exists(path_of({file_class, hash})).value();
  }
  std::unique_ptr<Machines> copy() const {
    auto made = std::make_unique<Machines>();
    made->store = store.copy_of(&made->store_power);
    made->remote = remote.copy_of(&made->remote_power);
    return made;
  }
  PassResult pass(Machines& machines, uint64_t seed) {
    return run_pass(*machines.store, *machines.remote, maker.config, config, seed);
  }
  void expect_complete(Machines& machines, const std::string& what);

  FileHash old_checkpoint, new_checkpoint;
};

inline void PassTest::expect_complete(Machines& machines, const std::string& what) {
  expect_good_store(*machines.remote, maker.config, what);
  const StoreFiles files = list_store_files(*machines.store).value();
  for (const StoreFile& file : files.files) {
    const bool superseded = file.hash == old_checkpoint;
    if (file.file_class == FileClass::kList) continue;  // whole snapshots have theirs
    EXPECT_EQ(machines.remote->exists(path_of(file)).value(), !superseded)
        << what << ": " << path_of(file);
  }
}

}  // namespace varve
