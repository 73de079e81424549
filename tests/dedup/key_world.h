// What tests of keys share: a simulated disk, random bytes that replay, and secrets that open at
// once.
#pragma once

#include <gtest/gtest.h>

#include "dedup/keyring.h"
#include "tests/support/seeded_keyring.h"
#include "tests/support/simulated_storage.h"
#include "tests/support/simulation.h"
#include "tests/support/test_seed.h"

namespace varve {

inline Bytes hex_bytes(std::string_view hex) {
  Bytes out(hex.size() / 2);
  EXPECT_TRUE(from_hex(hex, out));
  return out;
}

inline Secret secret_of(std::string_view text) {
  return Secret::copy_of(as_bytes(text));
}

/// Opens without scrypt's cost.
inline AccessSecret key_file(std::string_view content) {
  return {AccessSecret::Kind::kKeyFile, secret_of(content)};
}

inline AccessSecret passphrase(std::string_view text) {
  return {AccessSecret::Kind::kPassphrase, secret_of(text)};
}

inline std::vector<AccessSecret> just(AccessSecret secret) {
  std::vector<AccessSecret> secrets;
  secrets.push_back(std::move(secret));
  return secrets;
}

inline ChunkerSizes sizes_of(uint64_t average) {
  return ChunkerSizes::of_average(average).value();
}

}  // namespace varve
