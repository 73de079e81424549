#include "catalog/snapshot_walk.h"

namespace varve {
namespace {

Error broken_row(const char* what, uint64_t number) {
  return Error(Errc::kCorrupt, std::string("the working copy has ") + what + " (file number " +
                                   std::to_string(number) + ")");
}

}  // namespace

void SnapshotReferences::add(const ChunkId& id, const std::optional<ChunkPlace>& place) {
  if (place)
    packs.insert(place->pack);
  else
    unplaced.insert(id);
}

SnapshotWalk::SnapshotWalk(KvView& view, Ingest& ingest, ChunkIndex& index, TreeReader& reader)
    : view_(view), ingest_(ingest), index_(index), reader_(reader) {}

Result<SnapshotWalk::Probes> SnapshotWalk::open_probes(KvView& view) {
  return Probes{VARVE_TRY(RowProbe::open(view)), VARVE_TRY(RowProbe::open(view)),
                VARVE_TRY(RowProbe::open(view)), VARVE_TRY(RowProbe::open(view)),
                VARVE_TRY(RowProbe::open(view)), VARVE_TRY(RowProbe::open(view))};
}

Result<WalkedSet> SnapshotWalk::walk(uint32_t set, const SetRow& row) {
  probes_ = VARVE_TRY(open_probes(view_));
  walked_ = WalkedSet();
  walked_.set = set;
  walked_.row = row;
  walked_.tree.set = row.id;
  walked_.tree.set_name = row.name;
  walked_.tree.next_number = row.next_number;
  VARVE_TRY(find_changed());
  for (size_t i = changed_.size(); i > 0; i--) VARVE_TRY(write_directory(changed_[i - 1]));
  VARVE_TRY(write_links());
  VARVE_TRY(write_top());
  return std::move(walked_);
}

TreeWriter SnapshotWalk::writer(TreeKind kind) {
  TreeWriter result(ingest_, index_, kind);
  result.on_reference([this](const ChunkId& id, const std::optional<ChunkPlace>& place) {
    walked_.references.add(id, place);
  });
  return result;
}

Result<std::optional<TreeRef>> SnapshotWalk::stub_of(uint64_t number) {
  std::string key = key::stub(walked_.row.tree, number);
  VARVE_TRY(probes_->stubs.seek(key));
  if (!probes_->stubs.within(key)) return std::optional<TreeRef>();
  return std::optional<TreeRef>(VARVE_TRY(decode_tree_ref(probes_->stubs.value())));
}

Result<std::optional<TreeRef>> SnapshotWalk::clean_of(uint64_t number) {
  std::string key = key::clean(walked_.row.tree, number);
  VARVE_TRY(probes_->cleans.seek(key));
  if (!probes_->cleans.within(key)) return std::optional<TreeRef>();
  return std::optional<TreeRef>(VARVE_TRY(decode_tree_ref(probes_->cleans.value())));
}

Result<std::optional<TreeRef>> SnapshotWalk::unchanged(uint64_t directory) {
  if (auto stub = VARVE_TRY(stub_of(directory))) return stub;
  if (VARVE_TRY(view_.get(key::mark(walked_.row.tree, directory)))) return std::optional<TreeRef>();
  return clean_of(directory);
}

Result<void> SnapshotWalk::find_changed() {
  if (!VARVE_TRY(unchanged(kTopNumber))) changed_.push_back(kTopNumber);
  RowProbe entries = VARVE_TRY(RowProbe::open(view_));
  for (size_t i = 0; i < changed_.size(); i++) {
    std::string prefix = key::prefix('d', walked_.row.tree, changed_[i]);
    VARVE_TRY(entries.seek(prefix));
    for (; entries.within(prefix); VARVE_TRY(entries.next())) {
      DirentRow row = VARVE_TRY(decode_entry(entries.value()));
      if (row.type != FileType::kDirectory || row.set != walked_.set) continue;
      if (!VARVE_TRY(unchanged(row.number)))
        changed_.push_back(row.number);
      else if (VARVE_TRY(view_.get(key::mark(walked_.row.tree, row.number))))
        walked_.directories.push_back({row.number, std::nullopt, true});
    }
  }
  return {};
}

Result<void> SnapshotWalk::write_directory(uint64_t directory) {
  TreeWriter objects = writer(TreeKind::kDirectory);
  RowProbe& entries = probes_->entries;
  std::string prefix = key::prefix('d', walked_.row.tree, directory);
  VARVE_TRY(entries.seek(prefix));
  for (; entries.within(prefix); VARVE_TRY(entries.next())) {
    DirentRow row = VARVE_TRY(decode_entry(entries.value()));
    if (row.set != walked_.set) continue;  // a set's directory is no entry of the root's
    std::string_view name = key::tail(entries.key(), prefix.size());
    auto added = objects.add(encode_entry(VARVE_TRY(read_entry(name, row))));
    if (!added.ok()) return std::move(added).error().with_context(name);
  }
  auto root = VARVE_TRY(objects.finish());
  written_[directory] = root;
  walked_.directories.push_back({directory, root, false});
  return {};
}

Result<TreeEntry> SnapshotWalk::read_entry(std::string_view name, const DirentRow& row) {
  TreeEntry entry;
  entry.name = name;
  entry.number = row.number;
  entry.type = row.type;
  std::optional<Inode> inode = VARVE_TRY(read_inode(row.number));
  if (!inode || inode->type != row.type)
    return broken_row("an entry without its inode", row.number);
  entry.linked = inode->linked;
  if (entry.linked) return entry;
  entry.node = VARVE_TRY(read_node(row.number, *inode));
  if (row.type != FileType::kDirectory) return entry;
  auto below = written_.find(row.number);
  entry.node.below = below != written_.end() ? below->second : VARVE_TRY(unchanged(row.number));
  return entry;
}

Result<std::optional<Inode>> SnapshotWalk::read_inode(uint64_t number) {
  std::string key = key::inode(walked_.row.tree, number);
  VARVE_TRY(probes_->inodes.seek(key));
  if (!probes_->inodes.within(key)) return std::optional<Inode>();
  return std::optional<Inode>(VARVE_TRY(decode_inode(probes_->inodes.value())));
}

Result<TreeNode> SnapshotWalk::read_node(uint64_t number, const Inode& inode) {
  TreeNode node;
  node.inode = inode;
  RowProbe& xattrs = probes_->xattrs;
  std::string prefix = key::prefix('x', walked_.row.tree, number);
  VARVE_TRY(xattrs.seek(prefix));
  for (; xattrs.within(prefix); VARVE_TRY(xattrs.next()))
    node.xattrs.emplace_back(key::tail(xattrs.key(), prefix.size()), xattrs.value());
  VARVE_TRY(read_content(number, node));
  return node;
}

Result<void> SnapshotWalk::read_content(uint64_t number, TreeNode& node) {
  if (node.inode.type == FileType::kSymlink) {
    auto target = VARVE_TRY(view_.get(key::symlink(walked_.row.tree, number)));
    if (!target) return broken_row("a symbolic link without its target", number);
    node.target = *target;
  }
  if (node.inode.type != FileType::kFile || node.inode.size == 0) return {};
  node.below = VARVE_TRY(stub_of(number));
  if (!node.below) node.below = VARVE_TRY(clean_of(number));
  if (node.below) return {};
  return read_extents(number, node);
}

Result<void> SnapshotWalk::read_extents(uint64_t number, TreeNode& node) {
  RowProbe& rows = probes_->extents;
  std::string prefix = key::prefix('e', walked_.row.tree, number);
  VARVE_TRY(rows.seek(prefix));
  node.inode.allocated = 0;
  for (; rows.within(prefix); VARVE_TRY(rows.next())) {
    Extent extent = VARVE_TRY(decode_extent(rows.key(), rows.value()));
    if (extent.offset >= node.inode.size) break;  // what lies behind the size is dead
    if (node.extents.size() == kExtentsInsideMax) return write_extents(prefix, number, node);
    extent.length = std::min(extent.length, node.inode.size - extent.offset);
    node.inode.allocated += extent.length;
    node.extents.push_back({extent, std::nullopt});
  }
  return {};
}

// More than fit inside: those that `node` has so far, and the rows from here on, go into a tree.
Result<void> SnapshotWalk::write_extents(std::string_view prefix, uint64_t number, TreeNode& node) {
  TreeWriter objects = writer(TreeKind::kExtents);
  for (const HintedExtent& extent : node.extents)
    VARVE_TRY(objects.add(encode_extent_record(extent)));
  node.extents.clear();
  RowProbe& rows = probes_->extents;
  for (; rows.within(prefix); VARVE_TRY(rows.next())) {
    Extent extent = VARVE_TRY(decode_extent(rows.key(), rows.value()));
    if (extent.offset >= node.inode.size) break;
    extent.length = std::min(extent.length, node.inode.size - extent.offset);
    node.inode.allocated += extent.length;
    VARVE_TRY(objects.add(encode_extent_record({extent, std::nullopt})));
  }
  node.below = VARVE_TRY(objects.finish());
  walked_.files.push_back({number, node.inode.data_generation, *node.below});
  return {};
}

Result<void> SnapshotWalk::write_top() {
  std::optional<Inode> inode = VARVE_TRY(read_inode(kTopNumber));
  if (!inode) return broken_row("a set without its top directory", kTopNumber);
  walked_.tree.top = VARVE_TRY(read_node(kTopNumber, *inode));
  auto below = written_.find(kTopNumber);
  if (below != written_.end()) {
    walked_.tree.top.below = below->second;
    return {};
  }
  walked_.tree.top.below = VARVE_TRY(unchanged(kTopNumber));
  if (VARVE_TRY(view_.get(key::mark(walked_.row.tree, kTopNumber))))
    walked_.directories.push_back({kTopNumber, std::nullopt, true});
  const TreeRef& root = *walked_.tree.top.below;
  walked_.references.add(root.id, VARVE_TRY(index_.find(root.id)));
  return {};
}

}  // namespace varve
