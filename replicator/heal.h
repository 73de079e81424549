// Mending a store from another replica of it, without a key: what is damaged or missing here is
// replaced by verified copies of what lies there, and nothing else is brought.
//
// Damaged is a file whose bytes do not hash to its name or cannot be read. Missing is what the
// snapshots that are here need and is not here; and the generations of access where none can be
// read. What else the other place has may have been removed here on purpose: that is absorb's.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "replicator/transfer.h"

namespace varve {

enum class HealLook {
  kBytes,    // every file is read and hashed
  kLengths,  // a file is damaged if it has another length than there
};

struct HealFigures {
  uint64_t files_looked_at = 0, bytes_read = 0;
  uint64_t damaged = 0, missing = 0;  // found
  TransferFigures brought;            // its problems are the other place's
  std::vector<std::string> unhealed;  // one line a file that is damaged or missing still
};
/// What of evicted packs (docs/replication.md): those under a hold at a remote of the store.
enum class HealEvicted { kLeave, kBring };
/// Told while files are looked at and copied, from any thread, one call at a time.
using HealProgress = std::function<void(const HealFigures&)>;

/// Mends `store` from `from`. kForeign if they are not of one store. An error is the store's; what
/// came before it stays.
Result<HealFigures> heal(Storage& store, Storage& from, const std::string& sender, HealLook look,
                         const HealProgress& progress, HealEvicted evicted = HealEvicted::kLeave);

}  // namespace varve
