// What expires here by a set's policy: judged by what lies here (docs/replication.md, "Expiry at
// the site").
//
// Only judges; History::drop takes away. Any thread.
#pragma once

#include <vector>

#include "catalog/snapshot_needs.h"
#include "dedup/retention.h"

namespace varve {

struct JudgedForExpiry {
  SnapshotInfo snapshot;
  bool kept = true;
  std::string why;
};

/// The snapshots of the set (zeros: of the whole mount), oldest first. A snapshot that is not whole
/// takes no whole one's turn, the newest that is whole stays, and so does what is locked. Where
/// none is whole all stay.
Result<std::vector<JudgedForExpiry>> judge_expiry(const History& history, const SetId& set,
                                                  const RetentionRule& rule,
                                                  const PackIsHere& is_here);

}  // namespace varve
