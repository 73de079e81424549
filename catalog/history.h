// What was published, by whom, and what is in force: snapshots, lists and records of a store.
//
// Reads immutable files only, so it serves mounted and unmounted stores, with keys. Any thread (one
// mutex). What does not verify is logged once and counts as absent until its bytes change.
// Publishing keeps the order lists < snapshots < records, gives the next sequence, and links to the
// writer's head.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "catalog/snapshot_body.h"
#include "dedup/base/clock.h"
#include "dedup/base/executor.h"
#include "dedup/base/storage.h"
#include "dedup/hold_format.h"
#include "dedup/replica_clock.h"
#include "dedup/succession.h"

namespace varve {

struct SnapshotInfo {
  FileHash hash;
  WriterId writer;
  uint64_t sequence = 0;
  Nanoseconds time = 0;
  SnapshotHeader header;
  std::string set_name;  // as it was then; where two sets had the same: that, or that and @writer
  std::string name;      // shown name: NAME, or NAME@writer where two writers chose the same
};

/// A set that has snapshots.
struct SetInfo {
  SetId id;
  /// As the newest snapshot shows it.
  std::string name;
  WriterId writer;  // of the newest snapshot
};

class History {
 public:
  /// Reads what is there: records first, then what no base of theirs covers. Drops bind that name
  /// `replica` (zeros: none do). `readers`, if given, read many files at a time, for a storage that
  /// is far away; it must outlive this.
  static Result<std::unique_ptr<History>> open(Storage& storage, const Keyring& keyring,
                                               Clock& clock, Random& random,
                                               const ReplicaId& replica = {},
                                               Executor* readers = nullptr);
  ~History();

  /// Notices files that came or went since (cp, absorb, heal). Costs three directory listings;
  /// where nobody publishes, nobody waits for them.
  Result<void> refresh();
  /// Changes whenever the answer of snapshots() may have changed.
  uint64_t version() const;

  /// In force and not dropped here, checkpoints left out, oldest first.
  std::vector<SnapshotInfo> snapshots() const;
  std::vector<SnapshotInfo> snapshots_of(const SetId& set) const;
  /// Sets that have snapshots, by shown name.
  std::vector<SetInfo> sets() const;
  /// Checkpoints of all writers, newest first.
  std::vector<SnapshotInfo> checkpoints() const;
  std::optional<SnapshotInfo> find(const SetId& set, std::string_view shown_name) const;
  /// Reads and verifies the snapshot's file, unless that was done a while ago and it is only read
  /// here. kNotFound if there is none, or none that verifies; kIo where the storage does not give
  /// it now.
  Result<SnapshotBody> body(const FileHash& snapshot) const;
  /// In force, in no order.
  std::vector<Promotion> promotions() const;
  /// The policy in force for a set (zeros: for the whole mount's snapshots): JSON
  /// (catalog/set_policy.h).
  std::optional<std::string> policy(const SetId& set) const;

  /// Locks hold by this place's own clock, replica/clock, from now on, and no longer by the wall
  /// clock. `machine` says what the machine's clocks say. Called once, after become().
  using AskMachine = std::function<Result<MachineTime>()>;
  void tell_time_by(AskMachine machine);
  /// Remembers how late it is, so that a reboot does not set the place's clock far back. Cheap
  /// where that was done a short time ago. That it cannot be is logged, once.
  void save_time();
  /// What time it is, as far as locks are concerned.
  Nanoseconds lock_time() const;
  /// Until when the snapshot is locked, in seconds since 1970; nullopt if it is not, or not any
  /// more.
  std::optional<int64_t> locked_until(const FileHash& snapshot) const;

  /// Those that are not released.
  std::vector<HoldInForce> holds() const;
  /// The lists whose files are here and, as far as they were read, verify.
  std::vector<FileHash> lists() const;
  /// Those that snapshots of the set (zeros: of any) and of the whole mount name, newest first.
  std::vector<FileHash> lists_of(const SetId& set) const;
  /// One list, without its bases. kIo where the storage does not give it now.
  Result<PackList> list(const FileHash& list) const;
  /// The packs of a list and all its bases.
  Result<std::vector<PackInfo>> packs_of_list(const FileHash& list) const;
  /// Exact lists that name the snapshot, newest first (catalog/snapshot_needs.h has what they say).
  Result<std::vector<FileHash>> exact_lists_of(const FileHash& snapshot) const;
  /// The packs of every list that can be read; those that cannot are logged.
  std::vector<PackInfo> listed_packs() const;
  /// Bases deeper than 64 must be written out flat.
  Result<uint8_t> list_depth(const FileHash& list) const;

  // Publishing, as `writer`, who took over from `succeeded`: their checkpoints are pruned with its
  // own.
  void become(const WriterId& writer, std::vector<WriterId> succeeded = {});
  WriterId writer() const;
  std::vector<WriterId> succeeded() const;
  uint64_t highest_sequence() const;
  /// The newest that a writer published, as far as known here.
  std::optional<BaseRecord::Head> head(const WriterId& writer) const;
  /// Called before anything is published, with the highest sequence about to be given: remembers it
  /// durably, so that a writer that was restored from an image notices. Its error stops the
  /// publication. It must not call the History.
  using BeforePublish = std::function<Result<void>(
      const WriterId&, const std::vector<WriterId>& succeeded, uint64_t sequence)>;
  void before_publish(BeforePublish callback);
  /// Lists that stay although no snapshot names them: what the next lists build on. It must not
  /// call the History.
  void keep_lists(std::function<std::vector<FileHash>()> callback);

  struct NewSnapshot {
    SnapshotClass snapshot_class = SnapshotClass::kSet;
    SetId set;
    SnapshotBody body;
    std::vector<FileHash> bases;
    std::vector<PackInfo> rows;
  };
  /// kExists if this writer has a snapshot of the set with that name. Where the set's policy has a
  /// lock for new snapshots, it is locked on return; if only that failed, the error says so.
  Result<SnapshotInfo> publish_snapshot(const NewSnapshot& snapshot);
  Result<void> publish_record(const std::vector<Statement>& statements);
  /// Publishes a list of those packs, and that `replica` is to keep them; the list stays.
  Result<HoldInForce> publish_hold(const ReplicaId& replica, const std::vector<PackInfo>& packs);
  /// Publishes an exact list; those that this writer, and those that it succeeds, published before
  /// go, as far as it names all their snapshots that are here.
  Result<FileHash> publish_exact_list(PackList list);
  /// Nothing builds on these lists any more: they go, as far as nothing names them.
  void let_go_lists(const std::vector<FileHash>& lists);
  /// Drops for this replica: the statement first, then the snapshot's file and lists that nothing
  /// names any more. kPermission if the snapshot is locked.
  Result<void> drop(const FileHash& snapshot);
  /// kNotFound if there is no such snapshot, kInvalid for a time that is over, kPermission where it
  /// is locked for longer: nobody shortens a lock.
  Result<void> lock(const FileHash& snapshot, int64_t until_seconds);
  /// Checkpoints of this writer, and of those it succeeds, beyond the newest two go; and of each
  /// other writer those beyond its newest two whole ones. No statement needed.
  Result<void> prune_checkpoints();
  /// All that is in force; removes the records that it covers.
  Result<void> publish_base();
  /// The first publication of a new writer, who joins the store in another place: a base record of
  /// all that is in force here. Nothing is written.
  struct FirstRecord {
    Bytes file;
    uint64_t sequence = 0;
  };
  Result<FirstRecord> first_record_of(const WriterId& newcomer) const;

 private:
  struct State;
  explicit History(std::unique_ptr<State> state);
  std::set<FileHash> superseded_of_others(const std::vector<SnapshotInfo>& newest_first,
                                          const std::set<WriterId>& mine) const;
  std::unique_ptr<State> state_;
};

}  // namespace varve
