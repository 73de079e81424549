// Which snapshots of a set a rule keeps: a pure function of their times.
//
// A rule is written "last 7, daily 14, weekly 8, monthly 12, yearly 5, within 30d". `last N` keeps
// the newest N; `daily N` the newest snapshot of each of the newest N days that have one, and so on
// for weeks (Monday to Sunday, ISO 8601), months and years, all in UTC; `within` what is not older
// than that before the newest snapshot, whatever a clock says. What one part keeps is kept.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dedup/base/clock.h"
#include "dedup/base/result.h"

namespace varve {

struct RetentionRule {
  uint32_t last = 0, daily = 0, weekly = 0, monthly = 0, yearly = 0;
  Nanoseconds within = 0;
};

/// Parts separated by commas, each at most once; `within` in h, d or w. kInvalid, saying what does
/// not fit; a rule that keeps nothing is none.
Result<RetentionRule> parse_retention(std::string_view text);

/// Why each of the snapshots is kept ("last", "daily, monthly"); empty for those that are not.
/// `times` are of one set's snapshots, oldest first in the order of history, which a clock that was
/// wrong does not change. The newest is kept by every rule.
std::vector<std::string> kept_by(const RetentionRule& rule, const std::vector<Nanoseconds>& times);

}  // namespace varve
