// How a keyring is made, sealed into keys/ and opened again.

#include <algorithm>
#include <optional>

#include "dedup/access_folder.h"
#include "dedup/access_slot.h"
#include "dedup/base/checksum.h"
#include "dedup/base/log.h"
#include "dedup/crypto_check.h"
#include "dedup/keyring.h"

namespace varve {
namespace {

constexpr const char* kDirectories[] = {"keys",      "packs",   "catalog", "lists",
                                        "snapshots", "records", "replica", "local"};

/// Appends to secret memory of a size that is known beforehand, so that no copy is left behind.
class SecretWriter {
 public:
  explicit SecretWriter(size_t size) : memory_(size) {}
  SecretWriter& raw(ByteView bytes) {
    require_crypto(at_ + bytes.size() <= memory_.size(), "a keyring's length");
    std::copy(bytes.begin(), bytes.end(), memory_.span().begin() + static_cast<ptrdiff_t>(at_));
    at_ += bytes.size();
    return *this;
  }
  Secret take() { return std::move(memory_); }

 private:
  Secret memory_;
  size_t at_ = 0;
};

Secret encode_keyring(const Keyring& keyring, const FileHash& config_hash) {
  const size_t count = keyring.epochs().size();
  SecretWriter out(StoreId::kSize + FileHash::kSize + kKeyBytes + 2 +
                   count * (EpochId::kSize + kKeyBytes));
  const uint8_t count_bytes[] = {static_cast<uint8_t>(count), static_cast<uint8_t>(count >> 8)};
  out.raw(keyring.store_id().view()).raw(config_hash.view());
  out.raw(keyring.dedup_secret().view()).raw(count_bytes);
  for (const Keyring::Epoch& epoch : keyring.epochs()) {
    out.raw(epoch.id.view()).raw(epoch.key.view());
  }
  return out.take();
}

struct DecodedKeyring {
  FileHash config_hash;
  Keyring keyring;
};

/// The keyring, if its epochs are those that the generation lists, in its order, and each key gives
/// the public key there.
Result<DecodedKeyring> decode_keyring(ByteView plain, const AccessGeneration& generation) {
  Decoder in(plain);
  if (in.id<StoreId>() != generation.store) in.fail();
  const FileHash config_hash = in.id<FileHash>();
  Secret dedup_secret = Secret::copy_of(in.raw(kKeyBytes));
  if (in.u16() != generation.epochs.size()) in.fail();
  std::vector<Keyring::Epoch> epochs;
  for (const EpochEntry& entry : generation.epochs) {
    const EpochId id = in.id<EpochId>();
    Secret key = Secret::copy_of(in.raw(kKeyBytes));
    if (in.failed() || id != entry.id ||
        signing_public_key(signing_seed(generation.store, key)) != entry.public_key) {
      return Error(Errc::kCorrupt, "a keyring does not fit its generation of access");
    }
    epochs.push_back({id, std::move(key), entry.public_key});
  }
  VARVE_TRY(in.finish("keyring"));
  return DecodedKeyring{config_hash,
                        Keyring(generation.store, std::move(dedup_secret), std::move(epochs))};
}

Result<DecodedKeyring> unseal_keyring(const AccessGeneration& generation, const Secret& key) {
  if (generation.sealed_keyring.size() < kTagBytes) {
    return Error(Errc::kCorrupt, "a generation of access without a keyring");
  }
  Secret plain(generation.sealed_keyring.size() - kTagBytes);
  VARVE_TRY(Sealer(key).open(0, encode_generation_head(generation), generation.sealed_keyring,
                             plain.span()));
  return decode_keyring(plain.view(), generation);
}

/// kWrongPassphrase if no slot is the secret's.
Result<DecodedKeyring> open_generation(const AccessGeneration& generation,
                                       const AccessSecret& secret) {
  for (const AccessSlot& slot : generation.slots) {
    Result<Secret> key = open_slot(slot, secret, {generation.store, generation.number});
    if (key.ok()) return unseal_keyring(generation, *key);
    if (key.error().code() != Errc::kWrongPassphrase) return std::move(key).error();
  }
  return Errc::kWrongPassphrase;
}

/// Two sites may each have added an epoch: whoever opens both generations has all of them. The
/// first one's current epoch stays current.
Result<Keyring> merge(Keyring first, const Keyring& other) {
  if (!std::ranges::equal(first.dedup_secret().view(), other.dedup_secret().view())) {
    return Error(Errc::kCorrupt, "two generations of access hold different keys");
  }
  std::vector<Keyring::Epoch> epochs;
  auto add = [&](const Keyring::Epoch& epoch) {
    const bool known = std::any_of(epochs.begin(), epochs.end(),
                                   [&](const Keyring::Epoch& e) { return e.id == epoch.id; });
    if (!known) epochs.push_back({epoch.id, Secret::copy_of(epoch.key.view()), epoch.public_key});
  };
  for (const Keyring::Epoch& epoch : other.epochs()) {
    if (epoch.id != first.current().id) add(epoch);
  }
  for (const Keyring::Epoch& epoch : first.epochs()) add(epoch);
  return Keyring(first.store_id(), Secret::copy_of(first.dedup_secret().view()), std::move(epochs));
}

Secret random_key(Random& random) {
  Secret key(kKeyBytes);
  random.fill(key.span());
  return key;
}

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
      keyring = VARVE_TRY(merge(std::move(*keyring), opened->keyring));
    } else {
      keyring = std::move(opened->keyring);
    }
  }
  if (keyring) return std::move(*keyring);
  if (damage) return Error(Errc::kCorrupt, "no generation of access is whole");
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
