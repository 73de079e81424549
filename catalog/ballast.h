// local/ballast-0 ...: space of the disk that is kept for a day when there is none, so that a full
// store can be emptied: removing writes rows and records before it frees anything.
//
// It is given back in parts: another program that fills the disk takes what is free, so what one
// commit left of a part may be gone when the next removal looks for space.
//
// The files have no bytes, only space that was reserved for them. Where the filesystem cannot
// reserve, they weigh nothing, and nothing is promised. Any thread.
#pragma once

#include <array>
#include <functional>
#include <mutex>

#include "dedup/base/storage.h"

namespace varve {

class Ballast {
 public:
  static constexpr size_t kParts = 4;
  explicit Ballast(Storage& storage) : storage_(storage) {}

  /// What it weighs on a disk of that size: 1/64 of it, at most 64 MiB.
  static uint64_t bytes_for(uint64_t disk_total);

  /// Takes over what an earlier mount took.
  void take_over();
  /// Takes the parts that are missing, if there is as much space left beside them.
  void take_if_room();
  /// Gives a part back, for good until take_if_room finds room again. False if there was none.
  bool give();
  /// `action`, and again with each part that is given back, as long as it finds no space.
  Result<void> with_space(const std::function<Result<void>()>& action);
  /// What would have to be free before it is whole again: nothing while all of it is held.
  uint64_t missing_bytes() const;

 private:
  uint64_t missing_locked() const;
  Result<void> take_parts_here();
  Result<void> take_missing_parts();
  Result<void> take_part(size_t part);
  Result<void> give_part(size_t part);

  Storage& storage_;
  mutable std::mutex mutex_;  // of what follows, and of the files
  std::array<bool, kParts> held_{};
  uint64_t part_bytes_ = 0;
};

}  // namespace varve
