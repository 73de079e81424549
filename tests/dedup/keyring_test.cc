// Goal: a store is made whole or not at all, opens with its secrets and with no other, and says
// clearly what is wrong.

#include "dedup/keyring.h"

#include <gmock/gmock.h>

#include "dedup/access_generation.h"
#include "dedup/base/checksum.h"
#include "dedup/base/limits.h"
#include "tests/dedup/key_world.h"

namespace varve {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

constexpr const char* kCreated = "2026-11-22T05:30:00Z";

Result<NewStore> create(Storage& storage, std::vector<AccessSecret> secrets, uint64_t seed = 1) {
  SeededRandom random(seed);
  return create_store(storage, sizes_of(32 * kKiB), secrets, random, kCreated);
}

Result<Keyring> open(Storage& storage, const AccessSecret& secret) {
  return open_keyring(storage, VARVE_TRY(read_store_config(storage)), secret);
}

bool same_keys(const Keyring& one, const Keyring& two) {
  return one.store_id() == two.store_id() &&
         std::ranges::equal(one.dedup_secret().view(), two.dedup_secret().view()) &&
         one.epochs().size() == two.epochs().size() && one.current().id == two.current().id &&
         std::ranges::equal(one.current().key.view(), two.current().key.view()) &&
         one.current().public_key == two.current().public_key;
}

std::string only_generation(Storage& storage) {
  const auto entries = storage.list("keys").value();
  EXPECT_EQ(entries.size(), 1u);
  return "keys/" + entries.at(0).name;
}

void replace(Storage& storage, const std::string& path, ByteView bytes) {
  ASSERT_TRUE(write_whole(storage, path, bytes).ok());
}

void copy(Storage& from, const std::string& path, Storage& to) {
  replace(to, path, read_whole(from, path, kMiB).value());
}

TEST(CreateStore, MakesAStoreThatOpensWithEachOfItsSecrets) {
  SimulatedStorage storage;
  std::vector<AccessSecret> secrets;
  secrets.push_back(passphrase("open sesame"));
  secrets.push_back(key_file("content of a key file"));
  Secret recovery(kKeyBytes);
  SeededRandom(3).fill(recovery.span());
  secrets.push_back({AccessSecret::Kind::kRecoveryKey, Secret::copy_of(recovery.view())});
  const NewStore made = create(storage, std::move(secrets)).value();

  for (const char* folder :
       {"keys", "packs", "catalog", "lists", "snapshots", "records", "replica", "local"}) {
    EXPECT_TRUE(storage.list(folder).ok()) << folder;
  }
  const StoreConfig config = read_store_config(storage).value();
  EXPECT_EQ(config.store_id, made.config.store_id);
  EXPECT_EQ(config.hash, made.config.hash);
  EXPECT_EQ(config.created, kCreated);
  EXPECT_TRUE(same_keys(open(storage, passphrase("open sesame")).value(), made.keyring));
  EXPECT_TRUE(same_keys(open(storage, key_file("content of a key file")).value(), made.keyring));
  EXPECT_TRUE(
      same_keys(open(storage, {AccessSecret::Kind::kRecoveryKey, std::move(recovery)}).value(),
                made.keyring));
}

TEST(CreateStore, RefusesAWrongPassphraseByName) {
  SimulatedStorage storage;
  ASSERT_TRUE(create(storage, just(passphrase("open sesame"))).ok());
  const auto opened = open(storage, passphrase("open sesame "));
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), Errc::kWrongPassphrase);
  EXPECT_EQ(opened.error().message(), "wrong passphrase");
}

TEST(CreateStore, RefusesASecretOfAnotherKind) {
  SimulatedStorage storage;
  ASSERT_TRUE(create(storage, just(key_file("secret"))).ok());
  EXPECT_EQ(open(storage, passphrase("secret")).error().code(), Errc::kWrongPassphrase);
  EXPECT_EQ(open(storage, {AccessSecret::Kind::kRecoveryKey, secret_of("secret")}).error().code(),
            Errc::kWrongPassphrase);
  EXPECT_EQ(open(storage, key_file("")).error().code(), Errc::kWrongPassphrase);
}

TEST(CreateStore, NeedsASecretThatIsNotEmpty) {
  SimulatedStorage storage;
  EXPECT_EQ(create(storage, {}).error().code(), Errc::kInvalid);
  EXPECT_EQ(create(storage, just(passphrase(""))).error().code(), Errc::kInvalid);
  EXPECT_TRUE(storage.list("").value().empty());
}

TEST(CreateStore, LeavesWhatIsThereAlone) {
  SimulatedStorage store;
  ASSERT_TRUE(create(store, just(key_file("k"))).ok());
  const auto files = store.files();
  const auto again = create(store, just(key_file("k")), 2);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code(), Errc::kExists);
  EXPECT_THAT(again.error().message(), HasSubstr("already"));
  EXPECT_EQ(store.files(), files);

  SimulatedStorage full;
  replace(full, "precious", as_bytes("data"));
  const auto refused = create(full, just(key_file("k")));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Errc::kExists);
  EXPECT_THAT(refused.error().message(), HasSubstr("\"precious\" is in the way"));

  SimulatedStorage disk;
  ASSERT_TRUE(disk.make_directories("lost+found").ok());
  EXPECT_TRUE(create(disk, just(key_file("k"))).ok());
}

TEST(CreateStore, IsWholeOrNotThereWhereverThePowerGoes) {
  SimulatedPower counted;
  SimulatedStorage whole(&counted);
  ASSERT_TRUE(create(whole, just(key_file("k"))).ok());
  const uint64_t effects = counted.effects();
  ASSERT_GT(effects, 10u);
  for (uint64_t at = 0; at <= effects; at++) {
    for (uint64_t seed = 0; seed < 6; seed++) {
      SimulatedPower power;
      SimulatedStorage storage(&power);
      power.stop_after(at);
      const bool made = create(storage, just(key_file("k"))).ok();
      storage.power_cut(seed);
      power.restore();
      const auto config = read_store_config(storage);
      if (!config.ok()) {
        // No store yet, or one that got as far as its keys.
        ASSERT_THAT(config.error().code(), AnyOf(Errc::kNotFound, Errc::kCorrupt))
            << "power went at " << at;
        ASSERT_FALSE(made) << "a store that was made is gone; power went at " << at;
        continue;
      }
      ASSERT_TRUE(open_keyring(storage, *config, key_file("k")).ok()) << "power went at " << at;
      ASSERT_TRUE(storage.list("packs").ok() && storage.list("records").ok());
    }
  }
}

TEST(CreateStore, ReportsAFullDiskAndLeavesNoStore) {
  SimulatedStorage storage;
  storage.set_capacity(300);
  const auto made = create(storage, just(key_file("k")));
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code(), Errc::kNoSpace);
  EXPECT_EQ(read_store_config(storage).error().code(), Errc::kNotFound);
}

TEST(OpenKeyring, RefusesAForeignStoreConfig) {
  SimulatedStorage storage, other;
  ASSERT_TRUE(create(storage, just(key_file("k")), 1).ok());
  ASSERT_TRUE(create(other, just(key_file("k")), 2).ok());
  copy(other, "store.json", storage);
  const auto opened = open(storage, key_file("k"));
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), Errc::kForeign);
  EXPECT_THAT(opened.error().message(), HasSubstr("different stores"));
}

TEST(OpenKeyring, RefusesAStoreConfigThatWasChanged) {
  SimulatedStorage storage;
  const NewStore made = create(storage, just(key_file("k"))).value();
  StoreConfig changed = made.config;
  changed.chunker = sizes_of(128 * kKiB);
  replace(storage, "store.json", as_bytes(encode_store_config(changed)));
  EXPECT_EQ(open(storage, key_file("k")).error().code(), Errc::kForeign);

  changed = made.config;
  changed.first_public_key[0] ^= 1;
  replace(storage, "store.json", as_bytes(encode_store_config(changed)));
  EXPECT_EQ(open(storage, key_file("k")).error().code(), Errc::kForeign);

  replace(storage, "store.json", as_bytes(encode_store_config(made.config)));
  EXPECT_TRUE(open(storage, key_file("k")).ok());
}

TEST(OpenKeyring, CountsDamagedGenerationsAsAbsent) {
  SimulatedStorage storage;
  ASSERT_TRUE(create(storage, just(key_file("k"))).ok());
  const std::string path = only_generation(storage);
  for (uint64_t bit = 0; bit < 8 * 400; bit += 101) {
    ASSERT_TRUE(storage.flip_bit(path, bit));
    const auto opened = open(storage, key_file("k"));
    ASSERT_FALSE(opened.ok());
    ASSERT_EQ(opened.error().code(), Errc::kCorrupt) << bit;
    storage.repair_all();
  }
  replace(storage, path, Bytes(kMiB));
  EXPECT_EQ(open(storage, key_file("k")).error().code(), Errc::kCorrupt);
  ASSERT_TRUE(storage.unlink(path).ok());
  EXPECT_EQ(open(storage, key_file("k")).error().code(), Errc::kCorrupt);
}

TEST(OpenKeyring, PassesOverWhatElseLiesInTheFolder) {
  SimulatedStorage storage, other;
  ASSERT_TRUE(create(storage, just(key_file("k")), 1).ok());
  ASSERT_TRUE(create(other, just(key_file("k")), 2).ok());
  replace(storage, "keys/README", as_bytes("hello"));
  replace(storage, "keys/.tmp-0123", as_bytes("cut off"));
  replace(storage, "keys/" + std::string(64, 'a'), as_bytes("damaged"));
  replace(storage, "keys/" + sha256(as_bytes("junk")).hex(), as_bytes("junk"));
  copy(other, only_generation(other), storage);
  EXPECT_TRUE(open(storage, key_file("k")).ok());
}

TEST(OpenKeyring, ReportsAnIoErrorAsSuch) {
  SimulatedStorage storage;
  const NewStore made = create(storage, just(key_file("k"))).value();
  storage.fail_read(1);
  EXPECT_EQ(open_keyring(storage, made.config, key_file("k")).error().code(), Errc::kIo);
}

TEST(ReadEpochKeys, NeedsNoSecretAndVerifiesSignatures) {
  SimulatedStorage storage;
  const NewStore made = create(storage, just(key_file("k"))).value();
  const auto keys = read_epoch_keys(storage, made.config).value();
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_EQ(keys[0].first, made.keyring.current().id);
  const Signature signature = made.keyring.sign(as_bytes("a statement"));
  EXPECT_TRUE(verify_signature(keys[0].second, as_bytes("a statement"), signature));
}

TEST(Keyring, DerivesKeysAsTheFormatSays) {
  const Keyring keyring = seeded_keyring(4);
  const EpochId epoch = keyring.current().id;
  EXPECT_TRUE(std::ranges::equal(
      keyring.dedup_key("varve/1 chunk id").view(),
      hkdf(keyring.dedup_secret().view(), keyring.store_id().view(), as_bytes("varve/1 chunk id"))
          .view()));
  EXPECT_TRUE(std::ranges::equal(
      keyring.epoch_key(epoch, Bytes(16, 1), as_bytes("info")).value().view(),
      hkdf(keyring.current().key.view(), Bytes(16, 1), as_bytes("info")).view()));
  const auto unknown = keyring.epoch_key(EpochId{}, {}, as_bytes("info"));
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code(), Errc::kAuthentication);
  EXPECT_THAT(unknown.error().message(), HasSubstr(EpochId{}.hex()));
}

}  // namespace
}  // namespace varve
