// Releasing holds: a remote need not keep any longer what lies here again (docs/replication.md,
// "Evicting").
//
// A hold of this place is released when every pack that it names is here, and its bytes hash to its
// name. A pack that is not, keeps the whole hold. The record says so to the remote by the next
// replication; until it is there the remote holds on. Nothing is asked of the remote. One call at a
// time, and none beside an eviction.
#pragma once

#include <string>

#include "catalog/working_copy.h"

namespace varve {

struct ReleaseFigures {
  uint64_t holds = 0, packs = 0, bytes = 0;  // released, or that would be
  uint64_t kept_holds = 0;                   // that protect what is not here, or not whole
  uint64_t away_packs = 0;                   // of those: what is not here, or not whole
};

/// kNotFound if there is no such remote. `dry_run`: nothing is published.
Result<ReleaseFigures> release_holds(WorkingCopy& working_copy, const std::string& remote,
                                     bool dry_run);

}  // namespace varve
