// Goal: who opens a store is changed without data being touched: exactly the secrets that were
// promised open it, also when power goes at any step; and two sites' changes come together.

#include "dedup/key_change.h"

#include <gmock/gmock.h>

#include "dedup/access_folder.h"
#include "dedup/base/checksum.h"
#include "dedup/base/limits.h"
#include "dedup/replaced_keys.h"
#include "tests/dedup/key_world.h"

namespace varve {
namespace {

using testing::HasSubstr;

/// A store that "first" and "second" open.
struct ChangeWorld {
  SimulatedPower power;
  SimulatedStorage storage{&power};
  SeededRandom random{test_seed()};
  StoreConfig config = made();

  StoreConfig made() {
    std::vector<AccessSecret> secrets = just(key_file("first"));
    secrets.push_back(key_file("second"));
    return create_store(storage, sizes_of(32 * kKiB), secrets, random, "now").value().config;
  }
  Result<KeysAfter> change(Storage& where, std::string_view by, const KeyChange& what) {
    return change_keys(where, config, key_file(by), what, random);
  }
  Result<KeysAfter> change(std::string_view by, const KeyChange& what) {
    return change(storage, by, what);
  }
  bool opens(Storage& where, std::string_view secret) {
    return open_keyring(where, config, key_file(secret)).ok();
  }
  bool opens(std::string_view secret) { return opens(storage, secret); }
  SlotId slot(size_t number) {
    return read_generations_in_force(storage, config).value().at(0).generation.slots.at(number).id;
  }
  size_t generations() { return storage.list("keys").value().size(); }
};

KeyChange adding(std::string_view secret) {
  KeyChange change;
  change.add = just(key_file(secret));
  return change;
}

KeyChange removing(const SlotId& slot) {
  KeyChange change;
  change.remove = {slot};
  return change;
}

KeyChange replacing_by(std::string_view secret) {
  KeyChange change = adding(secret);
  change.remove_opener = true;
  return change;
}

KeyChange rotating() {
  KeyChange change;
  change.new_epoch = true;
  return change;
}

void copy_keys(Storage& from, Storage& to) {
  for (const StorageEntry& entry : from.list("keys").value()) {
    const std::string path = "keys/" + entry.name;
    ASSERT_TRUE(write_whole(to, path, read_whole(from, path, kGenerationBytesMax).value()).ok());
  }
}

TEST(ChangeKeys, AddsASecretWithoutTheOthers) {
  ChangeWorld world;
  const KeysAfter after = world.change("first", adding("third")).value();
  EXPECT_EQ(after.generation.number, 2u);
  EXPECT_EQ(after.generation.slots.size(), 3u);
  EXPECT_FALSE(after.others_count);
  for (const char* secret : {"first", "second", "third"})
    EXPECT_TRUE(world.opens(secret)) << secret;
  EXPECT_EQ(world.generations(), 1u);  // what is superseded went
}

TEST(ChangeKeys, WhatEachChangeReplacedIsNotedForRemotes) {
  ChangeWorld world;
  std::vector<FileHash> replaced;
  for (const char* secret : {"third", "fourth"}) {
    replaced.push_back(read_generations_in_force(world.storage, world.config).value().at(0).hash);
    ASSERT_TRUE(world.change("first", adding(secret)).ok());
  }
  EXPECT_EQ(read_replaced_keys(world.storage).value(), replaced);
}

TEST(ChangeKeys, TheKeysThatDataIsUnderStayTheSame) {
  ChangeWorld world;
  const Keyring before = open_keyring(world.storage, world.config, key_file("first")).value();
  ASSERT_TRUE(world.change("first", replacing_by("new")).ok());
  const Keyring after = open_keyring(world.storage, world.config, key_file("new")).value();
  EXPECT_TRUE(std::ranges::equal(before.dedup_secret().view(), after.dedup_secret().view()));
  ASSERT_EQ(after.epochs().size(), 1u);
  EXPECT_TRUE(std::ranges::equal(before.current().key.view(), after.current().key.view()));
}

TEST(ChangeKeys, WhatIsRemovedOpensNothing) {
  ChangeWorld world;
  ASSERT_TRUE(world.change("first", removing(world.slot(1))).ok());
  EXPECT_TRUE(world.opens("first"));
  EXPECT_FALSE(world.opens("second"));
  EXPECT_EQ(world.change("first", removing(SlotId{})).error().code(), Errc::kNotFound);
}

TEST(ChangeKeys, AChangedSecretOpensInPlaceOfTheOld) {
  ChangeWorld world;
  ASSERT_TRUE(world.change("first", replacing_by("new")).ok());
  EXPECT_FALSE(world.opens("first"));
  EXPECT_TRUE(world.opens("new"));
  EXPECT_TRUE(world.opens("second"));
}

TEST(ChangeKeys, TheLastKeyStays) {
  ChangeWorld world;
  ASSERT_TRUE(world.change("first", removing(world.slot(1))).ok());
  const auto refused = world.change("first", removing(world.slot(0)));
  EXPECT_EQ(refused.error().code(), Errc::kInvalid);
  EXPECT_THAT(refused.error().message(), HasSubstr("last key"));
  EXPECT_TRUE(world.opens("first"));
}

TEST(ChangeKeys, AWrongSecretChangesNothing) {
  ChangeWorld world;
  const std::vector<std::string> before = world.storage.files();
  EXPECT_EQ(world.change("wrong", adding("third")).error().code(), Errc::kWrongPassphrase);
  EXPECT_EQ(world.storage.files(), before);
}

TEST(ChangeKeys, ARevokedSecretIsToldFromAWrongOne) {
  ChangeWorld world;
  const auto old = world.storage.copy_of(nullptr);
  ASSERT_TRUE(world.change("first", replacing_by("new")).ok());
  copy_keys(*old, world.storage);  // somebody brings the old generation back
  EXPECT_EQ(world.generations(), 2u);
  const auto revoked = open_keyring(world.storage, world.config, key_file("first"));
  EXPECT_EQ(revoked.error().code(), Errc::kWrongPassphrase);
  EXPECT_THAT(revoked.error().message(), HasSubstr("revoked"));
  const auto wrong = open_keyring(world.storage, world.config, key_file("wrong"));
  EXPECT_THAT(wrong.error().message(), testing::Not(HasSubstr("revoked")));
  EXPECT_TRUE(world.opens("new"));
}

TEST(ChangeKeys, RotationAddsAnEpochThatSigns) {
  ChangeWorld world;
  const Keyring before = open_keyring(world.storage, world.config, key_file("first")).value();
  for (size_t epochs = 2; epochs < 5; epochs++) {
    ASSERT_TRUE(world.change("second", rotating()).ok());
    const Keyring now = open_keyring(world.storage, world.config, key_file("first")).value();
    EXPECT_EQ(now.epochs().size(), epochs);
    EXPECT_NE(now.find(before.current().id), nullptr);
    EXPECT_NE(now.current().id, before.current().id);
    EXPECT_EQ(read_epoch_keys(world.storage, world.config).value().size(), epochs);
  }
}

TEST(ChangeKeys, PowerMayGoAtAnyStep) {
  ChangeWorld world;
  KeyChange change = replacing_by("new");
  change.new_epoch = true;
  for (uint64_t step = 0;; step++) {
    SCOPED_TRACE(step);
    SimulatedPower power;
    const auto disk = world.storage.copy_of(&power);
    power.stop_after(step);
    const bool done = world.change(*disk, "first", change).ok();
    const bool went = power.is_off();
    disk->power_cut(test_seed() + step);
    power.restore();
    const bool old_opens = world.opens(*disk, "first"), new_opens = world.opens(*disk, "new");
    EXPECT_NE(old_opens, new_opens);
    EXPECT_TRUE(world.opens(*disk, "second"));
    EXPECT_TRUE(new_opens || !done);
    // What a cut left behind hinders no further change.
    ASSERT_TRUE(world.change(*disk, "second", adding("third")).ok());
    EXPECT_TRUE(world.opens(*disk, "third"));
    if (!went) break;
  }
}

TEST(ChangeKeys, TwoSitesChangesBothCountUntilSomebodyOpensBoth) {
  ChangeWorld world;
  const auto other = world.storage.copy_of(nullptr);
  const SlotId first = world.slot(0);
  ASSERT_TRUE(world.change("second", removing(first)).ok());
  KeyChange there = adding("third");
  there.new_epoch = true;
  ASSERT_TRUE(world.change(*other, "second", there).ok());
  copy_keys(*other, world.storage);
  EXPECT_EQ(read_generations_in_force(world.storage, world.config).value().size(), 2u);
  EXPECT_TRUE(world.opens("first"));  // by the other site's
  EXPECT_TRUE(world.opens("third"));

  const KeysAfter alone = world.change("third", adding("fourth")).value();
  EXPECT_TRUE(alone.others_count);
  EXPECT_EQ(alone.replaced, 1u);
  const KeysAfter joined = world.change("second", {}).value();
  EXPECT_EQ(joined.replaced, 2u);
  EXPECT_FALSE(joined.others_count);
  EXPECT_EQ(joined.generation.epochs.size(), 2u);
  EXPECT_EQ(world.generations(), 1u);
  EXPECT_TRUE(world.opens("second"));
  for (const char* secret : {"first", "third", "fourth"})
    EXPECT_FALSE(world.opens(secret)) << secret;
}

TEST(ChangeKeys, ASecretThatBothSitesAddedStays) {
  ChangeWorld world;
  const auto other = world.storage.copy_of(nullptr);
  ASSERT_TRUE(world.change("first", replacing_by("shared")).ok());
  ASSERT_TRUE(world.change(*other, "first", replacing_by("shared")).ok());
  copy_keys(*other, world.storage);
  ASSERT_TRUE(world.change("shared", {}).ok());
  EXPECT_TRUE(world.opens("shared"));
  EXPECT_TRUE(world.opens("second"));
  EXPECT_FALSE(world.opens("first"));
}

TEST(ChangeKeys, AtMost64) {
  ChangeWorld world;
  for (size_t i = 2; i < kAccessSlotsMax; i++)
    ASSERT_TRUE(world.change("first", adding("k" + std::to_string(i))).ok());
  EXPECT_EQ(world.change("first", adding("one more")).error().code(), Errc::kInvalid);
  EXPECT_TRUE(world.change("first", replacing_by("new")).ok());
}

}  // namespace
}  // namespace varve
