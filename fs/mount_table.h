// What userspace keeps beside the kernel's mount table.
#pragma once

#include <string>

namespace varve {

/// Notes that umount(8) shall call umount.varve for this mount, which waits until the daemon has
/// put everything into the store. Best effort: without it (no root, no /run/mount) umount returns
/// when the kernel has let go, and the daemon ends a little later.
void name_umount_helper(const std::string& source, const std::string& mountpoint);

}  // namespace varve
