// A check's report as the JSON that the daemon answers and the programs print.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "catalog/checker.h"

namespace varve {

/// damages, findings (kind, file, pack, set, snapshot, path, problem, repaired, line), and the
/// figures.
nlohmann::json check_fields(const CheckReport& report);

}  // namespace varve
