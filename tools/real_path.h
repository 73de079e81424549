// A path without links, asked for by a process of its own: what lies in a mount that hangs costs a
// bounded time.
#pragma once

#include <chrono>
#include <string>

#include "dedup/base/result.h"

namespace varve {

/// realpath(3). kIo, saying so, if the filesystem has not answered within `limit`. Before there are
/// threads.
Result<std::string> real_path_within(const std::string& path, std::chrono::milliseconds limit);

/// Whether `path` is `directory` or lies in it; both are absolute and without links.
inline bool is_within(const std::string& path, const std::string& directory) {
  return path == directory || path.starts_with(directory == "/" ? directory : directory + "/");
}

}  // namespace varve
