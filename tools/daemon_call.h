// Asking the daemon of a mounted store.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "tools/mounted.h"

namespace varve {

/// Sends `request` to the daemon of `mounted` and gives its answer; an answer that is an error is
/// an Error with the daemon's message.
Result<nlohmann::json> call_daemon(const MountedPath& mounted, const nlohmann::json& request);

}  // namespace varve
