// A snapshot as the JSON that the daemon and the commands show.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "catalog/history.h"

namespace varve {

/// set, name, time, hash, set_id, writer, sequence, class ("set" or "mount").
nlohmann::json snapshot_fields(const SnapshotInfo& snapshot);

/// All of them, oldest first: {"snapshots": [...]}; `locked_until` too, where one is locked.
nlohmann::json snapshot_list(const History& history);

}  // namespace varve
