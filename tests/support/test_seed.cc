#include "tests/support/test_seed.h"

#include <cstdio>
#include <cstdlib>
#include <random>

namespace varve {

uint64_t test_seed() {
  const char* given = std::getenv("VARVE_SEED");
  uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::printf("seed: VARVE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace varve
