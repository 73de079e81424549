// What keyless expiry would do at a remote, judged by what lies there: a pure function
// (docs/replication.md, "Expiry").
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dedup/retention.h"
#include "replicator/carried_history.h"
#include "replicator/carried_records.h"

namespace varve {

/// What lies at the remote. The history is of both places.
struct ExpiryView {
  const std::set<StoreFile>& here;       // in their places
  const std::set<StoreFile>& condemned;  // moved away by an earlier run
  /// Packs of these that are not as long as lists say, which interrupted copies leave: they count
  /// as absent.
  const std::set<StoreFile>& torn_here;
  const std::set<StoreFile>& torn_condemned;
  const CarriedHistory& history;
  const CarriedRecords& records;
};

struct ExpiryTerms {
  RetentionRule rule;
  ReplicaId replica;        // whose drops bind
  Nanoseconds now = 0;      // by the replica's clock
  bool has_catalog = true;  // no site keeps catalog packs back: else one is whole without them
  /// Of a run that is at work: the snapshots that it moves away. The others that are in their
  /// places stay in it, whatever the rule says, and so does what they need.
  std::optional<std::set<FileHash>> leaving;
};

struct JudgedSnapshot {
  FileHash hash;
  SetId set;
  SnapshotClass snapshot_class = SnapshotClass::kSet;
  Nanoseconds time = 0;
  bool kept = false;
  bool whole = false;
  std::string why;
};

struct ExpiryPlan {
  std::vector<JudgedSnapshot> snapshots;  // oldest first
  std::vector<StoreFile> to_condemn;      // in the order of removal
  std::vector<StoreFile> to_return;       // condemned, and needed; in the order of publishing
  std::vector<StoreFile> to_delete;       // condemned, and needed by none; in the order of removal
  std::vector<StoreFile> first_met;       // that a later run asks the age of
  uint64_t strangers = 0;                 // packs that no list names
  std::vector<std::string> unknown;       // what is needed and not known: nothing may go
  std::map<FileHash, uint64_t> pack_bytes;  // as lists have them
};

/// When a run met a file first.
using AskMet = std::function<std::optional<Nanoseconds>(const StoreFile&)>;

/// How long a list that no snapshot names is taken to be on its way in, and a snapshot that is
/// forgotten everywhere stays.
inline constexpr Nanoseconds kUnclaimedListGrace = 30 * 24 * 3600 * kSecond;
inline constexpr Nanoseconds kForgetGrace = 7 * 24 * 3600 * kSecond;

ExpiryPlan plan_expiry(const ExpiryView& view, const ExpiryTerms& terms, const AskMet& met);

}  // namespace varve
