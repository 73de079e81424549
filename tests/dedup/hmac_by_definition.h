// What chunk ids are held against.
#pragma once

#include "dedup/base/checksum.h"
#include "dedup/base/id.h"
#include "dedup/base/secret.h"

namespace varve {

/// HMAC (RFC 2104) by its definition, from plain SHA-256.
inline ChunkId hmac_by_definition(const Secret& key, ByteView message) {
  Bytes inner(64, 0x36), outer(64, 0x5c);
  for (size_t i = 0; i < key.size(); i++) {
    inner[i] ^= key.view()[i];
    outer[i] ^= key.view()[i];
  }
  inner.insert(inner.end(), message.begin(), message.end());
  const FileHash digest = sha256(inner);
  outer.insert(outer.end(), digest.bytes.begin(), digest.bytes.end());
  ChunkId id;
  id.bytes = sha256(outer).bytes;
  return id;
}

}  // namespace varve
