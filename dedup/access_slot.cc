#include "dedup/access_slot.h"

#include <openssl/evp.h>

#include "dedup/crypto_check.h"

namespace varve {
namespace {

struct PkeyFree {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct PkeyContextFree {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
using Pkey = std::unique_ptr<EVP_PKEY, PkeyFree>;

SlotType type_of(AccessSecret::Kind kind) {
  switch (kind) {
    case AccessSecret::Kind::kPassphrase:
      return SlotType::kPassphrase;
    case AccessSecret::Kind::kKeyFile:
      return SlotType::kKeyFile;
    case AccessSecret::Kind::kRecoveryKey:
      return SlotType::kRecoveryKey;
  }
  return SlotType::kPassphrase;
}

Secret scrypt(const AccessSlot& slot, ByteView passphrase) {
  // The limits of a slot make this 2 GiB at most; what OpenSSL counts besides N * r blocks is
  // small.
  const uint64_t n = uint64_t{1} << slot.scrypt_log2_n;
  const uint64_t memory_max = 128 * uint64_t{slot.scrypt_r} * (n + slot.scrypt_p + 2) + (1 << 20);
  Secret out(kKeyBytes);
  require_crypto(EVP_PBE_scrypt(reinterpret_cast<const char*>(passphrase.data()), passphrase.size(),
                                slot.salt.data(), slot.salt.size(), n, slot.scrypt_r, slot.scrypt_p,
                                memory_max, out.span().data(), out.size()) == 1,
                 "scrypt");
  return out;
}

Secret slot_private_key(const AccessSlot& slot, ByteView secret) {
  switch (slot.type) {
    case SlotType::kPassphrase:
      return scrypt(slot, secret);
    case SlotType::kKeyFile:
      return hkdf(secret, slot.salt, as_bytes("varve/1 key file"));
    case SlotType::kRecoveryKey:
      return hkdf(secret, slot.salt, as_bytes("varve/1 recovery key"));
  }
  require_crypto(false, "unknown slot");
  return {};
}

Pkey exchange_key(const Secret& private_key) {
  Pkey key(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, private_key.view().data(),
                                        private_key.size()));
  require_crypto(key != nullptr, "X25519 key");
  return key;
}

ExchangeKey exchange_public_key(EVP_PKEY* key) {
  ExchangeKey out;
  size_t size = out.size();
  require_crypto(EVP_PKEY_get_raw_public_key(key, out.data(), &size) == 1 && size == out.size(),
                 "X25519 public key");
  return out;
}

/// kAuthentication if `peer` is a point that makes the shared secret known to everybody (RFC 7748
/// section 6.1).
Result<Secret> exchange(EVP_PKEY* own, const ExchangeKey& peer) {
  Pkey other(EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, peer.data(), peer.size()));
  std::unique_ptr<EVP_PKEY_CTX, PkeyContextFree> context(EVP_PKEY_CTX_new(own, nullptr));
  require_crypto(other != nullptr && context != nullptr && EVP_PKEY_derive_init(context.get()) == 1,
                 "X25519");
  Secret out(kKeyBytes);
  size_t size = out.size();
  if (EVP_PKEY_derive_set_peer(context.get(), other.get()) != 1 ||
      EVP_PKEY_derive(context.get(), out.span().data(), &size) != 1 || size != out.size()) {
    return Error(Errc::kAuthentication, "an access slot holds a key that protects nothing");
  }
  return out;
}

Secret wrapping_key(const Secret& shared, const AccessSlot& slot, const StoreId& store) {
  Encoder salt, info;
  salt.raw(slot.ephemeral_key).raw(slot.public_key);
  info.raw(as_bytes("varve/1 slot")).id(store);
  return hkdf(shared.view(), salt.view(), info.view());
}

Bytes additional_data(const AccessSlot& slot, const SlotBinding& binding) {
  Encoder out;
  out.id(binding.store).u64(binding.number).id(slot.id);
  return out.take();
}

/// Puts `generation_key` into a slot whose public key is set.
Result<void> wrap(AccessSlot& slot, const Secret& generation_key, const SlotBinding& binding,
                  Random& random) {
  Secret ephemeral(kKeyBytes);
  random.fill(ephemeral.span());
  const Pkey own = exchange_key(ephemeral);
  slot.ephemeral_key = exchange_public_key(own.get());
  const Secret shared = VARVE_TRY(exchange(own.get(), slot.public_key));
  const Bytes wrapped = seal_once(wrapping_key(shared, slot, binding.store),
                                  additional_data(slot, binding), generation_key.view());
  require_crypto(wrapped.size() == slot.wrapped_key.size(), "a generation key's length");
  std::copy(wrapped.begin(), wrapped.end(), slot.wrapped_key.begin());
  return {};
}

}  // namespace

AccessSlot make_slot(const AccessSecret& secret, const Secret& generation_key,
                     const SlotBinding& binding, Random& random) {
  AccessSlot slot;
  slot.type = type_of(secret.kind);
  if (slot.type == SlotType::kPassphrase) {
    slot.scrypt_log2_n = kScryptLog2N;
    slot.scrypt_r = kScryptR;
    slot.scrypt_p = kScryptP;
  }
  random.fill(slot.id.bytes);
  random.fill(slot.salt);
  slot.public_key =
      exchange_public_key(exchange_key(slot_private_key(slot, secret.bytes.view())).get());
  require_crypto(wrap(slot, generation_key, binding, random).ok(), "X25519 with a key of our own");
  return slot;
}

Result<AccessSlot> reseal_slot(AccessSlot slot, const Secret& generation_key,
                               const SlotBinding& binding, Random& random) {
  VARVE_TRY(wrap(slot, generation_key, binding, random));
  return slot;
}

Result<Secret> open_slot(const AccessSlot& slot, const AccessSecret& secret,
                         const SlotBinding& binding) {
  if (slot.type != type_of(secret.kind) || secret.bytes.size() == 0) return Errc::kWrongPassphrase;
  const Pkey own = exchange_key(slot_private_key(slot, secret.bytes.view()));
  if (exchange_public_key(own.get()) != slot.public_key) return Errc::kWrongPassphrase;
  const Secret shared = VARVE_TRY(exchange(own.get(), slot.ephemeral_key));
  Secret key(kKeyBytes);
  static_assert(sizeof slot.wrapped_key == kKeyBytes + kTagBytes);
  VARVE_TRY(Sealer(wrapping_key(shared, slot, binding.store))
                .open(0, additional_data(slot, binding), slot.wrapped_key, key.span()));
  return key;
}

}  // namespace varve
