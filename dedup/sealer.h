// Authenticated encryption, key derivation and signatures, as docs/format.md uses them.
#pragma once

#include <array>

#include "dedup/base/bytes.h"
#include "dedup/base/result.h"
#include "dedup/base/secret.h"

namespace varve {

inline constexpr size_t kKeyBytes = 32;
inline constexpr size_t kTagBytes = 16;
inline constexpr size_t kSignatureBytes = 64;

/// HKDF-SHA-256 (RFC 5869), extract and expand, `size` bytes.
Secret hkdf(ByteView key, ByteView salt, ByteView info, size_t size = kKeyBytes);

/// AES-256-GCM under one key. Not for two threads at once; making one costs a key schedule, so keep
/// it.
class Sealer {
 public:
  explicit Sealer(const Secret& key);
  ~Sealer();
  Sealer(Sealer&&) noexcept;
  Sealer& operator=(Sealer&&) noexcept;

  /// Writes plain.size() + kTagBytes bytes to `out`, which must be that large and may begin where
  /// `plain` does. A (key, nonce number) pair seals one message, ever. The 96-bit nonce is `nonce`
  /// as u64 and four zero bytes.
  void seal(uint64_t nonce, ByteView additional, ByteView plain, ByteSpan out);

  /// Writes sealed.size() - kTagBytes bytes to `out`, which may begin where `sealed` does.
  /// kAuthentication, and nothing of use in `out`, if any bit of the inputs is not what was sealed.
  Result<void> open(uint64_t nonce, ByteView additional, ByteView sealed, ByteSpan out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// One message sealed under a key of its own (nonce zero).
Bytes seal_once(const Secret& key, ByteView additional, ByteView plain);
Result<Bytes> open_once(const Secret& key, ByteView additional, ByteView sealed);

using Signature = std::array<uint8_t, kSignatureBytes>;
using PublicKey = std::array<uint8_t, 32>;

/// Ed25519 (RFC 8032); `seed` is the 32-byte private key.
PublicKey signing_public_key(const Secret& seed);
Signature sign(const Secret& seed, ByteView message);
bool verify_signature(const PublicKey& key, ByteView message, ByteView signature);

}  // namespace varve
