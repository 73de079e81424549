// The seed of a random test: from VARVE_SEED, else new; printed, so that a failure can be replayed.
#pragma once

#include <cstdint>

namespace varve {

uint64_t test_seed();

}  // namespace varve
