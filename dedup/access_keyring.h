// What a generation of access seals: the keyring, as bytes and back (docs/format.md section 3).
#pragma once

#include "dedup/access_generation.h"
#include "dedup/base/random.h"
#include "dedup/keyring.h"

namespace varve {

struct DecodedKeyring {
  FileHash config_hash;  // of the store.json that it goes with
  Keyring keyring;
};

/// Secret memory all along: no copy of a key is left behind.
Secret encode_keyring(const Keyring& keyring, const FileHash& config_hash);
/// kAuthentication if `key` is not the generation's; kCorrupt if what it opens does not fit the
/// generation.
Result<DecodedKeyring> unseal_keyring(const AccessGeneration& generation, const Secret& key);
/// kWrongPassphrase if no slot is the secret's.
Result<DecodedKeyring> open_generation(const AccessGeneration& generation,
                                       const AccessSecret& secret);

/// All epochs of two generations of one store that both count, the store's first one first.
/// kCorrupt if their dedup secrets differ.
Result<Keyring> merge_keyrings(const Keyring& first, const Keyring& other);

Secret random_key(Random& random);

}  // namespace varve
