#include "dedup/access_keyring.h"

#include <algorithm>

#include "dedup/access_slot.h"
#include "dedup/crypto_check.h"

namespace varve {
namespace {

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

}  // namespace

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

Result<DecodedKeyring> unseal_keyring(const AccessGeneration& generation, const Secret& key) {
  if (generation.sealed_keyring.size() < kTagBytes) {
    return Error(Errc::kCorrupt, "a generation of access without a keyring");
  }
  Secret plain(generation.sealed_keyring.size() - kTagBytes);
  VARVE_TRY(Sealer(key).open(0, encode_generation_head(generation), generation.sealed_keyring,
                             plain.span()));
  return decode_keyring(plain.view(), generation);
}

Result<DecodedKeyring> open_generation(const AccessGeneration& generation,
                                       const AccessSecret& secret) {
  for (const AccessSlot& slot : generation.slots) {
    Result<Secret> key = open_slot(slot, secret, {generation.store, generation.number});
    if (key.ok()) return unseal_keyring(generation, *key);
    if (key.error().code() != Errc::kWrongPassphrase) return std::move(key).error();
  }
  return Errc::kWrongPassphrase;
}

Result<Keyring> merge_keyrings(const Keyring& first, const Keyring& other) {
  if (!std::ranges::equal(first.dedup_secret().view(), other.dedup_secret().view())) {
    return Error(Errc::kCorrupt, "two generations of access hold different keys");
  }
  std::vector<Keyring::Epoch> epochs;
  const auto add = [&](const Keyring::Epoch& epoch) {
    epochs.push_back({epoch.id, Secret::copy_of(epoch.key.view()), epoch.public_key});
  };
  // Both begin with the store's first epoch, which stays first; the first one's current epoch stays
  // current, unless it is that.
  const bool stays_current = first.epochs().size() > 1;
  for (const Keyring::Epoch& epoch : first.epochs()) {
    if (!stays_current || epoch.id != first.current().id) add(epoch);
  }
  for (const Keyring::Epoch& epoch : other.epochs()) {
    if (first.find(epoch.id) == nullptr) add(epoch);
  }
  if (stays_current) add(first.current());
  return Keyring(first.store_id(), Secret::copy_of(first.dedup_secret().view()), std::move(epochs));
}

Secret random_key(Random& random) {
  Secret key(kKeyBytes);
  random.fill(key.span());
  return key;
}

}  // namespace varve
