// What a collection did, as the control socket and the programs say it, in JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "catalog/collection.h"

namespace varve {

nlohmann::json collect_fields(const CollectFigures& figures);

}  // namespace varve
