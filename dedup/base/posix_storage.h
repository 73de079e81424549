// A Storage on a directory of this machine.
#pragma once

#include "dedup/base/storage.h"

namespace varve {

/// kNotFound or kNotDirectory with a message if `root` is no directory. Symbolic links below root
/// are not followed.
Result<std::unique_ptr<Storage>> open_posix_storage(const std::string& root);

}  // namespace varve
