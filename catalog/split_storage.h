// A store that is only read, with a local/ in a directory of its own: one Storage made of two.
//
// Paths in local/ are `local`'s, which is that directory itself; all others are `place`'s. What
// would change the place is kReadOnly, and the place is not asked. Any thread.
#pragma once

#include <memory>

#include "dedup/base/storage.h"

namespace varve {

std::unique_ptr<Storage> make_split_storage(std::unique_ptr<Storage> place,
                                            std::unique_ptr<Storage> local);

}  // namespace varve
