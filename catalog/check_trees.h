// Follows tree objects down to chunks: from a snapshot's tops, or from a stub of the live tree. A
// part of the checker.
//
// One thread. An object that was met before is not read again: where something below it is damaged,
// the new place is reported in one line that names the first. The link table that belongs to an
// object's entries is that of the first snapshot that it was met in.
#pragma once

#include <unordered_map>
#include <unordered_set>

#include "catalog/checked_packs.h"
#include "catalog/snapshot_body.h"
#include "catalog/tree.h"

namespace varve {

class TreeCheck {
 public:
  TreeCheck(const CheckedPacks& packs, Fetch& fetch, const CheckOptions& options,
            CheckReport& report);

  bool is_stopped() const { return options_.is_stopped(); }

  struct Where {
    std::string set, snapshot;  // as findings name them
    SetId id;
    /// By number: packs that readers of this tree know. Empty: all.
    std::vector<bool> listed;
  };
  /// A set in a snapshot.
  void check_tree(const Where& where, const SnapshotTree& tree);
  /// What a row of the live tree names: a directory's tree, or a file's extents.
  void check_stub(const Where& where, const std::string& path, const TreeRef& ref, TreeKind kind,
                  const std::optional<TreeRef>& links);

  /// Bytes of one file that cannot be read. Other parts of the checker use it alike.
  struct FileDamage {
    uint64_t bytes = 0;
    std::map<std::string, std::pair<uint64_t, std::optional<PackId>>> places;  // what: bytes, pack
    void add(uint64_t length, const std::string& what, std::optional<PackId> pack);
  };
  /// The extent's chunk; nullopt, and a note in `damage`, if its bytes are not here in full.
  std::optional<CheckedPacks::Chunk> check_extent(const Extent& extent,
                                                  const std::optional<ChunkPlace>& hint,
                                                  FileDamage& damage) const;
  /// A line for each place that bytes of the file are lost in.
  void report_file(const Where& where, const std::string& path, const FileDamage& damage);

 private:
  struct Frame {
    TreeReader::Object object;
    ChunkId id;
    size_t next = 0;
    size_t path_length = 0;
    bool damaged = false;
    std::optional<PackId> pack;     // where what is damaged first was
    bool of_file = false;           // the root of a file's extents
    std::string_view end_key = {};  // all keys below are smaller; of an object of a frame before
  };
  /// Something damaged: the place where it was met first, and the pack that it was in.
  struct Known {
    std::string place;
    std::optional<PackId> pack;
  };
  struct Expected {
    TreeKind kind;
    std::optional<uint8_t> level;
    std::string_view first_key = {}, end_key = {};  // of what is below; empty: any
  };

  void walk(const TreeRef& root, TreeKind kind, const std::string& path);
  void enter(const HintedId& id, const Expected& expected);
  void step();
  void leave();
  void visit(const TreeRecord& record);
  void visit_entry(const TreeEntry& entry);
  void visit_node(const TreeNode& node);
  void visit_link(const LinkRecord& link);
  bool is_readable(const HintedId& id, const Expected& expected, TreeReader::Object& object);
  void visit_extent(const HintedExtent& extent, FileDamage& damage);
  void note_link(std::optional<PackId> pack);
  void shares(const Known& known, TreeKind kind);
  void check_listed(const CheckedPacks::Chunk& chunk);
  void damaged_here(std::string problem, std::optional<PackId> pack);
  void damaged_frame(std::optional<PackId> pack);
  std::string place() const;

  const CheckedPacks& packs_;
  const CheckOptions& options_;
  CheckReport& report_;
  TreeReader reader_;
  const Where* where_ = nullptr;
  const std::optional<TreeRef>* links_ = nullptr;
  std::string path_;
  std::vector<Frame> frames_;
  FileDamage file_;
  std::set<uint32_t> unlisted_;  // packs that were reported for this tree

  std::unordered_set<ChunkId, IdHash> met_;
  std::unordered_map<ChunkId, Known, IdHash> damaged_;  // objects
  std::map<SetId, std::map<uint64_t, Known>> damaged_links_;
  uint64_t link_ = 0;  // the number of the link that was visited last
};

}  // namespace varve
