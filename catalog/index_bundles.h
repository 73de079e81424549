// Index bundles: what lies in packs, as catalog packs repeat it.
#pragma once

#include <functional>

#include "dedup/pack_store.h"

namespace varve {

/// Visits the bundles in a catalog pack, in the caller's thread; another one reads ahead.
Result<void> visit_bundles(const PackInfo& catalog, PackStore& packs,
                           const std::function<void(IndexBundle)>& visit);

}  // namespace varve
