// The helper process that reads a remote for a mount: mount.varve itself, started anew under
// another name, so that nothing of the daemon's memory is in it.
#pragma once

#include <string>

#include "dedup/fetched_storage.h"

namespace varve {

/// What the helper is called in lists of processes; told from a mount by its first argument.
inline constexpr const char* kFetchProcessName = "varve-fetch";

/// If this process was started as a helper, it is one from now on and never returns.
void become_fetch_process(int argc, char** argv);

/// Starts one for `directory`, which is absolute. When the last copy of it goes, which is to be
/// after the socket, the helper has ended, or hung for two seconds.
StartHelper fetch_process_starter(std::string directory);

}  // namespace varve
