#include "dedup/pack_keys.h"

namespace varve {

Result<PackKeys> PackKeys::derive(const Keyring& keyring, const PackHeader& header) {
  if (header.store != keyring.store_id()) {
    return Error(Errc::kForeign, "the pack belongs to store " + header.store.hex());
  }
  Encoder info;
  info.raw(as_bytes("varve/1 pack")).raw(encode_pack_header(header));
  Secret key = VARVE_TRY(keyring.epoch_key(header.epoch, header.pack.view(), info.view()));
  return PackKeys(header, std::move(key));
}

PackKeys::PackKeys(PackHeader header, Secret pack_key)
    : header_(header),
      pack_key_(std::move(pack_key)),
      segment_header_key_(hkdf(pack_key_.view(), {}, as_bytes("varve/1 segment header"))),
      segment_body_key_(hkdf(pack_key_.view(), {}, as_bytes("varve/1 segment body"))) {}

Sealer PackKeys::segment_header_sealer() const {
  return Sealer(segment_header_key_);
}

Sealer PackKeys::segment_body_sealer() const {
  return Sealer(segment_body_key_);
}

Secret PackKeys::index_key(ByteView fresh) const {
  return hkdf(pack_key_.view(), fresh, as_bytes("varve/1 index"));
}

Secret PackKeys::trailer_key(ByteView fresh) const {
  return hkdf(pack_key_.view(), fresh, as_bytes("varve/1 trailer"));
}

}  // namespace varve
