// What a carrier obeys of a store's records, without a key: locks, holds, drops; and which records
// a newer base record stands for (docs/format.md section 6).
//
// Files are immutable, so what was read once is not read again. One thread.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "dedup/history_format.h"
#include "dedup/hold_format.h"
#include "dedup/statement.h"
#include "dedup/store_config.h"
#include "dedup/store_files.h"

namespace varve {

/// A record as its readable part has it.
struct CarriedRecord {
  WriterId writer;
  uint64_t sequence = 0;
  Nanoseconds time = 0;
  std::vector<Statement> statements;  // but bases
  std::vector<BaseRecord> bases;
};

/// kCorrupt if its bytes do not hash to its name, its signature does not hold by `keys`, or a
/// statement does not have its type's form.
Result<CarriedRecord> read_carried_record(Storage& storage, const StoreConfig& config,
                                          const std::vector<std::pair<EpochId, PublicKey>>& keys,
                                          const FileHash& hash);

class CarriedRecords {
 public:
  /// Reads what `files` of `storage` has and was not read before, and forgets what it has not.
  /// Records that are damaged, or of an unknown epoch, are in problems(). Those that go while it
  /// reads are no error.
  Result<void> refresh(Storage& storage, const StoreConfig& config, const StoreFiles& files);

  const std::map<FileHash, CarriedRecord>& records() const { return records_; }
  /// One line a file that counts as absent.
  const std::map<StoreFile, std::string>& problems() const { return problems_; }

  /// Until when the snapshot is locked, in seconds since 1970.
  std::optional<int64_t> locked_until(const FileHash& snapshot) const;
  bool is_dropped(const FileHash& snapshot, const ReplicaId& replica) const;
  bool is_forgotten(const FileHash& snapshot) const;
  /// Those that are not released, by the records that `lies_there` says are there.
  using LiesThere = std::function<bool(const FileHash& record)>;
  std::vector<HoldInForce> holds(const LiesThere& lies_there) const;
  /// By all records.
  std::vector<HoldInForce> holds() const;
  /// Lists that holds name, at whatever replica, which were not released.
  std::set<FileHash> held_lists() const;

  /// The newest base record; none if there is none.
  std::optional<FileHash> newest_base() const;
  /// Whether the record `base`, one of records(), says all that `record` says: each statement, or
  /// one that outranks it, and no lower head of any writer.
  bool covers(const FileHash& base, const CarriedRecord& record) const;

 private:
  using InForce = std::map<std::string, BaseRecord::InForce>;
  void arrange();
  static std::vector<HoldInForce> holds_of(const InForce& in_force);
  const BaseRecord::InForce* find(const std::string& subject) const;

  std::vector<std::pair<EpochId, PublicKey>> keys_;
  std::set<FileHash> keys_read_;  // the generations that keys_ comes from
  std::map<FileHash, CarriedRecord> records_;
  std::map<StoreFile, std::string> problems_;
  InForce in_force_;
};

}  // namespace varve
