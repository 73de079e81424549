// The inside of History, shared by the files that implement it: loading (history_load), asking
// (history), publishing (history_publish).
//
// Nothing here locks; History's calls hold `mutex` around everything. Where nobody publishes, it is
// let go of while files are read (`Locked`).
#pragma once

#include <map>
#include <mutex>
#include <set>

#include "catalog/history.h"

namespace varve {

inline constexpr int kListDepthMax = 64;
inline constexpr uint64_t kPublicationsPerBase = 32;
inline constexpr size_t kCheckpointsKept = 2;

struct History::State {
  State(Storage& storage_in, const Keyring& keyring_in, Clock& clock_in, Random& random_in,
        const ReplicaId& replica_in, Executor* readers_in)
      : storage(storage_in),
        keyring(keyring_in),
        clock(clock_in),
        random(random_in),
        replica(replica_in),
        readers(readers_in) {}

  struct ListNode {
    uint8_t depth = 0;
    std::vector<FileHash> bases;
    // Of an exact list:
    uint64_t sequence = 0;
    WriterId writer;
    std::set<FileHash> snapshots;
  };
  struct Loaded {
    Envelope envelope;
    Bytes file;
  };

  Storage& storage;
  const Keyring& keyring;
  Clock& clock;
  Random& random;
  const ReplicaId replica;
  Executor* const readers;

  std::mutex mutex;
  uint64_t version = 1;
  WriterId writer;
  std::vector<WriterId> succeeded;
  BeforePublish before_publish;
  std::function<std::vector<FileHash>()> keep_lists;

  // The place's clock, where it has one.
  AskMachine machine;
  std::optional<ReplicaTime> place_time;  // as it was when this was opened; none: not known
  bool time_unsaved = false;              // that was logged
  std::map<WriterId, PublishedAt> newest_published;

  // What is here. Names of snapshots are the chosen ones; shown names are made in `shown`.
  std::map<FileHash, SnapshotInfo> snapshots;
  std::set<FileHash> lists, records;
  std::map<FileHash, ListNode> list_nodes;           // read lazily
  std::map<FileHash, BaseRecord::Snapshot> covered;  // headers that bases vouch for
  std::map<std::string, BaseRecord::InForce> in_force;
  std::map<WriterId, BaseRecord::Head> heads;
  uint64_t highest_sequence = 0;
  uint64_t newest_base_sequence = 0;
  std::set<std::string> refused;  // paths that were logged
  // Of what was read while loading, so that it comes over the line once: where there are readers,
  // small, and not many. What is asked for next is most often in them.
  std::map<FileHash, PackList> kept_lists;
  std::map<FileHash, SnapshotBody> kept_bodies;
  std::map<std::string, FileHash> newest_born;  // by class and set: the last list published here
  std::vector<SnapshotInfo> shown;              // derived at every change

  // history_load.cc
  struct Names {
    std::set<FileHash> records, lists, snapshots;
  };
  /// What lies in the three folders, looked at together where there are readers. Needs no lock.
  Result<Names> names() const;
  Result<std::set<FileHash>> names_in(HistoryKind kind) const;
  using Locked = std::unique_lock<std::mutex>;
  void load(const Names& names, Locked& lock);
  bool load_records(const std::set<FileHash>& names, Locked& lock);
  void load_lists(const std::set<FileHash>& names, Locked& lock);
  void keep_list(const FileHash& hash, const Envelope& envelope);
  bool load_snapshots(const std::set<FileHash>& names, Locked& lock);
  /// Reads them all, in this order, and shows those that verify; many at a time where there are
  /// readers, with the lock let go.
  using Visit = std::function<void(const FileHash&, const Envelope&)>;
  void read_all(HistoryKind kind, const std::vector<FileHash>& files, Locked& lock,
                const Visit& visit);
  /// nullopt if the file is not there or does not verify (logged once).
  std::optional<Envelope> read_verified(HistoryKind kind, const FileHash& hash);
  std::optional<Envelope> verified(HistoryKind kind, const FileHash& hash,
                                   Result<Envelope> envelope);
  /// Needs no lock.
  Result<Envelope> read_envelope(HistoryKind kind, const FileHash& hash) const;
  struct ReadList {
    PackList content;
    ListNode node;
  };
  Result<ReadList> read_list_file(const FileHash& list) const;
  Result<PackList> read_pack_list(const FileHash& list) const;
  void refuse(HistoryKind kind, const FileHash& hash, const Error& error);
  bool apply_record(const FileHash& hash, const Envelope& envelope);
  void apply_statement(const WriterId& by, uint64_t sequence, const Statement& statement);
  bool add_snapshot(const FileHash& hash, const Envelope& envelope);
  void note_head(const WriterId& by, uint64_t sequence, const FileHash& hash);
  /// When it was published, for the place's clock.
  void note_time(const WriterId& by, uint64_t sequence, Nanoseconds time);
  void changed();

  // history.cc
  bool is_dropped(const FileHash& snapshot) const;
  std::optional<int64_t> locked_until(const FileHash& snapshot) const;
  bool is_locked(const FileHash& snapshot) const { return locked_until(snapshot).has_value(); }
  std::vector<HoldInForce> holds() const;
  Result<PackList> read_list(const FileHash& list);
  Result<const ListNode*> list_node(const FileHash& list);
  /// Visits `list` and all its bases once each.
  Result<void> walk_lists(
      const FileHash& list,
      const std::function<Result<void>(const FileHash&, const PackList&)>& visit);
  Result<std::vector<PackInfo>> packs_of(const FileHash& list);

  // history_locks.cc
  Nanoseconds lock_time() const;
  std::vector<PublishedAt> published_by_others() const;
  Result<void> save_time();
  /// When a lock ends that a snapshot of the set is born with; nullopt: it has none.
  std::optional<int64_t> lock_of_new(const SetId& set) const;

  // history_publish.cc
  struct Publication {
    HistoryKind kind;
    Bytes readable, sealed_plain;
    bool sealed = false;
    Nanoseconds time = 0;
  };
  /// Whether this writer has a snapshot of that name in force: other writers' are told apart when
  /// they are shown.
  bool has_own(const SetId& set, const std::string& name) const;
  Result<void> announce(uint64_t count);
  /// The file of a publication by `author`, with the next sequence.
  Bytes file_of(const Publication& publication, const WriterId& author) const;
  Result<FileHash> publish(const Publication& publication);
  Result<FileHash> publish_list(std::vector<FileHash> bases, const std::vector<PackInfo>& rows,
                                Nanoseconds time);
  Result<void> publish_statements(const std::vector<Statement>& statements);
  Result<void> publish_base();
  void publish_base_if_due();
  BaseRecord base() const;
  Publication publication_of(const BaseRecord& base) const;
  Result<void> remove_file(HistoryKind kind, const FileHash& hash);
  /// Removes each of `candidates`, and then its bases, as far as nothing names them.
  Result<void> remove_unnamed_lists(std::vector<FileHash> candidates,
                                    const std::vector<FileHash>& kept);
  /// The same where a list that stays does no harm: a failure is logged.
  void tidy_lists(std::vector<FileHash> candidates, const std::vector<FileHash>& kept);

  // history_exact_lists.cc
  /// Exact lists that name the snapshot, newest first. kIo where the storage does not give one now.
  Result<std::vector<FileHash>> exact_lists_of(const FileHash& snapshot);
  /// Those of this writer, and of those it succeeds, whose snapshots `newest` names, all that are
  /// here.
  void remove_superseded_exact_lists(const FileHash& newest);
};

const char* folder_of(HistoryKind kind);
std::string history_path(HistoryKind kind, const FileHash& hash);

}  // namespace varve
