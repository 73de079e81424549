// local/lock: one daemon a store. Held by the kernel as long as the process lives, so that a crash
// leaves nothing behind.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "dedup/base/clock.h"
#include "dedup/base/result.h"
#include "dedup/base/unique_fd.h"

namespace varve {

class StoreLock {
 public:
  /// What the holder is at; who meets the lock sees it.
  enum class Stage { kOpening, kMounted, kEnding };

  /// Takes the lock of the store at `root`, whose local/ must be there, and writes down who holds
  /// it. `mountpoint` may be empty.
  ///
  /// A holder that is ending is waited for, half a minute at most, and a log line says so after a
  /// second; one that was mounted a moment ago for two seconds, because its mount may be gone
  /// already. kBusy "ROOT is mounted by PID on HOST" if somebody else keeps it.
  static Result<std::unique_ptr<StoreLock>> acquire(const std::string& root,
                                                    const std::string& mountpoint, Clock& clock);
  /// The same where local/ is the directory `local`; `shown` is what the messages speak of.
  static Result<std::unique_ptr<StoreLock>> acquire_in(const std::string& local,
                                                       const std::string& shown,
                                                       const std::string& mountpoint, Clock& clock);

  /// Writes down what the holder is at from now on, and what went wrong, if anything, for whoever
  /// waits for its end. Best effort: the lock holds without a word too.
  void enter(Stage stage, std::string_view trouble = {});

 private:
  StoreLock(UniqueFd file, std::string path, std::string mountpoint, Nanoseconds since)
      : file_(std::move(file)),
        path_(std::move(path)),
        mountpoint_(std::move(mountpoint)),
        since_(since) {}
  Result<void> write(Stage stage, std::string_view trouble);

  UniqueFd file_;
  const std::string path_, mountpoint_;
  const Nanoseconds since_;
};

/// Who holds the lock now, in JSON as the file has it; kNotFound if nobody does.
Result<std::string> read_store_lock(const std::string& root);

}  // namespace varve
