// The only place where an error of varve's becomes an errno.
#pragma once

#include "dedup/base/result.h"

namespace varve {

/// What a program that made the system call sees. Never 0.
int errno_of(Errc code);

/// Whether people must hear of it: stored bytes that cannot be given, as opposed to a caller's
/// mistake.
bool is_damage(Errc code);

}  // namespace varve
