// Turns tree objects back into what the live tree holds. Any thread.
#pragma once

#include "catalog/live_tree.h"
#include "catalog/tree.h"

namespace varve {

class TreeUnfolder : public Unfolder {
 public:
  /// Told where the tree says that a chunk lies; the live tree keeps no hints.
  using NoteHint = std::function<void(const ChunkId&, const ChunkPlace&)>;
  explicit TreeUnfolder(Fetch& fetch, NoteHint note = {})
      : reader_(fetch, TreeReader::kTreeCacheBytes,
                note ? TreeReader::WithoutHint::kSameSegment : TreeReader::WithoutHint::kIndex),
        note_(std::move(note)) {}

  Result<std::vector<Child>> unfold_directory(const TreeRef& tree,
                                              const std::optional<TreeRef>& links) override;
  Result<std::vector<Extent>> unfold_extents(const TreeRef& tree) override;

 private:
  const Extent& extent_of(const HintedExtent& hinted) const;

  TreeReader reader_;
  const NoteHint note_;
};

}  // namespace varve
