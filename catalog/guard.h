// replica/guard: which replica a directory is, and which writer lives there (docs/format.md section
// 7).
//
// The guard is bound to its place, so that a copied or restored directory does not take itself for
// the original. What it says is unsigned and binds that place only.
#pragma once

#include <optional>
#include <string>

#include "dedup/base/id.h"
#include "dedup/base/random.h"
#include "dedup/base/result.h"
#include "dedup/base/storage.h"

namespace varve {

struct Guard {
  ReplicaId replica;
  WriterId writer;  // zeros: none yet
};

struct GuardFound {
  std::optional<Guard> guard;  // of this place
  std::optional<Guard> moved;  // there is one, but it was made for another place
};

/// Reads the guard of the store at `root`, whose Storage is `storage`. A guard that makes no sense
/// counts as absent, with a log line.
Result<GuardFound> read_guard(Storage& storage, const std::string& root, const StoreId& store);

/// Writes it for this place; makes replica/ if it is not there.
Result<void> write_guard(Storage& storage, const std::string& root, const StoreId& store,
                         const Guard& guard);

}  // namespace varve
