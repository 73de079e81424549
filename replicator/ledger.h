// What this store knows to lie at one remote, so that finding what is missing costs no call there.
//
// A log of rows in local/; one that is lost costs a look at the remote. It claims only what the
// remote has acknowledged; whether the remote is still the one that acknowledged it is told by
// visits (remote.h). Rows are docs/replication.md, "The ledger". Any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "dedup/base/clock.h"
#include "dedup/base/row_log.h"
#include "dedup/hold_format.h"
#include "dedup/store_files.h"

namespace varve {

/// Whose checkpoint a snapshot file is.
struct CheckpointOf {
  WriterId writer;
  uint64_t sequence = 0;
};

/// One contact with a remote: the remote has the newest one of each sender, and so has the sender.
struct Visit {
  uint64_t number = 0;      // 0: none yet
  std::string token = "-";  // random, hexadecimal
  friend bool operator==(const Visit&, const Visit&) = default;
};

/// How far the remote's log of expiry was read: that many bytes, of which the last `line` have that
/// checksum. 0: not at all.
struct LogPosition {
  uint64_t offset = 0, line = 0, checksum = 0;
  friend bool operator==(const LogPosition&, const LogPosition&) = default;
};

class ReplicationLedger {
 public:
  struct Entry {
    uint64_t length = 0;  // bytes
    std::optional<CheckpointOf> checkpoint;
  };
  /// A part of a file that is durable at the remote under a temporary name: its number, counted in
  /// blocks, and the checksum of what was sent.
  using Blocks = std::map<uint32_t, uint64_t>;

  /// Reads `path` of `storage`; made, with its directory, if it is not there.
  static Result<std::unique_ptr<ReplicationLedger>> open(Storage& storage, const std::string& path);

  /// The same for who only looks: nothing is made, and nothing can be saved.
  static Result<std::unique_ptr<ReplicationLedger>> read(Storage& storage, const std::string& path);

  bool is_there(const StoreFile& file) const;
  /// What is remembered of a file that is there.
  std::optional<Entry> entry(const StoreFile& file) const;
  /// Whether that statement of a hold lies there, and its packs were all seen in place after that.
  bool is_held(const HoldSeen& hold) const;
  /// All of those.
  std::set<HoldSeen> held() const;
  /// Files that are there, and what is remembered of them.
  std::vector<std::pair<StoreFile, Entry>> checkpoints_there() const;
  size_t files_there() const;
  std::vector<StoreFile> records_there() const;
  /// The remote does not keep it: a snapshot has expired there, another file is needed by none
  /// that it keeps.
  bool is_condemned(const StoreFile& file) const;
  bool any_condemned() const;
  LogPosition log_position() const;
  Blocks blocks_of(const FileHash& file) const;
  /// That the remote may show: the last one that it acknowledged, and those begun since. Empty if
  /// nothing is known of any.
  std::vector<Visit> visits() const;
  /// When all that was here was there, in seconds since 1970; 0: never.
  int64_t last_complete() const;

  /// Notes are kept in memory until save(). A file that is there has no blocks any more.
  void note_there(const StoreFile& file, const Entry& entry);
  void note_gone(const StoreFile& file);
  void note_condemned(const StoreFile& file);
  /// It is none that was condemned; whether it is there is not known.
  void note_returned(const StoreFile& file);
  /// At 0: nothing is known to be condemned.
  void note_log_position(const LogPosition& position);
  void note_block(const FileHash& file, uint32_t number, uint64_t checksum);
  void note_no_blocks(const FileHash& file);
  void note_visit_begun(const Visit& visit);
  void note_visit_acknowledged(const Visit& visit);
  void note_complete(int64_t seconds);
  void note_held(const HoldSeen& hold);
  /// Nothing is known to be there, and no blocks; visits stay.
  void forget_files();

  /// Makes the notes so far durable. Broken once it has failed.
  Result<void> save();

 private:
  ReplicationLedger() = default;
  bool take(std::string_view row);
  bool take_file(const std::vector<std::string_view>& fields);
  bool take_log_position(const std::vector<std::string_view>& fields);
  void append(const std::string& row);
  std::vector<std::string> all_rows() const;
  Result<void> compact();

  struct Hash {
    size_t operator()(const StoreFile& file) const { return IdHash()(file.hash); }
  };

  mutable std::mutex mutex_;  // taken before the log's
  std::unordered_map<StoreFile, Entry, Hash> there_;
  std::unordered_map<FileHash, Blocks, IdHash> blocks_;
  std::unordered_set<StoreFile, Hash> condemned_;
  LogPosition log_position_;
  std::vector<Visit> visits_;
  std::map<HoldId, HoldSeen> held_;
  int64_t last_complete_ = 0;
  std::unique_ptr<RowLog> log_;
};

}  // namespace varve
