// Keyless expiry at a remote: a run (docs/replication.md, "Expiry").
//
//   look -> judge -> log -> return what is needed -> wait -> look again -> condemn -> delete what
//   an earlier run condemned -> look once more -> log the end
//
// 1. Nothing leaves its place before the log says so, durably; nothing is deleted in the run that
//    condemned it.
// 2. Snapshots leave before lists, lists before packs, each class durably; they come back the other
//    way round.
// 3. Where what is needed cannot be known, because a file is damaged or a list is missing, nothing
//    leaves and nothing is deleted; what is needed comes back all the same.
//
// One run at a time (ExpiryLock); replicators and readers may be at work.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "dedup/base/unique_fd.h"
#include "dedup/replica_clock.h"
#include "dedup/store_config.h"
#include "replicator/expiry_plan.h"

namespace varve {

struct ExpiryOptions {
  RetentionRule rule;
  bool dry_run = false;  // nothing is written
  /// Between the log and the second look: longer than a replicator's mount may show an old log.
  std::function<Result<void>()> wait;
};

struct ExpiryReport {
  Nanoseconds now = 0;  // by the replica's clock
  std::vector<JudgedSnapshot> snapshots;
  uint64_t snapshots_kept = 0, snapshots_expired = 0;
  uint64_t files_condemned = 0, bytes_condemned = 0;  // moved by this run; bytes of packs
  uint64_t files_deleted = 0, bytes_deleted = 0;
  uint64_t files_returned = 0;
  uint64_t strangers = 0;
  std::vector<std::string> unknown;  // why nothing could go
};

/// Held by one run. The kernel lets go of it when the process ends.
class ExpiryLock {
 public:
  /// kBusy if another run has it. `root` is the remote's directory.
  static Result<ExpiryLock> acquire(const std::string& root);
  /// For who makes something else of the place: nothing is written; none where nobody ever expired.
  static Result<std::optional<ExpiryLock>> acquire_if_any(const std::string& root);

 private:
  explicit ExpiryLock(UniqueFd file) : file_(std::move(file)) {}
  UniqueFd file_;
};

/// The remote's replica id. kBusy for a live store, kNotFound where there is no guard: it is no
/// remote.
Result<ReplicaId> check_place_to_expire(Storage& remote, const StoreConfig& config);

/// One run. An error leaves everything where the next run finds it.
Result<ExpiryReport> expire(Storage& remote, const ExpiryOptions& options,
                            const MachineTime& machine);

}  // namespace varve
