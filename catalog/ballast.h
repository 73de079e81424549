// local/ballast: space of the disk that is kept for a day when there is none, so that a full store
// can be emptied: removing writes rows and records before it frees anything.
//
// The file has no bytes, only space that was reserved for it. Where the filesystem cannot reserve,
// it weighs nothing, and nothing is promised. Any thread.
#pragma once

#include <mutex>

#include "dedup/base/storage.h"

namespace varve {

class Ballast {
 public:
  explicit Ballast(Storage& storage) : storage_(storage) {}

  /// What it weighs on a disk of that size: 1/64 of it, at most 64 MiB.
  static uint64_t bytes_for(uint64_t disk_total);

  /// Takes the space, if there is plenty left beside it. What an earlier mount took is taken over.
  void take_if_room();
  /// Gives it back, for good until take_if_room finds room again. False if there was none.
  bool give();
  /// What would have to be free before the ballast is whole again: nothing while it is held.
  uint64_t missing_bytes() const;

 private:
  Result<bool> take();

  Storage& storage_;
  mutable std::mutex mutex_;  // of what follows, and of the file
  bool held_ = false;
  uint64_t wanted_bytes_ = 0;
};

}  // namespace varve
