// Types and times between the catalog's words and the kernel's. Pure functions; any thread.
#pragma once

#include <sys/stat.h>
#include <time.h>

#include "catalog/inode.h"
#include "dedup/base/result.h"

namespace varve {

/// The S_IFMT part of st_mode.
mode_t format_bits(FileType type);
/// The other way; a file where `mode` has none of S_IFMT, as mknod(2) means it. kInvalid for a
/// format that no file has.
Result<FileType> file_type_of(mode_t mode);

/// Times before 1970 too: tv_nsec is never negative. The other way: what is too far away for
/// nanoseconds becomes the farthest.
timespec timespec_of(Nanoseconds time);
Nanoseconds nanoseconds_of(const timespec& time);

}  // namespace varve
