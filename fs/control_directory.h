// .varve, in the root and in each set: found by name, never listed.
//
//   MNT/.varve/snapshots/NAME/    MNT/.varve/sets/SET[@WRITER]/snapshots/NAME/
//   MNT/.varve/status.json, metrics
//   MNT/SET/.varve/snapshots/NAME/
//   MNT/SET/.varve/import.tar, import-replace.tar, live.tar
//   and beside each snapshot NAME.tar, which is not listed either
//
// Nodes are numbers alone (node_id.h); what a directory holds is asked of the history each time.
// Any thread.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "catalog/working_copy.h"
#include "fs/filesystem.h"
#include "fs/node_id.h"
#include "fs/snapshot_nodes.h"
#include "fs/tar_exports.h"

namespace varve {

class ControlDirectory {
 public:
  struct Texts {
    std::function<std::string()> status, metrics;
  };
  ControlDirectory(WorkingCopy& working_copy, SnapshotNodes& snapshots, TarExports& exports,
                   Texts texts)
      : working_copy_(working_copy),
        snapshots_(snapshots),
        exports_(exports),
        texts_(std::move(texts)),
        slots_{SetId{}} {}

  /// The `.varve` of a live directory; kNotFound unless it is the root or a set's top.
  Result<Entry> of_live(Ino directory);
  Result<Entry> lookup(Ino directory, std::string_view name);
  Result<Entry> attributes(Ino node);
  /// What status.json or metrics says now; kIsDirectory for a directory.
  Result<std::string> content(Ino node);

  struct Listed {
    std::string name;
    Ino ino;
    FileType type;
  };
  /// All entries, "." and ".." among them.
  Result<std::vector<Listed>> list(Ino directory);

  /// The set whose snapshots the directory holds (zeros: the whole mount's); nullopt if it is no
  /// such directory.
  std::optional<SetId> set_of_snapshots(Ino directory);
  /// The file takes an archive for the live set; nullopt if it is no such file, or the set has no
  /// live tree.
  struct ImportDoor {
    LiveTree::Set set;
    bool replace = false;
  };
  std::optional<ImportDoor> import_door(Ino node);
  /// The set that the file is the archive of (zeros: the whole mount); nullopt if it is no
  /// live.tar.
  std::optional<SetId> live_archive(Ino node);
  /// The snapshot that the file is the archive of; nullopt if it is none.
  std::optional<SnapshotInfo> snapshot_archive(Ino node);
  /// The node of the directory of a set's snapshots beside its live tree.
  Ino snapshots_directory(const SetId& set);
  /// Who, besides root, may take and remove the set's snapshots.
  uint32_t owner(const SetId& set);

 private:
  enum class Kind : uint8_t {
    kTop = 1,
    kSnapshots = 2,
    kSets = 3,
    kSet = 4,
    kSetSnapshots = 5,
    kStatus = 6,
    kMetrics = 7,
    kImport = 8,
    kImportReplace = 9,
    kLiveTar = 10,
    kSnapshotTar = 11  // its slot is the snapshot's view number
  };
  static Ino node(Kind kind, uint64_t slot) {
    return kControlBit | (Ino{static_cast<uint8_t>(kind)} << kFileNumberBits) | slot;
  }
  static Kind kind_of(Ino ino) {
    return static_cast<Kind>((ino & ~kControlBit) >> kFileNumberBits);
  }
  static bool is_file(Kind kind);
  static uint16_t permissions(Kind kind);
  uint64_t slot_of(const SetId& set);
  std::optional<SetId> set_at(uint64_t slot);
  std::optional<LiveTree::Set> live_set(const SetId& set);
  std::vector<SetInfo> sets_without_tree();
  std::vector<SnapshotInfo> shown(const SetId& set);
  std::vector<Listed> names_below(Ino directory);
  Ino parent(Ino ino);
  Result<Entry> lookup_archive(const SetId& set, std::string_view name);
  Result<Entry> archive_attributes(Ino ino, const SnapshotInfo& snapshot);

  WorkingCopy& working_copy_;
  SnapshotNodes& snapshots_;
  TarExports& exports_;
  Texts texts_;
  std::mutex mutex_;
  std::vector<SetId> slots_;  // by slot; 0 is the whole mount
  std::unordered_map<uint64_t, FileHash>
      archives_;  // by slot: snapshots whose archive was asked for
};

}  // namespace varve
