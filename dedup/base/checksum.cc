#include "dedup/base/checksum.h"

#include <openssl/evp.h>
#include <xxhash.h>

#include <cstdlib>

#include "dedup/base/log.h"

namespace varve {
namespace {

/// SHA-256 fails only where memory or the library itself is broken: no hash is better than a wrong
/// one.
void require(bool done) {
  if (done) return;
  log_error("OpenSSL cannot compute SHA-256");
  std::abort();
}

/// Fetched once and kept: fetching costs more than hashing a small file.
const EVP_MD* sha256_algorithm() {
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  require(algorithm != nullptr);
  return algorithm;
}

}  // namespace

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  require(state_->context != nullptr &&
          EVP_DigestInit_ex2(state_->context, sha256_algorithm(), nullptr) == 1);
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(ByteView bytes) {
  require(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

FileHash Sha256::finish() {
  FileHash hash;
  unsigned size = 0;
  require(EVP_DigestFinal_ex(state_->context, hash.bytes.data(), &size) == 1 &&
          size == FileHash::kSize);
  return hash;
}

FileHash sha256(ByteView bytes) {
  FileHash hash;
  require(EVP_Digest(bytes.data(), bytes.size(), hash.bytes.data(), nullptr, sha256_algorithm(),
                     nullptr) == 1);
  return hash;
}

uint64_t xxh3(ByteView bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace varve
