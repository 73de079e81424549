// What fsck.varve and varve verify print of a check.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "catalog/checker.h"
#include "tools/progress_line.h"

namespace varve {

/// The progress of a check as a line.
void show_progress(ProgressLine& line, const CheckProgress& progress);

/// A line for each finding, and one for all of them; `report` is check_fields' or the daemon's.
void print_check(const nlohmann::json& report, const std::string& store);

/// Damage that was found and not repaired, and changes that were made.
struct CheckOutcome {
  uint64_t left = 0, repaired = 0;
};
CheckOutcome outcome_of(const nlohmann::json& report);

}  // namespace varve
