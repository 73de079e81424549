// Unfolding: a stub's tree object becomes rows.
//
// The object is read without the lock, and its rows are put only if the stub is still the same: a
// revert or another thread may have come first. Nothing is marked, for nothing has changed.
#include "catalog/live_tree_state.h"
#include "dedup/base/log.h"

namespace varve {
namespace {

uint64_t sum_of(const std::vector<Extent>& extents) {
  uint64_t sum = 0;
  for (const Extent& extent : extents) sum += extent.length;
  return sum;
}

Result<void> put_extents(TreeCall& call, uint32_t tree, uint64_t number,
                         const std::vector<Extent>& extents) {
  for (const Extent& extent : extents) {
    if (extent.length == 0 || extent.length > kChunkBytesMax)
      return Error(Errc::kCorrupt, "extent of a stub is too long");
    call.rows.put(key::extent(tree, number, extent.offset), encode(extent));
  }
  return {};
}

}  // namespace

Result<bool> LiveTree::State::is_stub(Ino ino) {
  auto set = sets.find(set_of(ino));
  if (set == sets.end() || set->second.row.removed || !set->second.has_stubs) return false;
  return VARVE_TRY(kv.get(key::stub(set->second.row.tree, number_of(ino)))).has_value();
}

Result<void> LiveTree::State::unfold(Ino ino) {
  struct Stub {
    uint32_t tree = 0;
    TreeRef ref;
    FileType type = FileType::kFile;
    std::optional<TreeRef> links;
    std::string row;
  };
  auto find_stub = [&](TreeCall& call) -> Result<std::optional<Stub>> {
    Stub stub;
    stub.tree = VARVE_TRY(call.tree_of(ino));
    auto row = VARVE_TRY(call.rows.get(key::stub(stub.tree, number_of(ino))));
    if (!row) return std::optional<Stub>();
    stub.ref = VARVE_TRY(decode_tree_ref(*row));
    stub.row = std::move(*row);
    stub.type = VARVE_TRY(call.inode(ino)).type;
    stub.links = sets[set_of(ino)].row.links;
    return std::optional<Stub>(std::move(stub));
  };
  auto stub = VARVE_TRY(write({}, find_stub));
  if (!stub) return {};
  if (unfolder == nullptr) return Error(Errc::kCorrupt, "a stub, and nothing to unfold it with");

  std::vector<Unfolder::Child> children;
  std::vector<Extent> extents;
  if (stub->type == FileType::kDirectory) {
    children = VARVE_TRY(unfolder->unfold_directory(stub->ref, stub->links));
  } else {
    extents = VARVE_TRY(unfolder->unfold_extents(stub->ref));
  }
  return write({}, [&](TreeCall& call) -> Result<void> {
    auto now = VARVE_TRY(find_stub(call));
    if (!now || now->tree != stub->tree || now->row != stub->row) return {};
    if (stub->type == FileType::kDirectory)
      return put_unfolded(call, ino, stub->ref, std::move(children));
    return put_unfolded_extents(call, ino, stub->ref, extents);
  });
}

Result<void> LiveTree::State::put_unfolded(TreeCall& call, Ino ino, const TreeRef& ref,
                                           std::vector<Unfolder::Child> children) {
  uint32_t tree = VARVE_TRY(call.tree_of(ino));
  Inode inode = VARVE_TRY(call.inode(ino));
  // Of the root's, the directories of sets are there already.
  if (ino != kRootIno) inode.links = 2;
  for (Unfolder::Child& child : children) {
    if (VARVE_TRY(call.find_entry(ino, child.name))) {
      log_warning("a file of the root is hidden by the set of the same name");
      continue;
    }
    VARVE_TRY(put_child(call, ino, inode, child));
  }
  call.rows.erase(key::stub(tree, number_of(ino)));
  call.rows.put(key::clean(tree, number_of(ino)), encode(ref));
  return call.put_inode(ino, inode);
}

Result<void> LiveTree::State::put_child(TreeCall& call, Ino directory, Inode& parent,
                                        Unfolder::Child& child) {
  uint32_t set = set_of(directory);
  uint32_t tree = VARVE_TRY(call.tree(set));

  if (child.number <= kTopNumber || child.number > kFileNumberMask || child.name.empty() ||
      child.name.size() > kNameBytesMax) {
    return Error(Errc::kCorrupt, "entry of a stub has no name or number");
  }
  Inode& inode = child.inode;
  DirentRow row{.number = child.number, .set = set, .type = inode.type, .cookie = 0};
  VARVE_TRY(call.put_entry(directory, parent, child.name, row));
  if (inode.type == FileType::kDirectory) parent.links++;
  // A linked file that another of its names has brought here may have been changed since.
  std::string inode_row = key::inode(tree, child.number);
  if (child.linked && VARVE_TRY(call.rows.has(inode_row))) return {};

  inode.linked = child.linked;
  inode.parent = child.linked ? 0 : directory;
  inode.next_cookie = 1;
  inode.data_generation = 0;
  if (inode.type == FileType::kDirectory) inode.links = child.below ? 1 : 2;  // 1: not known yet
  if (inode.type == FileType::kFile) {
    if (!child.below) inode.allocated = sum_of(child.extents);
    if (child.below && inode.allocated == 0) inode.allocated = inode.size;  // until it is unfolded
    VARVE_TRY(put_extents(call, tree, child.number, child.extents));
  }
  for (auto& [name, value] : child.xattrs) {
    call.rows.put(key::xattr(tree, child.number, name), std::move(value));
  }
  if (inode.type == FileType::kSymlink) {
    inode.size = child.target.size();
    call.rows.put(key::symlink(tree, child.number), std::move(child.target));
  }
  if (child.below) call.rows.put(key::stub(tree, child.number), encode(*child.below));
  call.rows.put(std::move(inode_row), encode(inode));
  call.count(set, 1, inode.type == FileType::kFile ? static_cast<int64_t>(inode.size) : 0);
  return {};
}

Result<void> LiveTree::State::put_unfolded_extents(TreeCall& call, Ino ino, const TreeRef& ref,
                                                   const std::vector<Extent>& extents) {
  uint32_t tree = VARVE_TRY(call.tree_of(ino));
  Inode inode = VARVE_TRY(call.inode(ino));
  inode.allocated = sum_of(extents);
  VARVE_TRY(put_extents(call, tree, number_of(ino), extents));
  call.rows.erase(key::stub(tree, number_of(ino)));
  call.rows.put(key::clean(tree, number_of(ino)), encode(ref));
  return call.put_inode(ino, inode);
}

}  // namespace varve
