// Which generations of access in keys/ are to be believed, and which of them are in force. Needs no
// secret.
#pragma once

#include <vector>

#include "dedup/access_generation.h"
#include "dedup/base/storage.h"
#include "dedup/store_config.h"

namespace varve {

inline constexpr const char* kKeysDirectory = "keys";

struct FoundGeneration {
  FileHash hash;
  AccessGeneration generation;
};

/// The valid generations that no other valid one names as a parent, newest first; at least one.
/// kForeign if keys/ holds those of another store only; kCorrupt if no whole one is there;
/// kUnsupported if one has a newer format.
Result<std::vector<FoundGeneration>> read_generations_in_force(Storage& storage,
                                                               const StoreConfig& config);

/// What the valid generations name as their parents, whether it is still there or not, oldest
/// first. Each has a valid generation in force above it.
Result<std::vector<FileHash>> read_superseded_generations(Storage& storage,
                                                          const StoreConfig& config);

}  // namespace varve
