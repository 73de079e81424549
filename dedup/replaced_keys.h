// Which generations of access have been removed here because others stood for them:
// "local/replaced-keys", one SHA-256 in hex a line, oldest first.
//
// A generation names its parents only. A remote that missed one of several changes holds a
// generation that none of those there names, and that would open it for good; who made the changes
// knows. Where local/ is lost, so is this.
#pragma once

#include <vector>

#include "dedup/base/id.h"
#include "dedup/base/storage.h"

namespace varve {

/// Oldest first. Lines that make no sense are passed over; none where there is no such file.
Result<std::vector<FileHash>> read_replaced_keys(Storage& storage);

/// Durable on return. `hashes`, oldest first, go behind what is there already.
Result<void> note_replaced_keys(Storage& storage, const std::vector<FileHash>& hashes);

}  // namespace varve
