#include "dedup/crypto_check.h"

#include <cstdlib>
#include <string>

#include "dedup/base/log.h"

namespace varve {

void require_crypto(bool held, const char* what) {
  if (held) return;
  log_error(std::string("the crypto library failed and nothing can be sealed safely: ") + what);
  std::abort();
}

}  // namespace varve
