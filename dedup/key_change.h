// Changing who opens a store: each change publishes the next generation of access (docs/format.md
// section 3), whose rename is the switch. No data is touched.
//
// Slots that stay are sealed to by their public halves, so that nobody else's secret is asked for.
// After a crash at any point either what was before opens the store, or what comes after. One
// caller at a time per store: two would make two children of one generation, of which both count.
#pragma once

#include <vector>

#include "dedup/access_generation.h"
#include "dedup/base/storage.h"
#include "dedup/keyring.h"
#include "dedup/store_config.h"

namespace varve {

struct KeyChange {
  std::vector<SlotId> remove;
  bool remove_opener = false;  // the slots that the secret opens
  std::vector<AccessSecret> add;
  bool new_epoch = false;  // what is written from now on is under a new key
};

struct KeysAfter {
  AccessGeneration generation;
  size_t replaced = 0;        // generations
  bool others_count = false;  // generations that the secret does not open are in force beside it
};

/// `secret` opens the store. Where it opens several generations in force, their child has all
/// epochs, and the slots that all of them have, or that are the secret's. Superseded generations
/// are removed, and noted for those who carry files to remotes (replaced_keys.h).
///
/// kWrongPassphrase, kForeign and kCorrupt as open_keyring. kNotFound if a slot to be removed is
/// not there; kInvalid if none would be left, or too many.
Result<KeysAfter> change_keys(Storage& storage, const StoreConfig& config,
                              const AccessSecret& secret, const KeyChange& change, Random& random);

}  // namespace varve
