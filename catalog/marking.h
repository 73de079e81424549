// Which packs are needed, and by whom: follows tree objects down to the packs of what they name.
//
// An owner is whoever needs something: a snapshot, or a set's live tree. Each object is read once,
// whoever shares it; what it leads to is kept as numbers, and given to each owner at the end. A
// chunk has one place, the index's; the other packs that may hold a copy of it are not needed for
// it. One thread.
#pragma once

#include <functional>
#include <unordered_map>
#include <vector>

#include "catalog/tree.h"
#include "dedup/chunk_table.h"

namespace varve {

class Marking {
 public:
  using Owner = uint32_t;
  using Progress = std::function<void(uint64_t objects)>;

  Marking(ChunkIndex& index, Fetch& fetch, Progress progress = {});

  Owner add_owner();
  /// What the owner's tree leads to. kIo and kCorrupt where an object cannot be read: then it is
  /// not known what the owner needs, and the call is made again or the owner is given up.
  Result<void> mark_tree(Owner owner, const TreeRef& root);
  Result<void> mark_chunk(Owner owner, const ChunkId& id);
  /// The owner needs that pack, whatever lies in it.
  void mark_pack(Owner owner, const PackId& pack);

  /// Needed by anybody. Chunks that are in no pack that is known are in the pack of zeros.
  bool is_needed(const PackId& pack) const { return numbers_.contains(pack); }
  const std::vector<PackId>& packs() const { return packs_known_; }
  /// By owner, its packs, each once.
  std::vector<std::vector<PackId>> packs_by_owner() const;
  uint64_t objects() const { return objects_.size(); }

 private:
  using Number = uint32_t;
  struct KeyHash {
    size_t operator()(const ChunkKey& key) const { return key.low ^ key.high; }
  };
  /// Where its rows begin in children_ and packs_; they end where the next one's begin.
  struct Object {
    size_t children = 0, packs = 0;
  };
  /// An object whose children are being followed.
  struct Frame {
    ChunkKey key;
    std::vector<HintedId> below;
    size_t next = 0;
    std::vector<Number> children, packs;
  };

  Result<Frame> read(const HintedId& id);
  Result<void> read_records(const TreeObject& object, Frame& frame);
  Result<void> read_node(const TreeNode& node, Frame& frame);
  Result<void> add_place(const ChunkId& id, const std::optional<ChunkPlace>& hint,
                         std::vector<Number>& packs);
  Number leave(Frame frame);
  Number number_of(const PackId& pack);

  ChunkIndex& index_;
  TreeReader reader_;
  const Progress progress_;

  std::unordered_map<PackId, Number, IdHash> numbers_;
  std::vector<PackId> packs_known_;
  std::unordered_map<ChunkKey, Number, KeyHash> met_;  // objects that were followed to their end
  std::vector<Object> objects_;                        // children before parents
  std::vector<Number> children_, packs_;
  struct Owned {
    std::vector<Number> roots, packs;
  };
  std::vector<Owned> owners_;
};

}  // namespace varve
