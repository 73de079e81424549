// One generation of access as a file of keys/: its coding and its signature (docs/format.md section
// 3).
//
// What a decoder gives is well-formed and nothing more: whether it is to be believed is for
// AccessFolder to say.
#pragma once

#include <vector>

#include "dedup/base/codec.h"
#include "dedup/base/id.h"
#include "dedup/base/limits.h"
#include "dedup/sealer.h"

namespace varve {

inline constexpr size_t kGenerationBytesMax = 256 * kKiB;
inline constexpr size_t kAccessSlotsMax = 64;
inline constexpr size_t kEpochsMax = 1024;
inline constexpr size_t kParentsMax = 64;
inline constexpr uint8_t kScryptLog2NMax = 20;
inline constexpr uint32_t kScryptRMax = 16;
inline constexpr uint32_t kScryptPMax = 4;

enum class SlotType : uint8_t { kPassphrase = 1, kKeyFile = 2, kRecoveryKey = 3 };

using SlotId = Id<struct SlotIdTag, 8>;
using ExchangeKey = std::array<uint8_t, 32>;  // an X25519 public key

/// One way to open a generation.
struct AccessSlot {
  SlotType type = SlotType::kPassphrase;
  uint8_t scrypt_log2_n = 0;  // the three are zero but for passphrases
  uint32_t scrypt_r = 0;
  uint32_t scrypt_p = 0;
  SlotId id;
  std::array<uint8_t, 32> salt{};
  ExchangeKey public_key{};
  ExchangeKey ephemeral_key{};
  std::array<uint8_t, 48> wrapped_key{};
};

struct EpochEntry {
  EpochId id;
  PublicKey public_key{};
  friend bool operator==(const EpochEntry&, const EpochEntry&) = default;
};

struct AccessGeneration {
  StoreId store;
  uint64_t number = 0;
  std::vector<FileHash> parents;
  std::vector<EpochEntry> epochs;  // oldest first; the last is current
  std::vector<AccessSlot> slots;
  Bytes sealed_keyring;
  EpochId signer;
  Signature signature{};
  Signature anchor{};  // of a number above 1: the first epoch's, over all before it

  /// A number above 1 carries it: who has never had a key of the store cannot make one.
  bool has_anchor() const { return number > 1; }
  const EpochEntry& current() const { return epochs.back(); }
};

/// From the magic to the last epoch: what the sealed keyring is bound to.
Bytes encode_generation_head(const AccessGeneration& generation);
/// From the magic to the signer: what is signed.
Bytes encode_generation_unsigned(const AccessGeneration& generation);
/// From the magic to the signature: what the anchor signs.
Bytes encode_generation_unanchored(const AccessGeneration& generation);
/// The whole file.
Bytes encode_generation(const AccessGeneration& generation);
/// kUnsupported for a newer format; kCorrupt if it is not well-formed or beyond a limit. At least
/// one epoch is there.
Result<AccessGeneration> decode_generation(ByteView bytes);

}  // namespace varve
