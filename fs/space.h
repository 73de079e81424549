// Admission: is there room on the store's disk for what is about to be written?
//
// The disk is asked at most every 100 ms; what was admitted in between is counted. Any thread; a
// leaf lock.
#pragma once

#include <functional>
#include <mutex>

#include "dedup/base/clock.h"
#include "dedup/base/storage.h"

namespace varve {

/// Kept back of a disk of that size: for the database, snapshots, and what unlink needs to make
/// room.
uint64_t space_reserve_bytes(uint64_t total);
/// The part of it that admit_last gives out.
uint64_t space_last_bytes(uint64_t total);

class Space {
 public:
  /// `outstanding` gives the bytes that were accepted and are not on the disk yet, in the worst
  /// case.
  Space(Storage& storage, Clock& clock, std::function<uint64_t()> outstanding)
      : storage_(storage), clock_(clock), outstanding_(std::move(outstanding)) {}

  /// kNoSpace if `bytes` more might not fit. Does not wait.
  Result<void> admit(uint64_t bytes);
  /// The same with a part of what is kept back: for who has waited until nothing is outstanding,
  /// and writes what may be known already.
  Result<void> admit_last(uint64_t bytes);
  /// Asks the disk anew at the next call.
  void forget();
  /// What statfs says.
  Result<StorageSpace> figures();

 private:
  Result<void> refresh();
  Result<void> admit_beside(uint64_t bytes, uint64_t kept_back);

  Storage& storage_;
  Clock& clock_;
  std::function<uint64_t()> outstanding_;
  std::mutex mutex_;
  bool known_ = false;
  Nanoseconds asked_at_ = 0;
  StorageSpace space_;
  uint64_t outstanding_then_ = 0;  // when the disk was asked
  uint64_t admitted_since_ = 0;
};

}  // namespace varve
