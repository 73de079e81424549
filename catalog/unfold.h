// Turns tree objects back into what the live tree holds. Any thread.
#pragma once

#include "catalog/live_tree.h"
#include "catalog/tree.h"

namespace varve {

class TreeUnfolder : public Unfolder {
 public:
  explicit TreeUnfolder(Fetch& fetch) : reader_(fetch) {}

  Result<std::vector<Child>> unfold_directory(const TreeRef& tree,
                                              const std::optional<TreeRef>& links) override;
  Result<std::vector<Extent>> unfold_extents(const TreeRef& tree) override;

 private:
  TreeReader reader_;
};

}  // namespace varve
