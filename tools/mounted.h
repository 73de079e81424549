// Finding the store behind a path inside a mount.
#pragma once

#include <string>

#include "dedup/base/result.h"

namespace varve {

struct MountedPath {
  std::string mountpoint;
  std::string store;    // the store's directory
  std::string control;  // the socket of its daemon
  std::string set;      // the backup set that the path names; empty for the mount itself
};

/// `path` is a mountpoint of varve or a backup set's directory in one; kNotFound, saying what is
/// wanted, if it is neither.
Result<MountedPath> find_mounted(const std::string& path);

/// Whether `path` is the mountpoint of a varve.
bool is_mountpoint(const std::string& path);

/// The control socket of a store's daemon, where local/ lies in the store.
std::string control_socket(const std::string& store);

}  // namespace varve
