#include "dedup/key_change.h"

#include <algorithm>
#include <optional>

#include "dedup/access_folder.h"
#include "dedup/access_keyring.h"
#include "dedup/access_slot.h"
#include "dedup/base/checksum.h"
#include "dedup/base/log.h"
#include "dedup/replaced_keys.h"

namespace varve {
namespace {

/// A generation in force that the secret opens.
struct Parent {
  FileHash hash;
  AccessGeneration generation;
  std::vector<SlotId> openers;
};

struct Opened {
  std::vector<Parent> parents;
  std::optional<Keyring> keyring;  // of all of them
  bool others_count = false;
};

std::vector<SlotId> slots_of(const AccessGeneration& generation, const AccessSecret& secret) {
  std::vector<SlotId> found;
  for (const AccessSlot& slot : generation.slots) {
    if (open_slot(slot, secret, {generation.store, generation.number}).ok())
      found.push_back(slot.id);
  }
  return found;
}

Result<Opened> open_parents(Storage& storage, const StoreConfig& config,
                            const AccessSecret& secret) {
  // Says what is wrong where nothing opens.
  VARVE_TRY(open_keyring(storage, config, secret));
  Opened opened;
  for (FoundGeneration& found : VARVE_TRY(read_generations_in_force(storage, config))) {
    Result<DecodedKeyring> decoded = open_generation(found.generation, secret);
    if (!decoded.ok()) {
      opened.others_count = true;
      continue;
    }
    if (!opened.keyring) {
      opened.keyring = std::move(decoded->keyring);
    } else {
      opened.keyring = VARVE_TRY(merge_keyrings(*opened.keyring, decoded->keyring));
    }
    std::vector<SlotId> openers = slots_of(found.generation, secret);
    opened.parents.push_back({found.hash, std::move(found.generation), std::move(openers)});
  }
  if (opened.parents.size() > kParentsMax)
    return Error(Errc::kInvalid, "too many generations of access are in force");
  return opened;
}

bool contains(const std::vector<SlotId>& ids, const SlotId& id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

bool has_slot(const Parent& parent, const AccessSlot& slot) {
  return std::any_of(
      parent.generation.slots.begin(), parent.generation.slots.end(),
      [&](const AccessSlot& s) { return s.id == slot.id && s.public_key == slot.public_key; });
}

/// What one of two sites has removed stays removed; but a secret that opens both stays, though each
/// may have made a slot of its own for it.
std::vector<AccessSlot> common_slots(const std::vector<Parent>& parents) {
  std::vector<AccessSlot> slots;
  for (size_t i = 0; i < parents.size(); i++) {
    for (const AccessSlot& slot : parents[i].generation.slots) {
      const bool known = std::any_of(slots.begin(), slots.end(),
                                     [&](const AccessSlot& s) { return s.id == slot.id; });
      const bool of_all = std::all_of(parents.begin(), parents.end(),
                                      [&](const Parent& p) { return has_slot(p, slot); });
      if (!known && (of_all || contains(parents[i].openers, slot.id))) slots.push_back(slot);
    }
  }
  return slots;
}

Result<std::vector<AccessSlot>> remaining_slots(const std::vector<Parent>& parents,
                                                const KeyChange& change) {
  std::vector<AccessSlot> slots = common_slots(parents);
  const auto remove = [&](const SlotId& id) {
    return std::erase_if(slots, [&](const AccessSlot& slot) { return slot.id == id; }) > 0;
  };
  for (const SlotId& id : change.remove) {
    if (!remove(id)) return Error(Errc::kNotFound, "there is no key " + id.hex());
  }
  for (const Parent& parent : parents) {
    for (const SlotId& id : parent.openers) {
      if (change.remove_opener) remove(id);
    }
  }
  const size_t count = slots.size() + change.add.size();
  if (count == 0) {
    return Error(Errc::kInvalid,
                 "that is the last key of the store, without which nobody could open it: add "
                 "another one first");
  }
  if (count > kAccessSlotsMax)
    return Error(Errc::kInvalid, "a store has at most 64 keys: remove one first");
  return slots;
}

Keyring with_new_epoch(const Keyring& keyring, Random& random) {
  std::vector<Keyring::Epoch> epochs;
  for (const Keyring::Epoch& epoch : keyring.epochs())
    epochs.push_back({epoch.id, Secret::copy_of(epoch.key.view()), epoch.public_key});
  Secret key = random_key(random);
  const PublicKey public_key = signing_public_key(signing_seed(keyring.store_id(), key));
  epochs.push_back({random.id<EpochId>(), std::move(key), public_key});
  return Keyring(keyring.store_id(), Secret::copy_of(keyring.dedup_secret().view()),
                 std::move(epochs));
}

Result<Signature> sign_by(const Keyring& keyring, const EpochId& epoch, ByteView message) {
  const Keyring::Epoch* found = keyring.find(epoch);
  if (found == nullptr) return Error(Errc::kCorrupt, "an epoch's key is missing");
  return sign(signing_seed(keyring.store_id(), found->key), message);
}

class Child {
 public:
  Child(const StoreConfig& config, const std::vector<Parent>& parents, Keyring keyring,
        Random& random)
      : config_(config), keyring_(std::move(keyring)), random_(random), key_(random_key(random)) {
    made_.store = config.store_id;
    for (const Parent& parent : parents) {
      made_.number = std::max(made_.number, parent.generation.number + 1);
      made_.parents.push_back(parent.hash);
    }
    for (const Keyring::Epoch& epoch : keyring_.epochs())
      made_.epochs.push_back({epoch.id, epoch.public_key});
    made_.signer = parents.front().generation.current().id;
  }

  Result<AccessGeneration> make(const std::vector<AccessSlot>& kept,
                                const std::vector<AccessSecret>& added) {
    const SlotBinding binding{made_.store, made_.number};
    for (const AccessSlot& slot : kept)
      made_.slots.push_back(VARVE_TRY(reseal_slot(slot, key_, binding, random_)));
    for (const AccessSecret& secret : added)
      made_.slots.push_back(make_slot(secret, key_, binding, random_));
    made_.sealed_keyring = seal_once(key_, encode_generation_head(made_),
                                     encode_keyring(keyring_, config_.hash).view());
    made_.signature = VARVE_TRY(sign_by(keyring_, made_.signer, encode_generation_unsigned(made_)));
    made_.anchor =
        VARVE_TRY(sign_by(keyring_, config_.first_epoch, encode_generation_unanchored(made_)));
    return made_;
  }

  /// What is about to be published opens, whatever went wrong in this machine's memory.
  Result<void> check(ByteView bytes, const std::vector<AccessSecret>& added) const {
    const AccessGeneration read = VARVE_TRY(decode_generation(bytes));
    VARVE_TRY(unseal_keyring(read, key_));
    for (const AccessSecret& secret : added) VARVE_TRY(open_generation(read, secret));
    return {};
  }

 private:
  const StoreConfig& config_;
  const Keyring keyring_;
  Random& random_;
  const Secret key_;  // this generation's
  AccessGeneration made_;
};

/// Oldest first, each durably: one whose child is gone would count again.
Result<void> remove_superseded(Storage& storage, const StoreConfig& config) {
  const auto superseded = VARVE_TRY(read_superseded_generations(storage, config));
  VARVE_TRY(note_replaced_keys(storage, superseded));
  for (const FileHash& hash : superseded) {
    const Result<void> removed = storage.unlink(std::string(kKeysDirectory) + "/" + hash.hex());
    if (!removed.ok() && removed.error().code() == Errc::kNotFound) continue;
    VARVE_TRY(removed);
    VARVE_TRY(storage.sync_dir(kKeysDirectory));
  }
  return {};
}

}  // namespace

Result<KeysAfter> change_keys(Storage& storage, const StoreConfig& config,
                              const AccessSecret& secret, const KeyChange& change, Random& random) {
  for (const AccessSecret& added : change.add) {
    if (added.bytes.size() == 0) return Error(Errc::kInvalid, "a secret must not be empty");
  }
  Opened opened = VARVE_TRY(open_parents(storage, config, secret));
  const std::vector<AccessSlot> kept = VARVE_TRY(remaining_slots(opened.parents, change));
  if (change.new_epoch && opened.keyring->epochs().size() >= kEpochsMax)
    return Error(Errc::kInvalid, "the store has had as many keys as a store can have");
  Keyring keyring =
      change.new_epoch ? with_new_epoch(*opened.keyring, random) : std::move(*opened.keyring);
  Child child(config, opened.parents, std::move(keyring), random);
  AccessGeneration made = VARVE_TRY(child.make(kept, change.add));
  const Bytes bytes = encode_generation(made);
  VARVE_TRY(child.check(bytes, change.add));
  VARVE_TRY(write_whole(storage, std::string(kKeysDirectory) + "/" + sha256(bytes).hex(), bytes));
  const Result<void> removed = remove_superseded(storage, config);
  if (!removed.ok()) {
    log_warning("a superseded file of keys/ is left over, which opens nothing any more: " +
                removed.error().message());
  }
  return KeysAfter{std::move(made), opened.parents.size(), opened.others_count};
}

}  // namespace varve
