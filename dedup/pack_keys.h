// The keys of one pack, derived from its epoch's key and its whole header (docs/format.md section
// 3).
#pragma once

#include "dedup/base/secret.h"
#include "dedup/keyring.h"
#include "dedup/pack_format.h"

namespace varve {

/// Made once and then only read: any thread.
class PackKeys {
 public:
  /// kForeign if the header is another store's; kAuthentication if the keyring has not its epoch.
  static Result<PackKeys> derive(const Keyring& keyring, const PackHeader& header);

  const PackHeader& header() const { return header_; }

  Sealer segment_header_sealer() const;
  Sealer segment_body_sealer() const;
  /// `fresh` is the pack's 32 random bytes: each seals one message.
  Secret index_key(ByteView fresh) const;
  Secret trailer_key(ByteView fresh) const;

 private:
  PackKeys(PackHeader header, Secret pack_key);

  PackHeader header_;
  Secret pack_key_, segment_header_key_, segment_body_key_;
};

}  // namespace varve
