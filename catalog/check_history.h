// Lists, snapshots and records as files: what is here, what of it holds, and which packs it asks
// for. A part of the checker; with a keyring or, as a carrier, without.
//
// One thread.
#pragma once

#include <map>
#include <vector>

#include "catalog/checker.h"
#include "catalog/snapshot_body.h"
#include "dedup/hold_format.h"

namespace varve {

/// A snapshot in force, checkpoints among them.
struct CheckedSnapshot {
  FileHash hash;
  WriterId writer;
  uint64_t sequence = 0;
  SnapshotHeader header;
  SnapshotBody body;           // empty without a keyring
  std::string set_name, name;  // as shown; without a keyring both are empty
  FileHash list;               // that counts: the newest whole one, else the newest
  bool listed = false;         // that list and its bases are here

  bool is_checkpoint() const { return header.snapshot_class == SnapshotClass::kCheckpoint; }
};

class CheckedHistory {
 public:
  /// Reads every list, snapshot and record of `files` and reports those that do not hold.
  static Result<CheckedHistory> read(const CheckedStore* with_key, const KeylessStore& store,
                                     const StoreFiles& files, CheckReport& report);

  /// In force, newest first.
  std::vector<CheckedSnapshot>& snapshots() { return snapshots_; }
  /// Every pack that a list names.
  const std::map<FileHash, PackInfo>& packs() const { return packs_; }
  /// The packs that are not here and that one of the remotes holds, by a hold that counts. Notes
  /// how many, and those of which that is not known.
  std::vector<PackInfo> evicted(const HoldingRemotes& remotes,
                                const std::function<bool(const PackInfo&)>& is_here,
                                CheckReport& report) const;
  /// Reports lists and packs that snapshots in force lack; `is_here` tells of packs. Chooses the
  /// list of each snapshot.
  void check_lists(const std::function<bool(const PackInfo&)>& is_here, CheckReport& report);
  /// Calls `visit` with every pack of a list that is here, and of its bases.
  void visit_packs(const FileHash& list, const std::function<void(const PackInfo&)>& visit) const;

 private:
  struct List {
    uint64_t sequence = 0;
    PackList content;
  };
  struct Publication {
    WriterId writer;
    uint64_t sequence = 0;
    FileHash hash, previous;
    std::string path;
  };
  class Reader;

  /// The list and all its bases are here: else the first that is not.
  std::optional<FileHash> missing_list(const FileHash& list) const;
  std::vector<FileHash> lists_of(const CheckedSnapshot& snapshot) const;
  void check_depths(CheckReport& report) const;

  std::map<FileHash, List> lists_;
  std::map<FileHash, std::vector<FileHash>> exact_for_;  // snapshot: exact lists that name it
  std::vector<CheckedSnapshot> snapshots_;
  std::vector<HoldInForce> holds_;
  std::map<FileHash, PackInfo> packs_;
};

/// Reports what unfinished writes left among the store's files.
void note_temporaries(const StoreFiles& files, CheckReport& report);

/// A snapshot as lines name it: "web01/monday", "/all", or what is known of it.
std::string shown_name(const CheckedSnapshot& snapshot);

}  // namespace varve
