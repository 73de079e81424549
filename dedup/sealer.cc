#include "dedup/sealer.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <climits>

#include "dedup/crypto_check.h"

namespace varve {
namespace {

constexpr size_t kNonceBytes = 12;
using Nonce = std::array<uint8_t, kNonceBytes>;

struct CipherFree {
  void operator()(EVP_CIPHER* cipher) const { EVP_CIPHER_free(cipher); }
};
struct CipherContextFree {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
struct KdfFree {
  void operator()(EVP_KDF* kdf) const { EVP_KDF_free(kdf); }
};
struct KdfContextFree {
  void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
};
struct PkeyFree {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct DigestContextFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, CipherContextFree>;
using Pkey = std::unique_ptr<EVP_PKEY, PkeyFree>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, DigestContextFree>;

// Looking an algorithm up takes longer than using it on a short message, so each is looked up once.
// What is found is read only and may be shared by all threads.
const EVP_CIPHER* aes_256_gcm() {
  static const std::unique_ptr<EVP_CIPHER, CipherFree> cipher(
      EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr));
  require_crypto(cipher != nullptr, "AES-256-GCM");
  return cipher.get();
}

EVP_KDF* hkdf_algorithm() {
  static const std::unique_ptr<EVP_KDF, KdfFree> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  require_crypto(kdf != nullptr, "HKDF");
  return kdf.get();
}

CipherContext make_context(const Secret& key, bool encrypt) {
  CipherContext context(EVP_CIPHER_CTX_new());
  require_crypto(context != nullptr && key.size() == kKeyBytes, "a key for AES-256-GCM");
  require_crypto(EVP_CipherInit_ex2(context.get(), aes_256_gcm(), key.view().data(), nullptr,
                                    encrypt ? 1 : 0, nullptr) == 1,
                 "AES-256-GCM key schedule");
  return context;
}

Nonce nonce_of(uint64_t number) {
  Nonce nonce{};
  for (size_t i = 0; i < sizeof number; i++) nonce[i] = static_cast<uint8_t>(number >> (8 * i));
  return nonce;
}

/// Begins one message; the direction and the key stay as the context has them (enc = -1).
void begin(EVP_CIPHER_CTX* context, uint64_t number, ByteView additional) {
  const Nonce nonce = nonce_of(number);
  require_crypto(EVP_CipherInit_ex2(context, nullptr, nullptr, nonce.data(), -1, nullptr) == 1,
                 "nonce");
  if (additional.empty()) return;
  require_crypto(additional.size() <= INT_MAX, "additional data too long");
  int written = 0;
  require_crypto(EVP_CipherUpdate(context, nullptr, &written, additional.data(),
                                  static_cast<int>(additional.size())) == 1,
                 "additional data");
}

void update(EVP_CIPHER_CTX* context, ByteView in, uint8_t* out) {
  if (in.empty()) return;
  require_crypto(in.size() <= INT_MAX, "message too long");
  int written = 0;
  require_crypto(
      EVP_CipherUpdate(context, out, &written, in.data(), static_cast<int>(in.size())) == 1 &&
          static_cast<size_t>(written) == in.size(),
      "AES-256-GCM");
}

Pkey signing_key(const Secret& seed) {
  require_crypto(seed.size() == 32, "a seed for Ed25519");
  Pkey key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.view().data(), seed.size()));
  require_crypto(key != nullptr, "Ed25519 key");
  return key;
}

}  // namespace

Secret hkdf(ByteView key, ByteView salt, ByteView info, size_t size) {
  require_crypto(!key.empty(), "HKDF from nothing");
  std::unique_ptr<EVP_KDF_CTX, KdfContextFree> context(EVP_KDF_CTX_new(hkdf_algorithm()));
  require_crypto(context != nullptr, "HKDF");
  char digest[] = "SHA256";
  auto octets = [](const char* name, ByteView bytes) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<uint8_t*>(bytes.data()),
                                             bytes.size());
  };
  std::array<OSSL_PARAM, 5> params;
  size_t count = 0;
  params[count++] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
  params[count++] = octets(OSSL_KDF_PARAM_KEY, key);
  // An absent salt is, by RFC 5869, as good as an empty one; so is an absent info.
  if (!salt.empty()) params[count++] = octets(OSSL_KDF_PARAM_SALT, salt);
  if (!info.empty()) params[count++] = octets(OSSL_KDF_PARAM_INFO, info);
  params[count] = OSSL_PARAM_construct_end();
  Secret out(size);
  require_crypto(EVP_KDF_derive(context.get(), out.span().data(), out.size(), params.data()) == 1,
                 "HKDF");
  return out;
}

struct Sealer::State {
  CipherContext encrypt, decrypt;
};

// Most sealers go one way only, but which is not known before; both key schedules together take
// under a microsecond.
Sealer::Sealer(const Secret& key)
    : state_(std::make_unique<State>(State{make_context(key, true), make_context(key, false)})) {}
Sealer::~Sealer() = default;
Sealer::Sealer(Sealer&&) noexcept = default;
Sealer& Sealer::operator=(Sealer&&) noexcept = default;

void Sealer::seal(uint64_t nonce, ByteView additional, ByteView plain, ByteSpan out) {
  require_crypto(out.size() >= plain.size() + kTagBytes, "no room for a sealed message");
  EVP_CIPHER_CTX* context = state_->encrypt.get();
  begin(context, nonce, additional);
  update(context, plain, out.data());
  uint8_t* tag = out.data() + plain.size();
  int written = 0;
  require_crypto(EVP_CipherFinal_ex(context, tag, &written) == 1 && written == 0 &&
                     EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag) == 1,
                 "AES-256-GCM tag");
}

Result<void> Sealer::open(uint64_t nonce, ByteView additional, ByteView sealed, ByteSpan out) {
  if (sealed.size() < kTagBytes) return Errc::kAuthentication;
  const size_t length = sealed.size() - kTagBytes;
  require_crypto(out.size() >= length, "no room for an opened message");
  // The tag is copied first: `out` may lie over `sealed`.
  std::array<uint8_t, kTagBytes> tag;
  std::memcpy(tag.data(), sealed.data() + length, kTagBytes);
  EVP_CIPHER_CTX* context = state_->decrypt.get();
  begin(context, nonce, additional);
  update(context, sealed.first(length), out.data());
  require_crypto(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1,
                 "AES-256-GCM tag");
  int written = 0;
  std::array<uint8_t, kTagBytes> rest;
  if (EVP_CipherFinal_ex(context, rest.data(), &written) == 1) return {};
  // What did not authenticate shall not be used by mistake.
  if (length > 0) std::memset(out.data(), 0, length);
  return Errc::kAuthentication;
}

Bytes seal_once(const Secret& key, ByteView additional, ByteView plain) {
  Bytes out(plain.size() + kTagBytes);
  Sealer(key).seal(0, additional, plain, out);
  return out;
}

Result<Bytes> open_once(const Secret& key, ByteView additional, ByteView sealed) {
  if (sealed.size() < kTagBytes) return Errc::kAuthentication;
  Bytes out(sealed.size() - kTagBytes);
  VARVE_TRY(Sealer(key).open(0, additional, sealed, out));
  return out;
}

PublicKey signing_public_key(const Secret& seed) {
  PublicKey out;
  size_t size = out.size();
  require_crypto(EVP_PKEY_get_raw_public_key(signing_key(seed).get(), out.data(), &size) == 1 &&
                     size == out.size(),
                 "Ed25519 public key");
  return out;
}

Signature sign(const Secret& seed, ByteView message) {
  const Pkey key = signing_key(seed);
  DigestContext context(EVP_MD_CTX_new());
  Signature out;
  size_t size = out.size();
  require_crypto(
      context != nullptr &&
          EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
          EVP_DigestSign(context.get(), out.data(), &size, message.data(), message.size()) == 1 &&
          size == out.size(),
      "Ed25519 signature");
  return out;
}

bool verify_signature(const PublicKey& key, ByteView message, ByteView signature) {
  if (signature.size() != kSignatureBytes) return false;
  Pkey pkey(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()));
  DigestContext context(EVP_MD_CTX_new());
  if (pkey == nullptr || context == nullptr) return false;
  return EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkey.get()) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                          message.size()) == 1;
}

}  // namespace varve
