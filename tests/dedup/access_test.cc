// Goal: generations of access supersede each other only by who may sign, hostile ones are refused,
// and slots open for their secret alone.

#include <gmock/gmock.h>

#include "dedup/access_folder.h"
#include "dedup/access_generation.h"
#include "dedup/access_slot.h"
#include "dedup/base/checksum.h"
#include "dedup/base/limits.h"
#include "tests/dedup/key_world.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A store of which the test knows all keys, so that it can publish further generations as later
/// programs will.
struct AccessWorld {
  SimulatedStorage storage;
  SeededRandom random{1};
  NewStore store =
      create_store(storage, sizes_of(32 * kKiB), just(key_file("first")), random, "now").value();
  FileHash first = in_force().at(0);

  std::vector<FileHash> in_force() {
    std::vector<FileHash> hashes;
    const auto found = read_generations_in_force(storage, read_store_config(storage).value());
    if (!found.ok()) return hashes;
    for (const FoundGeneration& generation : *found) hashes.push_back(generation.hash);
    return hashes;
  }

  Keyring::Epoch new_epoch() {
    Secret key(kKeyBytes);
    random.fill(key.span());
    const PublicKey public_key = signing_public_key(signing_seed(store.keyring.store_id(), key));
    return {random.id<EpochId>(), std::move(key), public_key};
  }

  /// The store's keys and those of more epochs.
  Keyring keys_with(const std::vector<const Keyring::Epoch*>& more) {
    std::vector<Keyring::Epoch> epochs;
    auto add = [&](const Keyring::Epoch& epoch) {
      epochs.push_back({epoch.id, Secret::copy_of(epoch.key.view()), epoch.public_key});
    };
    for (const Keyring::Epoch& epoch : store.keyring.epochs()) add(epoch);
    for (const Keyring::Epoch* epoch : more) add(*epoch);
    return Keyring(store.keyring.store_id(), Secret::copy_of(store.keyring.dedup_secret().view()),
                   std::move(epochs));
  }

  Bytes plain_keyring(const Keyring& keyring) {
    Encoder out;
    out.id(keyring.store_id()).id(store.config.hash).raw(keyring.dedup_secret().view());
    out.u16(static_cast<uint16_t>(keyring.epochs().size()));
    for (const Keyring::Epoch& epoch : keyring.epochs()) out.id(epoch.id).raw(epoch.key.view());
    return out.take();
  }

  AccessGeneration generation(const Keyring& keyring, uint64_t number,
                              std::vector<FileHash> parents, const AccessSecret& secret) {
    AccessGeneration made;
    made.store = keyring.store_id();
    made.number = number;
    made.parents = std::move(parents);
    for (const Keyring::Epoch& epoch : keyring.epochs())
      made.epochs.push_back({epoch.id, epoch.public_key});
    Secret key(kKeyBytes);
    random.fill(key.span());
    made.slots.push_back(make_slot(secret, key, {made.store, number}, random));
    made.sealed_keyring = seal_once(key, encode_generation_head(made), plain_keyring(keyring));
    return made;
  }

  void sign_by(AccessGeneration& generation, const Keyring::Epoch& signer) {
    generation.signer = signer.id;
    generation.signature =
        sign(signing_seed(generation.store, signer.key), encode_generation_unsigned(generation));
    anchor(generation);
  }

  void anchor(AccessGeneration& generation) {
    generation.anchor = sign(signing_seed(generation.store, store.keyring.epochs().front().key),
                             encode_generation_unanchored(generation));
  }

  FileHash publish(const AccessGeneration& generation) {
    const Bytes bytes = encode_generation(generation);
    const FileHash hash = sha256(bytes);
    EXPECT_TRUE(write_whole(storage, "keys/" + hash.hex(), bytes).ok());
    return hash;
  }

  FileHash publish_child(const Keyring& keyring, uint64_t number, std::vector<FileHash> parents,
                         const AccessSecret& secret, const Keyring::Epoch& signer) {
    AccessGeneration made = generation(keyring, number, std::move(parents), secret);
    sign_by(made, signer);
    return publish(made);
  }

  Result<Keyring> open(std::string_view secret) {
    return open_keyring(storage, read_store_config(storage).value(), key_file(secret));
  }
  const Keyring::Epoch& first_epoch() { return store.keyring.current(); }
};

TEST(AccessGeneration, CodingIsItsOwnInverseAndRefusesEveryOtherLength) {
  AccessWorld world;
  const Bytes bytes = read_whole(world.storage, "keys/" + world.first.hex(), kMiB).value();
  EXPECT_EQ(encode_generation(decode_generation(bytes).value()), bytes);
  for (size_t length = 0; length < bytes.size(); length++) {
    ASSERT_FALSE(decode_generation(ByteView(bytes).first(length)).ok()) << length;
  }
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(decode_generation(longer).ok());
}

TEST(AccessGeneration, RefusesANewerFormatByName) {
  AccessWorld world;
  Bytes bytes = read_whole(world.storage, "keys/" + world.first.hex(), kMiB).value();
  bytes[8] = 2;
  const auto decoded = decode_generation(bytes);
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.error().code(), Errc::kUnsupported);
  ASSERT_TRUE(write_whole(world.storage, "keys/" + sha256(bytes).hex(), bytes).ok());
  EXPECT_EQ(world.open("first").error().code(), Errc::kUnsupported);
}

TEST(AccessGeneration, RefusesWhatIsBeyondALimit) {
  AccessWorld world;
  auto refused = [&](auto change) {
    AccessGeneration made = world.generation(world.store.keyring, 1, {}, key_file("x"));
    change(made);
    return !decode_generation(encode_generation(made)).ok();
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_TRUE(refused([](auto& g) { g.number = 0; }));
  EXPECT_TRUE(refused([](auto& g) { g.epochs.clear(); }));
  EXPECT_TRUE(refused([](auto& g) { g.epochs.resize(kEpochsMax + 1); }));
  EXPECT_TRUE(refused([](auto& g) { g.parents.resize(kParentsMax + 1); }));
  EXPECT_TRUE(refused([](auto& g) { g.slots.resize(kAccessSlotsMax + 1, g.slots[0]); }));
  EXPECT_TRUE(refused([](auto& g) { g.slots[0].scrypt_log2_n = 1; })) << "of a key file";
  auto scrypt = [](auto& g, uint8_t n, uint32_t r, uint32_t p) {
    g.slots[0].type = SlotType::kPassphrase;
    g.slots[0].scrypt_log2_n = n;
    g.slots[0].scrypt_r = r;
    g.slots[0].scrypt_p = p;
  };
  EXPECT_FALSE(refused([&](auto& g) { scrypt(g, 20, 16, 4); }));
  EXPECT_TRUE(refused([&](auto& g) { scrypt(g, 21, 8, 1); }));
  EXPECT_FALSE(refused([&](auto& g) { scrypt(g, 15, 1, 1); }));
  EXPECT_TRUE(refused([&](auto& g) { scrypt(g, 16, 1, 1); })) << "which no scrypt can compute";
  EXPECT_TRUE(refused([&](auto& g) { scrypt(g, 16, 17, 1); }));
  EXPECT_TRUE(refused([&](auto& g) { scrypt(g, 16, 8, 5); }));
  EXPECT_TRUE(refused([&](auto& g) { scrypt(g, 0, 8, 1); }));
}

TEST(AccessGeneration, SurvivesEveryDamage) {
  AccessWorld world;
  const Bytes bytes = read_whole(world.storage, "keys/" + world.first.hex(), kMiB).value();
  std::mt19937_64 engine(test_seed());
  for (int round = 0; round < 3000; round++) {
    Bytes changed = bytes;
    for (int flips = 0; flips < 3; flips++) {
      changed[engine() % changed.size()] = static_cast<uint8_t>(engine());
    }
    (void)decode_generation(changed);  // the sanitizer is the judge
  }
}

TEST(AccessSlot, OpensForItsSecretStoreAndNumberAlone) {
  SeededRandom random(1);
  Secret key(kKeyBytes);
  random.fill(key.span());
  const SlotBinding binding{random.id<StoreId>(), 7};
  const AccessSlot slot = make_slot(key_file("secret"), key, binding, random);
  const Secret opened = open_slot(slot, key_file("secret"), binding).value();
  EXPECT_TRUE(std::ranges::equal(opened.view(), key.view()));
  EXPECT_EQ(open_slot(slot, key_file("Secret"), binding).error().code(), Errc::kWrongPassphrase);
  EXPECT_EQ(open_slot(slot, key_file("secret"), {binding.store, 8}).error().code(),
            Errc::kAuthentication);
  EXPECT_EQ(open_slot(slot, key_file("secret"), {random.id<StoreId>(), 7}).error().code(),
            Errc::kAuthentication);
}

TEST(AccessSlot, RefusesAPointThatMakesTheSecretKnown) {
  SeededRandom random(1);
  const SlotBinding binding{random.id<StoreId>(), 1};
  AccessSlot slot = make_slot(key_file("secret"), Secret(kKeyBytes), binding, random);
  slot.ephemeral_key.fill(0);
  EXPECT_EQ(open_slot(slot, key_file("secret"), binding).error().code(), Errc::kAuthentication);
}

TEST(AccessFolder, AChildSupersedesItsParent) {
  AccessWorld world;
  const Keyring::Epoch epoch = world.new_epoch();
  const Keyring keys = world.keys_with({&epoch});
  const FileHash child =
      world.publish_child(keys, 2, {world.first}, key_file("second"), world.first_epoch());
  EXPECT_THAT(world.in_force(), ElementsAre(child));
  EXPECT_EQ(world.open("first").error().code(), Errc::kWrongPassphrase);
  const Keyring opened = world.open("second").value();
  EXPECT_EQ(opened.current().id, epoch.id);
  EXPECT_NE(opened.find(world.first_epoch().id), nullptr);
  const auto verifying = read_epoch_keys(world.storage, world.store.config).value();
  EXPECT_EQ(verifying.size(), 2u);

  ASSERT_TRUE(world.storage.unlink("keys/" + world.first.hex()).ok());
  EXPECT_EQ(world.open("second").value().current().id, epoch.id) << "superseded ones are removed";
}

TEST(AccessFolder, ADamagedChildLeavesItsParentInForce) {
  AccessWorld world;
  const FileHash child = world.publish_child(world.store.keyring, 2, {world.first},
                                             key_file("second"), world.first_epoch());
  EXPECT_THAT(world.in_force(), ElementsAre(child));
  ASSERT_TRUE(world.storage.flip_bit("keys/" + child.hex(), 999));
  EXPECT_THAT(world.in_force(), ElementsAre(world.first));
  EXPECT_TRUE(world.open("first").ok());
}

TEST(AccessFolder, TwoChildrenBothCountAndWhoeverOpensBothHasAllEpochs) {
  AccessWorld world;
  const Keyring::Epoch one = world.new_epoch(), two = world.new_epoch();
  const Keyring keys_one = world.keys_with({&one}), keys_two = world.keys_with({&two});
  world.publish_child(keys_one, 2, {world.first}, key_file("both"), world.first_epoch());
  world.publish_child(keys_two, 2, {world.first}, key_file("both"), world.first_epoch());
  EXPECT_EQ(world.in_force().size(), 2u);
  const Keyring opened = world.open("both").value();
  EXPECT_EQ(opened.epochs().size(), 3u);
  EXPECT_EQ(opened.epochs().front().id, world.first_epoch().id);
  EXPECT_NE(opened.find(one.id), nullptr);
  EXPECT_NE(opened.find(two.id), nullptr);
  EXPECT_TRUE(opened.current().id == one.id || opened.current().id == two.id);
}

TEST(AccessFolder, BelievesNobodyWhoMayNotSign) {
  AccessWorld world;
  const Keyring::Epoch evil = world.new_epoch();
  const Keyring keys = world.keys_with({&evil});
  // A child that is signed by the epoch that it brings itself.
  world.publish_child(keys, 2, {world.first}, key_file("evil"), evil);
  // Another first generation.
  world.publish_child(keys, 1, {}, key_file("evil"), evil);
  // A child without the parent's epochs.
  std::vector<Keyring::Epoch> epochs;
  epochs.push_back({evil.id, Secret::copy_of(evil.key.view()), evil.public_key});
  const Keyring alone(keys.store_id(), Secret(kKeyBytes), std::move(epochs));
  world.publish_child(alone, 2, {world.first}, key_file("evil"), evil);
  // Numbers that do not fit.
  world.publish_child(keys, 1, {world.first}, key_file("evil"), world.first_epoch());
  world.publish_child(world.store.keyring, 2, {}, key_file("evil"), world.first_epoch());
  // A signature over something else.
  AccessGeneration changed =
      world.generation(world.store.keyring, 2, {world.first}, key_file("evil"));
  world.sign_by(changed, world.first_epoch());
  changed.slots[0].salt[0] ^= 1;
  world.publish(changed);

  EXPECT_THAT(world.in_force(), ElementsAre(world.first));
  EXPECT_TRUE(world.open("first").ok());
  EXPECT_EQ(world.open("evil").error().code(), Errc::kWrongPassphrase);
}

TEST(AccessFolder, AForgeryWhoseParentIsNotHereOpensNothing) {
  // Without its parent nobody can tell who may sign; but a keyring has to hold the key of the
  // store's first epoch.
  AccessWorld world;
  const Keyring::Epoch evil = world.new_epoch();
  Keyring::Epoch fake = world.new_epoch();
  std::vector<Keyring::Epoch> epochs;
  epochs.push_back({world.first_epoch().id, std::move(fake.key), world.first_epoch().public_key});
  epochs.push_back({evil.id, Secret::copy_of(evil.key.view()), evil.public_key});
  const Keyring keys(world.store.keyring.store_id(), Secret(kKeyBytes), std::move(epochs));
  world.publish_child(keys, 9, {FileHash{}}, key_file("first"), evil);
  EXPECT_EQ(world.in_force().size(), 2u);
  const Keyring opened = world.open("first").value();
  EXPECT_EQ(opened.current().id, world.first_epoch().id);
  EXPECT_EQ(opened.find(evil.id), nullptr);
}

}  // namespace
TEST(AccessFolder, WhoNeverHadAKeyLocksNobodyOut) {
  AccessWorld world;
  // A generation whose parent is not here, signed by an epoch of the forger's own; and a child of
  // it and of the true one.
  const Keyring::Epoch forged_epoch = world.new_epoch();
  const Keyring forged = world.keys_with({&forged_epoch});
  AccessGeneration first = world.generation(forged, 2, {FileHash{{1}}}, key_file("forger"));
  world.sign_by(first, forged_epoch);
  first.anchor =
      sign(signing_seed(first.store, forged_epoch.key), encode_generation_unanchored(first));
  const FileHash first_hash = world.publish(first);
  AccessGeneration second =
      world.generation(forged, 3, {world.first, first_hash}, key_file("forger"));
  world.sign_by(second, forged_epoch);
  second.anchor =
      sign(signing_seed(second.store, forged_epoch.key), encode_generation_unanchored(second));
  world.publish(second);
  EXPECT_TRUE(world.open("first").ok());
}

}  // namespace varve
