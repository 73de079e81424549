#include "catalog/unfold.h"

#include "catalog/tree_links.h"

namespace varve {

const Extent& TreeUnfolder::extent_of(const HintedExtent& hinted) const {
  if (note_ && hinted.hint) note_(hinted.extent.chunk, *hinted.hint);
  return hinted.extent;
}

Result<std::vector<Unfolder::Child>> TreeUnfolder::unfold_directory(
    const TreeRef& tree, const std::optional<TreeRef>& links) {
  std::vector<Child> children;
  auto visit = [&](const TreeRecord& record) -> Result<bool> {
    TreeEntry entry = VARVE_TRY(decode_entry(record));
    if (entry.linked) entry.node = VARVE_TRY(find_link(reader_, links, entry));
    Child child;
    child.name = std::move(entry.name);
    child.number = entry.number;
    child.linked = entry.linked;
    child.inode = entry.node.inode;
    child.xattrs = std::move(entry.node.xattrs);
    child.target = std::move(entry.node.target);
    child.below = entry.node.below;
    for (const HintedExtent& extent : entry.node.extents)
      child.extents.push_back(extent_of(extent));
    children.push_back(std::move(child));
    return true;
  };
  VARVE_TRY(reader_.scan(tree, "", visit));
  return children;
}

Result<std::vector<Extent>> TreeUnfolder::unfold_extents(const TreeRef& tree) {
  std::vector<Extent> extents;
  uint64_t end = 0;
  auto visit = [&](const TreeRecord& record) -> Result<bool> {
    HintedExtent next = VARVE_TRY(decode_extent_record(record));
    if (next.extent.offset < end)
      return Error(Errc::kCorrupt, "extents overlap in tree " + tree.id.hex());
    end = next.extent.offset + next.extent.length;
    extents.push_back(extent_of(next));
    return true;
  };
  VARVE_TRY(reader_.scan(tree, "", visit));
  return extents;
}

}  // namespace varve
