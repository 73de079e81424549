// Where damaged files go that a whole copy takes the place of, or that count as absent anyway: for
// people, no reader looks there (docs/format.md, section 7).
#pragma once

#include <string>

#include "dedup/base/storage.h"

namespace varve {

inline constexpr const char* kQuarantineFolder = "replica/quarantine";

/// Moves "<folder>/.../<name>" to "replica/quarantine/<folder>/<name>", under a further name where
/// that is taken; durable on return. False if the file is not there.
Result<bool> move_to_quarantine(Storage& storage, const std::string& path);

}  // namespace varve
