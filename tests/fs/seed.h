// The seed of a random test: VARVE_SEED replays one.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>

namespace varve {

inline uint64_t test_seed() {
  const char* given = std::getenv("VARVE_SEED");
  uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "VARVE_SEED=" << seed << std::endl;
  return seed;
}

}  // namespace varve
