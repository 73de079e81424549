// The seed of a random test: from VARVE_SEED, else new; printed, so that a failure can be replayed.
// And how much a test is to do, from VARVE_SCALE: quick, normal or full.
#pragma once

#include <cstdint>

namespace varve {

uint64_t test_seed();

bool is_full_scale();
bool is_quick_scale();

}  // namespace varve
