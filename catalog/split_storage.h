// A store with a local/ in a directory of its own: one Storage made of two.
//
// Paths in local/ are `local`'s, which is that directory itself; all others are `place`'s. Any
// thread.
#pragma once

#include <memory>

#include "dedup/base/storage.h"

namespace varve {

enum class SplitPlace {
  kOnlyRead,  // what would change the place is kReadOnly, and the place is not asked
  /// A file that is renamed from local/ into the place is copied there: whole and durable under a
  /// temporary name, then under its own, then gone from local/. Space is that of
  /// the disk which has less.
  kWritten,
};

std::unique_ptr<Storage> make_split_storage(std::unique_ptr<Storage> place,
                                            std::unique_ptr<Storage> local,
                                            SplitPlace use = SplitPlace::kOnlyRead);

}  // namespace varve
