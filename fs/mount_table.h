// What userspace keeps beside the kernel's mount table.
#pragma once

#include <optional>
#include <string>

namespace varve {

/// Notes that umount(8) shall call umount.varve for this mount, which waits until the daemon has
/// put everything into the store. Best effort: without it (no root, no /run/mount) umount returns
/// when the kernel has let go, and the daemon ends a little later.
void name_umount_helper(const std::string& source, const std::string& mountpoint);

/// What is mounted at `path`, an absolute path without symbolic links: the topmost mount's type
/// ("fuse.varve") and source as the kernel tells them; nullopt if nothing is.
struct MountedThere {
  std::string type, source;
};
std::optional<MountedThere> mounted_at(const std::string& path);

}  // namespace varve
