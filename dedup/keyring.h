// The keys of a store: the dedup secret, and the epochs' keys; and the generations of access that
// open them.
//
// A Keyring is made once and then only read: any thread. docs/format.md section 3 holds every
// derivation.
#pragma once

#include <optional>
#include <vector>

#include "dedup/base/id.h"
#include "dedup/base/random.h"
#include "dedup/base/secret.h"
#include "dedup/base/storage.h"
#include "dedup/sealer.h"
#include "dedup/store_config.h"

namespace varve {

class Keyring {
 public:
  struct Epoch {
    EpochId id;
    Secret key;
    PublicKey public_key;
  };

  Keyring(StoreId store, Secret dedup_secret, std::vector<Epoch> epochs);

  const StoreId& store_id() const { return store_id_; }
  const Secret& dedup_secret() const { return dedup_secret_; }
  /// What new packs and statements are made under.
  const Epoch& current() const { return epochs_.back(); }
  /// nullptr if these keys do not have it.
  const Epoch* find(const EpochId& id) const;
  const std::vector<Epoch>& epochs() const { return epochs_; }

  /// A key derived from the dedup secret: chunk ids, object ids, gear table.
  Secret dedup_key(std::string_view info, size_t size = kKeyBytes) const;
  /// HKDF(epoch key, salt, info); kAuthentication, naming the epoch, if these keys do not have it.
  Result<Secret> epoch_key(const EpochId& epoch, ByteView salt, ByteView info) const;
  /// Signs by the current epoch.
  Signature sign(ByteView message) const;

 private:
  StoreId store_id_;
  Secret dedup_secret_;
  std::vector<Epoch> epochs_;
};

/// The Ed25519 private key that belongs to an epoch's key.
Secret signing_seed(const StoreId& store, const Secret& epoch_key);

/// What opens a slot.
struct AccessSecret {
  enum class Kind { kPassphrase, kKeyFile, kRecoveryKey };
  Kind kind;
  Secret bytes;
};

/// The recovery key as a person writes it down, and back (kInvalid if the check does not hold).
std::string print_recovery_key(const Secret& key);
Result<Secret> parse_recovery_key(std::string_view text);

struct NewStore {
  StoreConfig config;
  Keyring keyring;
};

/// Makes the directories, the first generation (slots for `secrets`), its epoch and store.json, all
/// synced; store.json is the last file, so that a crash leaves no half store. kExists if there is a
/// store, or anything else, in the way.
Result<NewStore> create_store(Storage& storage, const ChunkerSizes& sizes,
                              const std::vector<AccessSecret>& secrets, Random& random,
                              std::string created);

/// What making any store begins with. kExists if there is one in `storage`, or anything else.
Result<void> check_nothing_in_the_way(Storage& storage);
/// The directories of a store, synced.
Result<void> make_store_folders(Storage& storage);

/// Opens the store's generation(s) in force with `secret`. kWrongPassphrase if no slot opens;
/// kForeign if keys and store.json are of different stores; kCorrupt if no whole generation is
/// there.
Result<Keyring> open_keyring(Storage& storage, const StoreConfig& config,
                             const AccessSecret& secret);

/// Public keys of all epochs, from valid generations alone, without a secret: what a carrier
/// verifies signatures with.
Result<std::vector<std::pair<EpochId, PublicKey>>> read_epoch_keys(Storage& storage,
                                                                   const StoreConfig& config);

}  // namespace varve
