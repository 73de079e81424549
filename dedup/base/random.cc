#include "dedup/base/random.h"

#include <openssl/rand.h>

#include <cstdlib>

#include "dedup/base/log.h"

namespace varve {
namespace {

class SystemRandom final : public Random {
 public:
  void fill(ByteSpan out) override {
    constexpr size_t kPiece = 1 << 20;  // OpenSSL counts in int
    while (!out.empty()) {
      size_t count = std::min(out.size(), kPiece);
      if (RAND_priv_bytes(out.data(), static_cast<int>(count)) != 1) {
        log_error("the system has no random bytes; a key made without them would be worth nothing");
        std::abort();
      }
      out = out.subspan(count);
    }
  }
};

}  // namespace

Random& system_random() {
  static SystemRandom random;
  return random;
}

}  // namespace varve
