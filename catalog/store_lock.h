// local/lock: one daemon a store. Held by the kernel as long as the process lives, so that a crash
// leaves nothing behind.
#pragma once

#include <memory>
#include <string>

#include "dedup/base/clock.h"
#include "dedup/base/result.h"
#include "dedup/base/unique_fd.h"

namespace varve {

class StoreLock {
 public:
  /// Takes the lock of the store at `root`, whose local/ must be there, and writes down who holds
  /// it. `mountpoint` may be empty. kBusy "ROOT is mounted by PID on HOST" if somebody else holds
  /// it.
  static Result<std::unique_ptr<StoreLock>> acquire(const std::string& root,
                                                    const std::string& mountpoint, Clock& clock);

 private:
  explicit StoreLock(UniqueFd file) : file_(std::move(file)) {}
  UniqueFd file_;
};

/// Who holds the lock now, in JSON as the file has it; kNotFound if nobody does.
Result<std::string> read_store_lock(const std::string& root);

}  // namespace varve
