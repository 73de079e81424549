// A set's policy: what becomes of its snapshots without being asked (docs/format.md, section 6,
// statement 5). Pure functions.
//
// Without one nothing is expired and nothing is locked. Members that this program does not know
// are kept as they are.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dedup/base/result.h"

namespace varve {

struct SetPolicy {
  std::string keep;  // dedup/retention.h; empty: nothing expires
  std::string lock;  // how long new snapshots are locked, "30d"; empty: they are not
  std::vector<std::string> tags, groups;
  std::string rest;  // other members, as JSON; empty: none

  /// Of `lock`; 0: none.
  int64_t lock_seconds() const;
};

/// kInvalid, saying what does not fit; each part that is not empty can be read.
Result<SetPolicy> parse_policy(std::string_view json);
std::string policy_json(const SetPolicy& policy);

/// "keep=last 7, daily 14", "lock=30d", "tags=a,b", "groups=x"; nothing behind the sign takes the
/// part away. kInvalid, saying what does not fit.
Result<void> change_policy(SetPolicy& policy, std::string_view setting);

/// "12h", "30d", "8w", as seconds. kInvalid for what is no such time, or none at all.
Result<int64_t> parse_lock_seconds(std::string_view text);
/// "2027-01-31" (its beginning) or "2027-01-31T12:00:00Z", UTC, as seconds since 1970.
Result<int64_t> parse_utc_seconds(std::string_view text);
/// The second form, of any number of seconds since 1970.
std::string utc_of_seconds(int64_t seconds);

}  // namespace varve
