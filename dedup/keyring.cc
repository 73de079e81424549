#include "dedup/keyring.h"

#include <algorithm>

#include "dedup/crypto_check.h"

namespace varve {

Keyring::Keyring(StoreId store, Secret dedup_secret, std::vector<Epoch> epochs)
    : store_id_(store), dedup_secret_(std::move(dedup_secret)), epochs_(std::move(epochs)) {
  require_crypto(!epochs_.empty(), "a keyring without an epoch");
}

const Keyring::Epoch* Keyring::find(const EpochId& id) const {
  // Epochs are few, and the newest is asked for most.
  const auto found = std::find_if(epochs_.rbegin(), epochs_.rend(),
                                  [&](const Epoch& epoch) { return epoch.id == id; });
  return found == epochs_.rend() ? nullptr : &*found;
}

Secret Keyring::dedup_key(std::string_view info, size_t size) const {
  return hkdf(dedup_secret_.view(), store_id_.view(), as_bytes(info), size);
}

Result<Secret> Keyring::epoch_key(const EpochId& epoch, ByteView salt, ByteView info) const {
  const Epoch* found = find(epoch);
  if (found == nullptr) {
    return Error(Errc::kAuthentication, "the keys at hand do not have epoch " + epoch.hex());
  }
  return hkdf(found->key.view(), salt, info);
}

Secret signing_seed(const StoreId& store, const Secret& epoch_key) {
  return hkdf(epoch_key.view(), store.view(), as_bytes("varve/1 signing"));
}

Signature Keyring::sign(ByteView message) const {
  return varve::sign(signing_seed(store_id_, current().key), message);
}

}  // namespace varve
