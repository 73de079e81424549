// The rows of one set's live tree, as of one moment, become tree objects: what changed is written,
// what did not is referred to.
//
// Two passes, so that depth costs nothing: from the top down through directories that changed, then
// back over them, children first.
#pragma once

#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "catalog/row_probe.h"
#include "catalog/schema.h"
#include "catalog/snapshot_body.h"
#include "catalog/tree.h"

namespace varve {

/// What a snapshot's new objects need: the packs of what has a place already, and the ids of what
/// has none yet.
struct SnapshotReferences {
  std::unordered_set<PackId, IdHash> packs;
  std::unordered_set<ChunkId, IdHash> unplaced;

  void add(const ChunkId& id, const std::optional<ChunkPlace>& place);
};

/// What a walk found and wrote.
struct WalkedSet {
  uint32_t set = 0;
  SetRow row;         // as of the moment
  SnapshotTree tree;  // hints of what was just written are unset

  struct Directory {
    uint64_t number = 0;
    std::optional<TreeRef> tree;
    bool stub = false;  // was in a tree object only, and was not written
  };
  struct File {
    uint64_t number = 0;
    uint64_t data_generation = 0;
    TreeRef extents;
  };
  std::vector<Directory> directories;  // marked, or without a tree object until now
  std::vector<File> files;             // whose extents were written
  std::vector<uint64_t> links;         // rows of table h that the link table now says
  SnapshotReferences references;
};

/// One thread; for one set.
class SnapshotWalk {
 public:
  SnapshotWalk(KvView& view, Ingest& ingest, ChunkIndex& index, TreeReader& reader);

  Result<WalkedSet> walk(uint32_t set, const SetRow& row);

 private:
  struct Probes {
    RowProbe entries, inodes, xattrs, stubs, cleans, extents;
  };
  static Result<Probes> open_probes(KvView& view);

  TreeWriter writer(TreeKind kind);
  Result<std::optional<TreeRef>> stub_of(uint64_t number);
  Result<std::optional<TreeRef>> clean_of(uint64_t number);
  /// The tree of a directory that need not be written; nullopt for one that must be.
  Result<std::optional<TreeRef>> unchanged(uint64_t directory);
  Result<void> find_changed();
  Result<void> write_directory(uint64_t directory);
  Result<TreeEntry> read_entry(std::string_view name, const DirentRow& row);
  Result<std::optional<Inode>> read_inode(uint64_t number);
  /// Everything of a file but what is below a directory.
  Result<TreeNode> read_node(uint64_t number, const Inode& inode);
  Result<void> read_content(uint64_t number, TreeNode& node);
  Result<void> read_extents(uint64_t number, TreeNode& node);
  Result<void> write_extents(std::string_view prefix, uint64_t number, TreeNode& node);
  Result<void> write_top();

  Result<void> write_links();
  Result<void> add_link(TreeWriter& writer, uint64_t number);

  KvView& view_;
  Ingest& ingest_;
  ChunkIndex& index_;
  TreeReader& reader_;
  std::optional<Probes> probes_;
  WalkedSet walked_;
  std::vector<uint64_t> changed_;  // directories to write, parents first
  std::unordered_map<uint64_t, std::optional<TreeRef>> written_;
};

}  // namespace varve
