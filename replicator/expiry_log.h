// replica/log of a remote: what expiry there does, told before it is done (docs/format.md section
// 7).
//
// Only appended to, by one run of expiry at a time. Replicators read it from where they were,
// before and after they publish a snapshot, and take note of what went (docs/replication.md,
// "Expiry").
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>

#include "dedup/base/clock.h"
#include "dedup/base/row_log.h"
#include "replicator/ledger.h"

namespace varve {

inline constexpr const char* kExpiryLogPath = "replica/log";

/// For who expires. One thread.
class ExpiryLog {
 public:
  static Result<std::unique_ptr<ExpiryLog>> open(Storage& remote);
  /// For who only looks: nothing is made, and nothing can be saved.
  static Result<std::unique_ptr<ExpiryLog>> read(Storage& remote);

  /// When a run met the file first, by the replica's clock.
  std::optional<Nanoseconds> met(const StoreFile& file) const;

  /// The last that was said of the file is that it goes.
  bool is_condemned(const StoreFile& file) const { return condemned_.contains(file); }

  /// Kept in memory until save().
  void note_begun(Nanoseconds now);
  void note_condemned(const StoreFile& file);
  void note_back(const StoreFile& file);
  void note_met(const StoreFile& file, Nanoseconds now);
  void note_ended();
  Result<void> save() { return log_->save(); }

 private:
  ExpiryLog() = default;
  bool take(std::string_view row);

  std::unique_ptr<RowLog> log_;
  std::map<StoreFile, Nanoseconds> met_;
  std::set<StoreFile> condemned_;
};

/// For who replicates: reads on where the ledger says that it was, and notes in the ledger what was
/// condemned and what came back. True if the ledger claimed something that went. Rows of a run that
/// has not ended are read again by the next call: what was seen in place meanwhile may yet go. A
/// log that is not the one that was read makes the ledger forget all files.
Result<bool> follow_expiry_log(Storage& remote, ReplicationLedger& ledger);

}  // namespace varve
