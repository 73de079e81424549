// Slots: how a passphrase, key file or recovery key opens a generation's key (docs/format.md
// section 3).
//
// A slot's secret gives a private key whose public half stands in the slot, so that a later
// generation can be sealed to a slot without asking for its secret.
#pragma once

#include "dedup/access_generation.h"
#include "dedup/base/random.h"
#include "dedup/keyring.h"

namespace varve {

/// One try costs some 0.2 s of one core and 64 MiB: dear for who guesses, bearable for who mounts.
inline constexpr uint8_t kScryptLog2N = 16;
inline constexpr uint32_t kScryptR = 8;
inline constexpr uint32_t kScryptP = 1;

/// Which generation of which store a slot's wrapped key is bound to.
struct SlotBinding {
  StoreId store;
  uint64_t number = 0;
};

/// A new slot for `secret`, holding `generation_key`.
AccessSlot make_slot(const AccessSecret& secret, const Secret& generation_key,
                     const SlotBinding& binding, Random& random);

/// The slot of the same secret, which is not needed, holding another generation's key.
/// kAuthentication if the slot's public key protects nothing.
Result<AccessSlot> reseal_slot(AccessSlot slot, const Secret& generation_key,
                               const SlotBinding& binding, Random& random);

/// The generation key. kWrongPassphrase if the slot is of another kind or secret; kAuthentication
/// if the secret is the slot's and what the slot holds is not whole.
Result<Secret> open_slot(const AccessSlot& slot, const AccessSecret& secret,
                         const SlotBinding& binding);

}  // namespace varve
