// The link table: inodes that have, or have had, several names, by number.
#include "catalog/snapshot_walk.h"

namespace varve {

// Changed inodes have an h row each; everything else stands in the last table already.
Result<void> SnapshotWalk::write_links() {
  std::string prefix = key::linked(walked_.row.tree, 0);
  prefix.resize(prefix.size() - sizeof(uint64_t));
  RowProbe changed = VARVE_TRY(RowProbe::open(view_));
  VARVE_TRY(changed.seek(prefix));
  walked_.tree.links = walked_.row.links;
  if (!changed.within(prefix)) {
    if (const auto& links = walked_.tree.links)
      walked_.references.add(links->id, VARVE_TRY(index_.find(links->id)));
    return {};
  }
  TreeWriter objects = writer(TreeKind::kLinks);
  // Writes the changed ones with numbers up to `last`.
  auto advance = [&](uint64_t last) -> Result<void> {
    for (; changed.within(prefix); VARVE_TRY(changed.next())) {
      uint64_t number = key::last_u64(changed.key());
      if (number > last) return {};
      VARVE_TRY(add_link(objects, number));
      walked_.links.push_back(number);
    }
    return {};
  };
  auto keep = [&](const TreeRecord& record) -> Result<bool> {
    LinkRecord link = VARVE_TRY(decode_link_record(record));
    VARVE_TRY(advance(link.number));
    bool replaced = !walked_.links.empty() && walked_.links.back() == link.number;
    if (!replaced) VARVE_TRY(objects.add(record));
    return true;
  };
  if (walked_.row.links) VARVE_TRY(reader_.scan(*walked_.row.links, "", keep));
  VARVE_TRY(advance(UINT64_MAX));
  walked_.tree.links = VARVE_TRY(objects.finish());
  return {};
}

// A link without names, or without an inode, is in the table no more.
Result<void> SnapshotWalk::add_link(TreeWriter& writer, uint64_t number) {
  std::optional<Inode> inode = VARVE_TRY(read_inode(number));
  if (!inode || inode->links == 0) return {};
  return writer.add(encode_link_record(number, VARVE_TRY(read_node(number, *inode))));
}

}  // namespace varve
