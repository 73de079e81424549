// What the kernel knows of a caller and does not say in its request: capabilities and groups, read
// from /proc, so asked for only where it matters. Any thread.
//
// A caller who cannot be seen there (of another PID namespace, or gone) counts as its uid says:
// root has capabilities, others have none and are in their own group alone.
#pragma once

#include "fs/filesystem.h"

namespace varve {

/// May see what is in the namespace "trusted" (CAP_SYS_ADMIN).
bool is_administrator(const Caller& caller);
/// May set setgid for a file of that group: is in it, or has CAP_FSETID.
bool may_set_group_id(const Caller& caller, gid_t group);

}  // namespace varve
