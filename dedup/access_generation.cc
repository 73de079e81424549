#include "dedup/access_generation.h"

namespace varve {
namespace {

constexpr std::string_view kGenerationMagic = "VRVKEYS\n";
constexpr uint64_t kZeroBytes = 6;

template <size_t kSize>
std::array<uint8_t, kSize> take_array(Decoder& in) {
  std::array<uint8_t, kSize> out{};
  const ByteView bytes = in.raw(kSize);
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

/// A count that is followed by that many things; 0 once it is beyond `limit`.
size_t take_count(Decoder& in, size_t limit) {
  const size_t count = in.u16();
  if (count > limit) in.fail();
  return in.failed() ? 0 : count;
}

void encode_slot(Encoder& out, const AccessSlot& slot) {
  out.u8(static_cast<uint8_t>(slot.type)).u8(slot.scrypt_log2_n).zeros(2);
  out.u32(slot.scrypt_r).u32(slot.scrypt_p).id(slot.id).raw(slot.salt);
  out.raw(slot.public_key).raw(slot.ephemeral_key).raw(slot.wrapped_key);
}

bool scrypt_fits(const AccessSlot& slot) {
  if (slot.type != SlotType::kPassphrase) {
    return slot.scrypt_log2_n == 0 && slot.scrypt_r == 0 && slot.scrypt_p == 0;
  }
  // RFC 7914 has no scrypt of more than 2^(16 r) - 1 rounds, and OpenSSL computes none.
  return slot.scrypt_log2_n >= 1 && slot.scrypt_log2_n <= kScryptLog2NMax && slot.scrypt_r >= 1 &&
         slot.scrypt_r <= kScryptRMax && slot.scrypt_p >= 1 && slot.scrypt_p <= kScryptPMax &&
         slot.scrypt_log2_n < 16 * slot.scrypt_r;
}

AccessSlot decode_slot(Decoder& in) {
  AccessSlot slot;
  const uint8_t type = in.u8();
  if (type < static_cast<uint8_t>(SlotType::kPassphrase) ||
      type > static_cast<uint8_t>(SlotType::kRecoveryKey)) {
    in.fail();
  }
  slot.type = static_cast<SlotType>(type);
  slot.scrypt_log2_n = in.u8();
  in.zeros(2);
  slot.scrypt_r = in.u32();
  slot.scrypt_p = in.u32();
  if (!scrypt_fits(slot)) in.fail();
  slot.id = in.id<SlotId>();
  slot.salt = take_array<32>(in);
  slot.public_key = take_array<32>(in);
  slot.ephemeral_key = take_array<32>(in);
  slot.wrapped_key = take_array<48>(in);
  return slot;
}

/// What stands before any field that a version may change.
Result<void> decode_start(Decoder& in) {
  if (as_text(in.raw(kGenerationMagic.size())) != kGenerationMagic)
    return Error(Errc::kCorrupt, "no access generation");
  const uint16_t format = in.u16();
  if (!in.failed() && format > kFormatVersion) {
    return Error(Errc::kUnsupported, "an access generation has format version " +
                                         std::to_string(format) + "; this varve reads version " +
                                         std::to_string(kFormatVersion));
  }
  if (format != kFormatVersion) in.fail();
  in.zeros(kZeroBytes);
  return {};
}

}  // namespace

Bytes encode_generation_head(const AccessGeneration& generation) {
  Encoder out;
  out.raw(as_bytes(kGenerationMagic)).u16(kFormatVersion).zeros(kZeroBytes);
  out.id(generation.store).u64(generation.number);
  out.u16(static_cast<uint16_t>(generation.parents.size()));
  for (const FileHash& parent : generation.parents) out.id(parent);
  out.u16(static_cast<uint16_t>(generation.epochs.size()));
  for (const EpochEntry& epoch : generation.epochs) out.id(epoch.id).raw(epoch.public_key);
  return out.take();
}

Bytes encode_generation_unsigned(const AccessGeneration& generation) {
  Encoder out;
  out.raw(encode_generation_head(generation));
  out.u16(static_cast<uint16_t>(generation.slots.size()));
  for (const AccessSlot& slot : generation.slots) encode_slot(out, slot);
  out.u32(static_cast<uint32_t>(generation.sealed_keyring.size())).raw(generation.sealed_keyring);
  out.id(generation.signer);
  return out.take();
}

Bytes encode_generation_unanchored(const AccessGeneration& generation) {
  Encoder out;
  out.raw(encode_generation_unsigned(generation)).raw(generation.signature);
  return out.take();
}

Bytes encode_generation(const AccessGeneration& generation) {
  Encoder out;
  out.raw(encode_generation_unanchored(generation));
  if (generation.has_anchor()) out.raw(generation.anchor);
  return out.take();
}

Result<AccessGeneration> decode_generation(ByteView bytes) {
  Decoder in(bytes);
  VARVE_TRY(decode_start(in));
  AccessGeneration generation;
  generation.store = in.id<StoreId>();
  generation.number = in.u64();
  for (size_t left = take_count(in, kParentsMax); left > 0 && !in.failed(); left--) {
    generation.parents.push_back(in.id<FileHash>());
  }
  for (size_t left = take_count(in, kEpochsMax); left > 0 && !in.failed(); left--) {
    const EpochId id = in.id<EpochId>();
    generation.epochs.push_back({id, take_array<32>(in)});
  }
  for (size_t left = take_count(in, kAccessSlotsMax); left > 0 && !in.failed(); left--) {
    generation.slots.push_back(decode_slot(in));
  }
  const ByteView sealed = in.raw(in.u32());
  generation.sealed_keyring.assign(sealed.begin(), sealed.end());
  generation.signer = in.id<EpochId>();
  generation.signature = take_array<kSignatureBytes>(in);
  if (generation.has_anchor()) generation.anchor = take_array<kSignatureBytes>(in);
  if (generation.epochs.empty() || generation.number == 0) in.fail();
  VARVE_TRY(in.finish("access generation"));
  return generation;
}

}  // namespace varve
