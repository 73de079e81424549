// Keys of a store without a store: the same for the same seed, one epoch, and they sign.
#pragma once

#include "dedup/keyring.h"
#include "tests/support/simulation.h"

namespace varve {

inline Keyring seeded_keyring(uint64_t seed) {
  SeededRandom random(seed);
  const StoreId store = random.id<StoreId>();
  Secret dedup(kKeyBytes), key(kKeyBytes);
  random.fill(dedup.span());
  random.fill(key.span());
  const PublicKey public_key = signing_public_key(signing_seed(store, key));
  std::vector<Keyring::Epoch> epochs;
  epochs.push_back({random.id<EpochId>(), std::move(key), public_key});
  return Keyring(store, std::move(dedup), std::move(epochs));
}

}  // namespace varve
