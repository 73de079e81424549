// Whether a store waits for `varve rejoin`, without a key.
#pragma once

#include <string>

#include "dedup/store_config.h"

namespace varve {

/// What there is to say to who meets the store at `root`; empty if it was not succeeded elsewhere.
Result<std::string> succession_line(const std::string& root, Storage& storage,
                                    const StoreConfig& config);

}  // namespace varve
