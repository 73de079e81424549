// Hashes without a key.
#pragma once

#include "dedup/base/bytes.h"
#include "dedup/base/id.h"

namespace varve {

/// SHA-256 (FIPS 180-4) of bytes that come in pieces. One thread.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(ByteView bytes);
  /// The hash of all bytes so far; the object is then used up.
  FileHash finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

FileHash sha256(ByteView bytes);

/// XXH3, 64 bits: for checks against accidents and for places in tables, never against an
/// adversary.
uint64_t xxh3(ByteView bytes, uint64_t seed = 0);

}  // namespace varve
