// How a keyring is made, sealed into keys/ and opened again.

#include <algorithm>
#include <optional>

#include "dedup/access_folder.h"
#include "dedup/access_keyring.h"
#include "dedup/access_slot.h"
#include "dedup/base/checksum.h"
#include "dedup/base/log.h"
#include "dedup/keyring.h"

namespace varve {
namespace {

constexpr const char* kDirectories[] = {"keys",      "packs",   "catalog", "lists",
                                        "snapshots", "records", "replica", "local"};

Keyring make_keyring(Random& random) {
  const StoreId store = random.id<StoreId>();
  std::vector<Keyring::Epoch> epochs;
  Secret key = random_key(random);
  const PublicKey public_key = signing_public_key(signing_seed(store, key));
  epochs.push_back({random.id<EpochId>(), std::move(key), public_key});
  return Keyring(store, random_key(random), std::move(epochs));
}

AccessGeneration make_first_generation(const NewStore& store,
                                       const std::vector<AccessSecret>& secrets, Random& random) {
  const Keyring& keyring = store.keyring;
  AccessGeneration generation;
  generation.store = keyring.store_id();
  generation.number = 1;
  generation.epochs = {{keyring.current().id, keyring.current().public_key}};
  const Secret generation_key = random_key(random);
  for (const AccessSecret& secret : secrets) {
    generation.slots.push_back(
        make_slot(secret, generation_key, {generation.store, generation.number}, random));
  }
  generation.sealed_keyring = seal_once(generation_key, encode_generation_head(generation),
                                        encode_keyring(keyring, store.config.hash).view());
  generation.signer = keyring.current().id;
  generation.signature = keyring.sign(encode_generation_unsigned(generation));
  return generation;
}

Result<void> check_secrets(const std::vector<AccessSecret>& secrets) {
  if (secrets.empty() || secrets.size() > kAccessSlotsMax) {
    return Error(Errc::kInvalid, "a store needs one secret at least, and at most 64");
  }
  for (const AccessSecret& secret : secrets) {
    if (secret.bytes.size() == 0) return Error(Errc::kInvalid, "a secret must not be empty");
  }
  return {};
}

/// Whether `secret` opened a generation that is superseded and still here.
Result<bool> was_revoked(Storage& storage, const StoreConfig& config, const AccessSecret& secret) {
  for (const FileHash& hash : VARVE_TRY(read_superseded_generations(storage, config))) {
    const Result<Bytes> bytes =
        read_whole(storage, std::string(kKeysDirectory) + "/" + hash.hex(), kGenerationBytesMax);
    if (!bytes.ok() || sha256(*bytes) != hash) continue;
    const Result<AccessGeneration> generation = decode_generation(*bytes);
    if (generation.ok() && open_generation(*generation, secret).ok()) return true;
  }
  return false;
}

}  // namespace

Result<void> check_nothing_in_the_way(Storage& storage) {
  if (VARVE_TRY(storage.exists(kStoreConfigPath))) {
    return Error(Errc::kExists, "there is a varve store already");
  }
  for (const StorageEntry& entry : VARVE_TRY(storage.list(""))) {
    if (entry.name == "lost+found") continue;
    return Error(Errc::kExists, "the directory is not empty: \"" + entry.name + "\" is in the way");
  }
  return {};
}

Result<void> make_store_folders(Storage& storage) {
  for (const char* directory : kDirectories) {
    VARVE_TRY(storage.make_directories(directory));
    VARVE_TRY(storage.sync_dir(directory));
  }
  return storage.sync_dir("");
}

Result<NewStore> create_store(Storage& storage, const ChunkerSizes& sizes,
                              const std::vector<AccessSecret>& secrets, Random& random,
                              std::string created) {
  VARVE_TRY(check_secrets(secrets));
  VARVE_TRY(check_nothing_in_the_way(storage));
  NewStore store{{}, make_keyring(random)};
  store.config.store_id = store.keyring.store_id();
  store.config.created = std::move(created);
  store.config.chunker = sizes;
  store.config.first_epoch = store.keyring.current().id;
  store.config.first_public_key = store.keyring.current().public_key;
  const std::string config = encode_store_config(store.config);
  store.config.hash = sha256(as_bytes(config));

  const Bytes generation = encode_generation(make_first_generation(store, secrets, random));
  VARVE_TRY(make_store_folders(storage));
  VARVE_TRY(write_whole(storage, std::string(kKeysDirectory) + "/" + sha256(generation).hex(),
                        generation));
  VARVE_TRY(write_whole(storage, kStoreConfigPath, as_bytes(config)));
  return store;
}

Result<Keyring> open_keyring(Storage& storage, const StoreConfig& config,
                             const AccessSecret& secret) {
  std::optional<Keyring> keyring;
  std::optional<Error> damage;
  for (const FoundGeneration& found : VARVE_TRY(read_generations_in_force(storage, config))) {
    Result<DecodedKeyring> opened = open_generation(found.generation, secret);
    if (!opened.ok()) {
      if (opened.error().code() == Errc::kWrongPassphrase) continue;
      log_warning("keys/" + found.hash.hex() + " does not open: " + opened.error().message());
      damage = std::move(opened).error();
    } else if (opened->config_hash != config.hash) {
      return Error(
          Errc::kForeign,
          "store.json is not the one that the keys were made with; it is the same at every "
          "replica of the store: copy it from one, or from where it was kept");
    } else if (keyring) {
      keyring = VARVE_TRY(merge_keyrings(*keyring, opened->keyring));
    } else {
      keyring = std::move(opened->keyring);
    }
  }
  if (keyring) return std::move(*keyring);
  if (damage) return Error(Errc::kCorrupt, "no generation of access is whole");
  if (VARVE_TRY(was_revoked(storage, config, secret))) {
    return Error(Errc::kWrongPassphrase,
                 "this passphrase or key was revoked: it opened the store before its keys were "
                 "changed");
  }
  return Error(Errc::kWrongPassphrase, secret.kind == AccessSecret::Kind::kPassphrase
                                           ? "wrong passphrase"
                                           : "the key does not open this store");
}

Result<std::vector<std::pair<EpochId, PublicKey>>> read_epoch_keys(Storage& storage,
                                                                   const StoreConfig& config) {
  std::vector<std::pair<EpochId, PublicKey>> keys;
  for (const FoundGeneration& found : VARVE_TRY(read_generations_in_force(storage, config))) {
    for (const EpochEntry& epoch : found.generation.epochs) {
      const std::pair<EpochId, PublicKey> key{epoch.id, epoch.public_key};
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  }
  return keys;
}

}  // namespace varve
