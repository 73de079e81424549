#include "tests/support/test_seed.h"

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string_view>

namespace varve {
namespace {

bool scale_is(std::string_view name) {
  const char* scale = std::getenv("VARVE_SCALE");
  return scale != nullptr && scale == name;
}

}  // namespace

bool is_full_scale() {
  return scale_is("full");
}

bool is_quick_scale() {
  return scale_is("quick");
}

uint64_t test_seed() {
  const char* given = std::getenv("VARVE_SEED");
  uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::printf("seed: VARVE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace varve
