// Goal: a pass removes at the remote what something newer there stands for (checkpoints,
// generations of access, records), that alone, and not before it lies there whole, whatever fails.

#include <gmock/gmock.h>

#include "dedup/access_folder.h"
#include "dedup/replaced_keys.h"
#include "dedup/statement.h"
#include "tests/replicator/pass_world.h"

namespace varve {
namespace {

TEST_F(PassTest, ANewerCheckpointReplacesTheOlderOneThereAndNothingElseGoes) {
  const FileHash list = maker.list({}, {maker.pack(100)});
  const FileHash snapshot = maker.snapshot(list);
  const FileHash before = maker.snapshot(list, SnapshotClass::kCheckpoint);
  ASSERT_TRUE(pass().done.ok());
  EXPECT_TRUE(is_at_remote(FileClass::kSnapshot, before));
  const FileHash after =
      maker.snapshot(maker.list({list}, {maker.pack(200)}), SnapshotClass::kCheckpoint);
  ASSERT_TRUE(store.unlink(path_of({FileClass::kSnapshot, snapshot})).ok());
  ASSERT_TRUE(pass(2).done.ok());
  EXPECT_FALSE(is_at_remote(FileClass::kSnapshot, before));
  EXPECT_TRUE(is_at_remote(FileClass::kSnapshot, after));
  EXPECT_TRUE(is_at_remote(FileClass::kSnapshot, snapshot));
  expect_good_store(remote, maker.config, "after");
}

/// Another generation of access of the store, with the same keys.
FileHash publish_generation(StoreMaker& maker, Storage& storage, uint64_t number,
                            const std::vector<FileHash>& parents) {
  const Keyring& keyring = maker.keyring();
  AccessGeneration made;
  made.store = keyring.store_id();
  made.number = number;
  made.parents = parents;
  made.epochs.push_back({keyring.current().id, keyring.current().public_key});
  AccessSlot slot;
  slot.type = SlotType::kKeyFile;
  slot.id.bytes.fill(static_cast<uint8_t>(storage.list("keys").value().size()));
  made.slots.push_back(slot);
  made.sealed_keyring = Bytes(64, 1);
  made.signer = keyring.current().id;
  made.signature = keyring.sign(encode_generation_unsigned(made));
  made.anchor = keyring.sign(encode_generation_unanchored(made));
  const Bytes bytes = encode_generation(made);
  maker.put({FileClass::kKeys, sha256(bytes)}, bytes);
  return sha256(bytes);
}

struct RotationTest : PassTest {
  FileHash first = read_generations_in_force(store, maker.config).value()[0].hash;
  std::set<FileHash> keys_there(Storage& place) {
    std::set<FileHash> found;
    for (const StoreFile& file : list_store_files(place).value().files) {
      if (file.file_class == FileClass::kKeys) found.insert(file.hash);
    }
    return found;
  }
};

TEST_F(RotationTest, SupersededGenerationsAreRemovedThereAtEveryPowerCut) {
  fill();
  ASSERT_TRUE(pass().done.ok());
  const FileHash second = publish_generation(maker, store, 2, {first});
  ASSERT_TRUE(pass(2).done.ok());
  EXPECT_EQ(keys_there(remote), std::set<FileHash>{second});
  // A seed brings the old one again, and here it is gone; then comes a third.
  ASSERT_TRUE(write_whole(remote, path_of({FileClass::kKeys, first}),
                          read_whole(store, path_of({FileClass::kKeys, first}), 1 << 20).value())
                  .ok());
  ASSERT_TRUE(store.unlink(path_of({FileClass::kKeys, first})).ok());
  const FileHash third = publish_generation(maker, store, 3, {second});
  ASSERT_TRUE(store.unlink(path_of({FileClass::kKeys, second})).ok());
  for (uint64_t cut = 0;; cut++) {
    const auto machines = copy();
    machines->remote_power.stop_after(cut);
    const bool done = pass(*machines, cut).done.ok();
    machines->remote_power.restore();
    machines->remote->power_cut(cut * 7 + 1);
    const auto in_force = read_generations_in_force(*machines->remote, maker.config);
    ASSERT_TRUE(in_force.ok()) << cut;
    ASSERT_EQ(in_force->size(), 1u) << "an old one counts again, cut at " << cut;
    ASSERT_TRUE(pass(*machines, cut + 1).done.ok());
    EXPECT_EQ(keys_there(*machines->remote), std::set<FileHash>{third}) << cut;
    expect_good_store(*machines->remote, maker.config, "rotated");
    if (HasFailure() || done) break;
  }
}

TEST_F(RotationTest, TwoChildrenOfOneParentBothStay) {
  const auto other_site = store.copy_of(nullptr);
  ASSERT_TRUE(pass().done.ok());
  const FileHash ours = publish_generation(maker, store, 2, {first});
  maker.go_on_with(*other_site);
  const FileHash theirs = publish_generation(maker, *other_site, 2, {first, first});
  maker.go_on_with(store);
  ASSERT_TRUE(remote.exists("keys").value());
  ASSERT_TRUE(
      write_whole(remote, path_of({FileClass::kKeys, theirs}),
                  read_whole(*other_site, path_of({FileClass::kKeys, theirs}), 1 << 20).value())
          .ok());
  ASSERT_TRUE(pass(2).done.ok());
  EXPECT_EQ(keys_there(remote), (std::set<FileHash>{ours, theirs}));
}

TEST_F(RotationTest, NothingIsRemovedWhereWhatSupersedesItIsDamagedThere) {
  fill();
  ASSERT_TRUE(pass().done.ok());
  const FileHash second = publish_generation(maker, store, 2, {first});
  // It lies there by cp already, with a bit turned.
  const std::string path = path_of({FileClass::kKeys, second});
  ASSERT_TRUE(write_whole(remote, path, read_whole(store, path, 1 << 20).value()).ok());
  ASSERT_TRUE(remote.flip_bit(path, 900));
  ASSERT_TRUE(pass(2).done.ok());
  EXPECT_TRUE(keys_there(remote).contains(first));
}

/// The remote has the first generation; two changes later the third is in force here, and names
/// none that the remote has.
struct MissedChangeTest : RotationTest {
  FileHash third;

  MissedChangeTest() {
    fill();
    EXPECT_TRUE(pass().done.ok());
    const FileHash second = publish_generation(maker, store, 2, {first});
    third = publish_generation(maker, store, 3, {second});
    for (const FileHash& replaced : {first, second})
      EXPECT_TRUE(store.unlink(path_of({FileClass::kKeys, replaced})).ok());
    EXPECT_TRUE(note_replaced_keys(store, {first, second}).ok());
  }
  /// The first may be there or not, but never gone before the third is there whole.
  void expect_that_one_opens(Storage& place, const std::string& what) {
    const auto in_force = read_generations_in_force(place, maker.config);
    ASSERT_TRUE(in_force.ok()) << what;
    std::set<FileHash> opens;
    for (const FoundGeneration& found : *in_force) opens.insert(found.hash);
    EXPECT_TRUE(opens.contains(first) || opens.contains(third)) << what;
  }
};

TEST_F(MissedChangeTest, WhatWasReplacedGoesAndOneThatOpensStaysAtEveryPowerCut) {
  for (uint64_t cut = 0;; cut++) {
    const auto machines = copy();
    machines->remote_power.stop_after(cut);
    const bool done = pass(*machines, cut).done.ok();
    machines->remote_power.restore();
    machines->remote->power_cut(cut * 11 + 3);
    expect_that_one_opens(*machines->remote, "cut at " + std::to_string(cut));
    ASSERT_TRUE(pass(*machines, cut + 1).done.ok());
    EXPECT_EQ(keys_there(*machines->remote), std::set<FileHash>{third}) << cut;
    if (HasFailure() || done) break;
  }
}

TEST_F(MissedChangeTest, OneThatOpensStaysWhereSendingKeysFails) {
  for (const bool write : {true, false}) {
    uint64_t nth = 1;
    for (bool failed = true; failed; nth++) {
      const auto machines = copy();
      if (write) machines->remote->fail_write(nth);
      if (!write) machines->remote->fail_sync(nth);
      failed = !pass(*machines, nth).done.ok();
      const std::string what = (write ? "write " : "sync ") + std::to_string(nth);
      expect_that_one_opens(*machines->remote, what);
      if (!failed) break;  // it has fewer than that
      machines->remote->power_cut(nth);
      expect_that_one_opens(*machines->remote, what + ", then a power cut");
      ASSERT_TRUE(pass(*machines, nth + 1).done.ok()) << what;
      EXPECT_EQ(keys_there(*machines->remote), std::set<FileHash>{third}) << what;
    }
    EXPECT_GT(nth, 1u) << "nothing failed";
  }
}

TEST_F(MissedChangeTest, NothingGoesWhereWhatStandsForItIsDamagedThere) {
  const std::string path = path_of({FileClass::kKeys, third});
  ASSERT_TRUE(write_whole(remote, path, read_whole(store, path, 1 << 20).value()).ok());
  ASSERT_TRUE(remote.flip_bit(path, 900));
  ASSERT_TRUE(pass(2).done.ok());
  EXPECT_TRUE(keys_there(remote).contains(first));
}

TEST_F(PassTest, RecordsThatABaseStandsForAreRemovedThereWhenItIsThere) {
  fill();
  const FileHash snapshot = maker.snapshot(maker.list({}, {maker.pack(100)}));
  const Statement lock = lock_statement(snapshot, 5000);
  const FileHash locks = maker.record({lock});
  const uint64_t locked_at = maker.sequence();
  const FileHash unsaid = maker.record({lock_statement(snapshot, 6000)});
  ASSERT_TRUE(pass().done.ok());
  // The base forgets what the later record says: then that stays.
  const FileHash base = maker.base({{locked_at, lock}});
  for (const FileHash& record : {locks, unsaid})
    ASSERT_TRUE(store.unlink(path_of({FileClass::kRecord, record})).ok());
  for (uint64_t cut = 0;; cut++) {
    const auto machines = copy();
    machines->remote_power.stop_after(cut);
    const bool done = pass(*machines, cut).done.ok();
    machines->remote_power.restore();
    machines->remote->power_cut(cut * 13 + 5);
    const auto there = [&](const FileHash& record) {
      return machines->remote->exists(path_of({FileClass::kRecord, record})).value();
    };
    EXPECT_TRUE(there(locks) || there(base)) << "nothing says the lock, cut at " << cut;
    EXPECT_TRUE(there(unsaid)) << cut;
    if (done) {
      EXPECT_FALSE(there(locks));
    }
    if (HasFailure() || done) break;
  }
}

}  // namespace
}  // namespace varve
