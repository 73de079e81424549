// What tests of history share: keys, a simulated disk, and a history on it that can be opened anew.
#pragma once

#include <gtest/gtest.h>

#include "catalog/history.h"
#include "tests/support/simulated_storage.h"
#include "tests/support/simulation.h"

namespace varve {

/// Any bytes of an id type, all the same.
template <typename IdType>
IdType same_bytes(uint8_t byte) {
  IdType id;
  id.bytes.fill(byte);
  return id;
}

/// Keys that sign: one epoch, whose public key fits.
inline Keyring signing_keyring(uint8_t store = 1) {
  const StoreId id = same_bytes<StoreId>(store);
  std::vector<Keyring::Epoch> epochs(1);
  epochs[0].id = same_bytes<EpochId>(3);
  epochs[0].key = Secret::copy_of(Bytes(kKeyBytes, 4));
  epochs[0].public_key =
      signing_public_key(hkdf(epochs[0].key.view(), id.view(), as_bytes("varve/1 signing")));
  return Keyring(id, Secret::copy_of(Bytes(kKeyBytes, 2)), std::move(epochs));
}

inline PackInfo pack_info(uint8_t byte) {
  return {same_bytes<PackId>(byte), same_bytes<FileHash>(byte), uint64_t{1000} + byte,
          PackClass::kData};
}

inline SnapshotTree tree_of(const SetId& set, const std::string& name) {
  SnapshotTree tree;
  tree.set = set;
  tree.set_name = name;
  tree.next_number = 77;
  tree.top.inode.type = FileType::kDirectory;
  tree.top.inode.permissions = 0755;
  tree.top.below = TreeRef{same_bytes<ChunkId>(9), ChunkPlace{same_bytes<PackId>(8), 5}};
  return tree;
}

struct HistoryWorld {
  explicit HistoryWorld(uint64_t seed = 7) : random(seed) {}

  SimulatedStorage storage;
  SimulatedClock clock;
  SeededRandom random;
  Keyring keyring = signing_keyring();
  ReplicaId replica = same_bytes<ReplicaId>(11);
  WriterId writer = same_bytes<WriterId>(21);
  std::unique_ptr<History> history = open();

  std::unique_ptr<History> open() {
    for (const char* folder : {"lists", "snapshots", "records"}) {
      EXPECT_TRUE(storage.make_directories(folder).ok());
    }
    auto opened = History::open(storage, keyring, clock, random, replica);
    EXPECT_TRUE(opened.ok());
    (*opened)->become(writer);
    return std::move(opened).value();
  }
  void reopen() { history = open(); }

  Result<SnapshotInfo> take(const std::string& set_name, const std::string& name,
                            std::vector<FileHash> bases = {}, std::vector<PackInfo> rows = {}) {
    History::NewSnapshot request;
    request.set = set_named(set_name);
    request.body = {name, {tree_of(request.set, set_name)}};
    request.bases = std::move(bases);
    request.rows = std::move(rows);
    clock.advance(1'000'000'000);
    return history->publish_snapshot(request);
  }
  Result<SnapshotInfo> checkpoint(std::vector<FileHash> bases = {}) {
    History::NewSnapshot request;
    request.snapshot_class = SnapshotClass::kCheckpoint;
    request.body = {"", {tree_of({}, "")}};
    request.bases = std::move(bases);
    return history->publish_snapshot(request);
  }
  static SetId set_named(const std::string& name) {
    return same_bytes<SetId>(static_cast<uint8_t>(name.at(0)));
  }
  std::vector<std::string> names(const std::string& set) const {
    std::vector<std::string> result;
    for (const SnapshotInfo& info : history->snapshots_of(set_named(set))) {
      result.push_back(info.name);
    }
    return result;
  }
  size_t files_in(const std::string& folder) {
    auto listed = storage.list(folder);
    return listed.ok() ? listed->size() : 0;
  }
};

}  // namespace varve
