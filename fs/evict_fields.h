// An eviction as the control socket and the programs say it, in JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "fs/evict.h"
#include "fs/release_holds.h"

namespace varve {

nlohmann::json evict_request_fields(const EvictRequest& request);
/// kInvalid if it makes no sense.
Result<EvictRequest> evict_request_of(const nlohmann::json& fields);
nlohmann::json evict_fields(const EvictFigures& figures);
nlohmann::json release_fields(const ReleaseFigures& figures);

}  // namespace varve
