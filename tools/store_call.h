// Asking a store something of its history: its daemon, if it is mounted, else the same code here,
// under the store's lock.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "tools/mounted.h"
#include "tools/passphrase.h"

namespace varve {

/// A store by its mountpoint, a backup set in one, or its directory; without a daemon `control` is
/// empty.
MountedPath store_at(const std::string& path);

/// One of fs/history_handlers. Asks for the secret only where the store is not mounted. kBusy if
/// somebody else holds the store.
Result<nlohmann::json> call_store(const MountedPath& store, const SecretSource& secret,
                                  const nlohmann::json& request);

}  // namespace varve
