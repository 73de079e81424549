#include "catalog/live_tree_state.h"

namespace varve {

TreeCall::TreeCall(LiveTree::State& owner) : state(owner), rows(owner.kv), now(owner.clock.now()) {}

Result<uint32_t> TreeCall::tree(uint32_t set) const {
  if (auto changed = changed_sets_.find(set); changed != changed_sets_.end()) {
    return changed->second.row.tree;
  }
  auto found = state.sets.find(set);
  if (found == state.sets.end() || found->second.row.removed) return Errc::kStale;
  return found->second.row.tree;
}

Result<Inode> TreeCall::inode(Ino ino) {
  auto value = VARVE_TRY(rows.get(key::inode(VARVE_TRY(tree_of(ino)), number_of(ino))));
  if (!value) return Errc::kStale;
  return decode_inode(*value);
}

Result<Inode> TreeCall::directory(Ino ino) {
  Inode result = VARVE_TRY(inode(ino));
  if (result.type != FileType::kDirectory) return Errc::kNotDirectory;
  return result;
}

Result<Inode> TreeCall::writable_directory(Ino ino) {
  Inode result = VARVE_TRY(directory(ino));
  if (result.links == 0) return Errc::kNotFound;
  return result;
}

Result<void> TreeCall::put_inode(Ino ino, const Inode& inode) {
  rows.put(key::inode(VARVE_TRY(tree_of(ino)), number_of(ino)), encode(inode));
  return {};
}

Result<std::optional<DirentRow>> TreeCall::find_entry(Ino directory, std::string_view name) {
  uint32_t tree = VARVE_TRY(tree_of(directory));
  auto value = VARVE_TRY(rows.get(key::entry(tree, number_of(directory), name)));
  if (!value) return std::optional<DirentRow>();
  return std::optional<DirentRow>(VARVE_TRY(decode_entry(*value)));
}

Result<DirentRow> TreeCall::entry(Ino directory, std::string_view name) {
  if (name.size() > kNameBytesMax) return Errc::kNameTooLong;
  auto found = VARVE_TRY(find_entry(directory, name));
  if (!found) return Errc::kNotFound;
  return *found;
}

Result<void> TreeCall::put_entry(Ino directory, Inode& inode, std::string_view name,
                                 DirentRow row) {
  uint32_t tree = VARVE_TRY(tree_of(directory));
  if (row.cookie == 0) row.cookie = inode.next_cookie++;
  rows.put(key::cookie(tree, number_of(directory), row.cookie), encode(ListedRow{row, name}));
  rows.put(key::entry(tree, number_of(directory), name), encode(row));
  return {};
}

Result<void> TreeCall::erase_entry(Ino directory, std::string_view name, const DirentRow& row) {
  uint32_t tree = VARVE_TRY(tree_of(directory));
  rows.erase(key::cookie(tree, number_of(directory), row.cookie));
  rows.erase(key::entry(tree, number_of(directory), name));
  return {};
}

Result<bool> TreeCall::is_empty(Ino directory) {
  // A stub has something in it: an empty directory has no tree object.
  if (VARVE_TRY(state.is_stub(directory))) return false;
  std::string prefix = key::prefix('c', VARVE_TRY(tree_of(directory)), number_of(directory));
  bool empty = true;
  VARVE_TRY(rows.scan(prefix, key::end_of(prefix), [&](std::string_view, std::string_view) {
    empty = false;
    return false;
  }));
  return empty;
}

Result<void> TreeCall::mark_directory(Ino directory) {
  uint32_t tree = VARVE_TRY(tree_of(directory));
  std::string generation = encode_u64(state.generation);
  while (directory != 0) {
    std::string key = key::mark(tree, number_of(directory));
    auto marked = VARVE_TRY(rows.get(key));
    if (marked == generation) return {};
    rows.put(std::move(key), generation);
    if (number_of(directory) == kTopNumber) return {};
    directory = VARVE_TRY(inode(directory)).parent;
  }
  return {};
}

Result<void> TreeCall::mark_file(Ino ino, const Inode& inode) {
  if (inode.linked) {
    rows.put(key::linked(VARVE_TRY(tree_of(ino)), number_of(ino)), encode_u64(state.generation));
    return mark_directory(make_ino(set_of(ino), kTopNumber));
  }
  if (number_of(ino) == kTopNumber) return mark_directory(ino);
  if (inode.parent == 0) return {};  // an orphan is in no snapshot
  return mark_directory(inode.parent);
}

Result<void> TreeCall::drop_link(Ino ino, Inode& inode) {
  VARVE_TRY(mark_file(ino, inode));
  inode.ctime = now;
  inode.links = inode.type == FileType::kDirectory ? 0 : inode.links - 1;
  if (inode.links == 0) {
    inode.parent = 0;
    rows.put(key::orphan(VARVE_TRY(tree_of(ino)), number_of(ino)), "");
  }
  return put_inode(ino, inode);
}

Result<std::optional<std::string>> TreeCall::find_xattr(Ino ino, std::string_view name) {
  return rows.get(key::xattr(VARVE_TRY(tree_of(ino)), number_of(ino), name));
}

void TreeCall::count(uint32_t set, int64_t files, int64_t bytes) {
  if (files == 0 && bytes == 0) return;
  Delta& delta = deltas_[set];
  delta.files += files;
  delta.bytes += bytes;
}

void TreeCall::change_set(uint32_t set, OpenSet changed) {
  rows.put(key::set(set), encode(changed.row));
  changed_sets_.insert_or_assign(set, std::move(changed));
}

Result<void> TreeCall::free_extents(Ino ino, uint64_t offset) {
  std::string key = key::freed(VARVE_TRY(tree_of(ino)), number_of(ino));
  if (auto value = VARVE_TRY(rows.get(key))) {
    offset = std::min(offset, VARVE_TRY(decode_u64(*value)));
  }
  rows.put(std::move(key), encode_u64(offset));
  freed_[ino] = true;
  return {};
}

void TreeCall::apply() {
  rows.apply();
  for (auto& [number, changed] : changed_sets_) {
    state.sets.insert_or_assign(number, std::move(changed));
  }
  for (const auto& [set, delta] : deltas_) {
    OpenSet& open = state.sets[set];
    open.figures.files += static_cast<uint64_t>(delta.files);
    open.figures.logical_bytes += static_cast<uint64_t>(delta.bytes);
    open.figures_changed = true;
  }
  for (const auto& [ino, is_freed] : freed_) {
    if (is_freed) {
      state.freed.insert(ino);
    } else {
      state.freed.erase(ino);
    }
  }
}

}  // namespace varve
