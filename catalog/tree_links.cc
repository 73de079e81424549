#include "catalog/tree_links.h"

namespace varve {

Result<TreeNode> find_link(TreeReader& reader, const std::optional<TreeRef>& links,
                           const TreeEntry& entry) {
  std::optional<TreeRecord> record;
  if (links) record = VARVE_TRY(reader.find(*links, link_key(entry.number)));
  if (!record)
    return Error(Errc::kCorrupt,
                 "the link table lacks file number " + std::to_string(entry.number));
  LinkRecord link = VARVE_TRY(decode_link_record(*record));
  if (link.node.inode.type != entry.type)
    return Error(Errc::kCorrupt, "the link table's file number " + std::to_string(entry.number) +
                                     " is of another type than its entry");
  return std::move(link.node);
}

}  // namespace varve
