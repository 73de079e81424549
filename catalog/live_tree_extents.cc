// The extents of files.
//
// An extent is a part of one chunk, so that it is never longer than the largest chunk: what
// overlaps a place begins less than that before it, and finding it needs no search backwards. Where
// a file with very many extents is shortened, they are only declared dead (the f row) and erased
// piece by piece; a file that has dead extents gets no new ones before they are gone.
#include <algorithm>

#include "catalog/live_tree_state.h"
#include "dedup/base/limits.h"

namespace varve {
namespace {

uint64_t end_of(const Extent& extent) {
  return extent.offset + extent.length;
}

/// The first `count_max` extents that overlap [from, to), in order, uncut.
Result<std::vector<Extent>> find_extents(TreeCall& call, Ino ino, uint64_t from, uint64_t to,
                                         size_t count_max = SIZE_MAX) {
  std::vector<Extent> found;
  if (from >= to) return found;
  uint32_t tree = VARVE_TRY(call.tree_of(ino));
  uint64_t first = from < kChunkBytesMax ? 0 : from - (kChunkBytesMax - 1);
  Result<void> outcome;
  VARVE_TRY(call.rows.scan(key::extent(tree, number_of(ino), first),
                           key::extent(tree, number_of(ino), to),
                           [&](std::string_view key, std::string_view value) {
                             auto extent = decode_extent(key, value);
                             if (!extent.ok()) {
                               outcome = std::move(extent).error();
                               return false;
                             }
                             if (end_of(*extent) > from) found.push_back(*extent);
                             return found.size() < count_max;
                           }));
  VARVE_TRY(std::move(outcome));
  return found;
}

/// The part of an extent that lies in [from, to).
Extent cut(Extent extent, uint64_t from, uint64_t to) {
  uint64_t begin = std::max(extent.offset, from);
  uint64_t end = std::min(end_of(extent), to);
  extent.chunk_offset += begin - extent.offset;
  extent.offset = begin;
  extent.length = end - begin;
  return extent;
}

Result<void> put_extent(TreeCall& call, Ino ino, const Extent& extent) {
  call.rows.put(key::extent(VARVE_TRY(call.tree_of(ino)), number_of(ino), extent.offset),
                encode(extent));
  return {};
}

/// Makes [from, to) a hole.
Result<void> clear(TreeCall& call, Ino ino, Inode& inode, uint64_t from, uint64_t to) {
  uint32_t tree = VARVE_TRY(call.tree_of(ino));
  for (const Extent& extent : VARVE_TRY(find_extents(call, ino, from, to))) {
    inode.allocated -= cut(extent, from, to).length;
    if (extent.offset >= from) call.rows.erase(key::extent(tree, number_of(ino), extent.offset));
    if (extent.offset < from) VARVE_TRY(put_extent(call, ino, cut(extent, 0, from)));
    if (end_of(extent) > to) VARVE_TRY(put_extent(call, ino, cut(extent, to, UINT64_MAX)));
  }
  return {};
}

Result<uint64_t> allocated_below(TreeCall& call, Ino ino, const Inode& inode, uint64_t size) {
  if (size == 0) return uint64_t{0};
  if (inode.allocated == inode.size) return size;  // no holes
  uint64_t sum = 0;
  Result<void> outcome;
  uint32_t tree = VARVE_TRY(call.tree_of(ino));
  VARVE_TRY(call.rows.scan(key::extent(tree, number_of(ino), 0),
                           key::extent(tree, number_of(ino), size),
                           [&](std::string_view key, std::string_view value) {
                             auto extent = decode_extent(key, value);
                             if (!extent.ok()) {
                               outcome = std::move(extent).error();
                               return false;
                             }
                             sum += cut(*extent, 0, size).length;
                             return true;
                           }));
  VARVE_TRY(std::move(outcome));
  return sum;
}

/// Drops what lies behind `size`.
Result<void> shorten(TreeCall& call, Ino ino, Inode& inode, uint64_t size) {
  uint32_t tree = VARVE_TRY(call.tree_of(ino));
  size_t behind = 0;
  std::string from = key::extent(tree, number_of(ino), size);
  std::string to = key::end_of(key::prefix('e', tree, number_of(ino)));
  VARVE_TRY(call.rows.scan(from, to, [&](std::string_view, std::string_view) {
    return ++behind <= kExtentsErasedAtOnce;
  }));
  if (behind <= kExtentsErasedAtOnce) return clear(call, ino, inode, size, UINT64_MAX);
  uint64_t allocated = VARVE_TRY(allocated_below(call, ino, inode, size));
  if (size > 0) VARVE_TRY(clear(call, ino, inode, size, size + 1));
  // What clear left of an extent across `size` begins behind it, and is as dead as the rest.
  inode.allocated = allocated;
  return call.free_extents(ino, size);
}

Result<void> check_content(const LiveTree::ContentChange& change) {
  uint64_t at = change.from;
  for (const Extent& extent : change.extents) {
    bool fits = extent.offset >= at && extent.length > 0 && extent.length <= kChunkBytesMax &&
                extent.chunk_offset <= kChunkBytesMax - extent.length &&
                extent.length <= change.to && extent.offset <= change.to - extent.length;
    if (!fits) return Error(Errc::kInvalid, "extents do not fit the range that they replace");
    at = end_of(extent);
  }
  return {};
}

/// A file whose extents may be changed.
Result<Inode> file_inode(TreeCall& call, Ino ino) {
  Inode inode = VARVE_TRY(call.inode(ino));
  if (inode.type == FileType::kDirectory) return Errc::kIsDirectory;
  if (inode.type != FileType::kFile) return Errc::kInvalid;
  return inode;
}

/// The extents differ from those of the tree object now.
Result<void> mark_content(TreeCall& call, Ino ino, Inode& inode) {
  if (inode.data_generation == call.state.generation) return {};  // since when there is no r row
  inode.data_generation = call.state.generation;
  return call.rows.erase_if_there(key::clean(VARVE_TRY(call.tree_of(ino)), number_of(ino)));
}

}  // namespace

Result<size_t> erase_freed(TreeCall& call, Ino ino, size_t rows) {
  uint32_t tree = VARVE_TRY(call.tree_of(ino));
  std::string freed = key::freed(tree, number_of(ino));
  auto value = VARVE_TRY(call.rows.get(freed));
  uint64_t offset = value ? VARVE_TRY(decode_u64(*value)) : UINT64_MAX;
  size_t erased =
      VARVE_TRY(call.rows.erase_range(key::extent(tree, number_of(ino), offset),
                                      key::end_of(key::prefix('e', tree, number_of(ino))), rows));
  if (erased < rows) {
    call.rows.erase(std::move(freed));
    call.freed_done(ino);
  }
  return erased;
}

Result<void> apply_content(TreeCall& call, Ino ino, Inode& inode,
                           const LiveTree::ContentChange& change) {
  VARVE_TRY(check_content(change));
  uint64_t old_size = inode.size;
  uint64_t end = change.extents.empty() ? 0 : end_of(change.extents.back());
  uint64_t size = change.size.value_or(std::max(old_size, end));
  if (size > INT64_MAX) return Errc::kTooLarge;
  VARVE_TRY(mark_content(call, ino, inode));
  if (change.from < std::min(old_size, change.to)) {
    VARVE_TRY(clear(call, ino, inode, change.from, change.to));
  }
  for (const Extent& extent : change.extents) {
    VARVE_TRY(put_extent(call, ino, extent));
    inode.allocated += extent.length;
  }
  if (size < std::max(old_size, end)) VARVE_TRY(shorten(call, ino, inode, size));
  inode.size = size;
  call.count(set_of(ino), 0, static_cast<int64_t>(size) - static_cast<int64_t>(old_size));
  inode.mtime = change.mtime.value_or(inode.mtime);
  inode.ctime = change.ctime.value_or(inode.ctime);
  VARVE_TRY(call.put_inode(ino, inode));
  return call.mark_file(ino, inode);
}

Result<std::optional<std::vector<Extent>>> stored_extents(TreeCall& call, Ino ino,
                                                          size_t count_max) {
  if (VARVE_TRY(call.state.is_stub(ino))) return std::optional<std::vector<Extent>>();
  const Inode inode = VARVE_TRY(file_inode(call, ino));
  std::vector<Extent> found = VARVE_TRY(find_extents(call, ino, 0, inode.size, count_max + 1));
  if (found.size() > count_max) return std::optional<std::vector<Extent>>();
  return std::optional(std::move(found));
}

Result<std::vector<Extent>> LiveTree::extents(Ino ino, uint64_t from, uint64_t to,
                                              size_t count_max) {
  return state_->read({ino}, [&](TreeCall& call) -> Result<std::vector<Extent>> {
    Inode inode = VARVE_TRY(file_inode(call, ino));
    return find_extents(call, ino, from, std::min(to, inode.size),  // behind the size they are dead
                        count_max);
  });
}

Result<void> LiveTree::State::erase_all_freed(Ino ino) {
  for (bool more = true; more;) {
    more = VARVE_TRY(write({}, [&](TreeCall& call) -> Result<bool> {
      if (!freed.contains(ino)) return false;
      return VARVE_TRY(erase_freed(call, ino, kExtentsErasedAtOnce)) == kExtentsErasedAtOnce;
    }));
  }
  return {};
}

Result<Inode> LiveTree::change_content(Ino ino, const ContentChange& change) {
  for (;;) {
    auto changed =
        VARVE_TRY(state_->write({ino}, [&](TreeCall& call) -> Result<std::optional<Inode>> {
          if (state_->freed.contains(ino)) return std::optional<Inode>();
          Inode inode = VARVE_TRY(file_inode(call, ino));
          VARVE_TRY(apply_content(call, ino, inode, change));
          return std::optional<Inode>(inode);
        }));
    if (changed) return *changed;
    VARVE_TRY(state_->erase_all_freed(ino));
  }
}

Result<Inode> LiveTree::clone_range(Ino from, uint64_t from_offset, Ino to, uint64_t to_offset,
                                    uint64_t length) {
  auto clone = [&](TreeCall& call) -> Result<std::optional<Inode>> {
    if (state_->freed.contains(to)) return std::optional<Inode>();
    Inode source = VARVE_TRY(file_inode(call, from));
    Inode target = VARVE_TRY(file_inode(call, to));
    uint64_t available = from_offset < source.size ? source.size - from_offset : 0;
    uint64_t count = std::min(length, available);
    if (to_offset > INT64_MAX - count) return Errc::kTooLarge;
    if (from == to && from_offset < to_offset + count && to_offset < from_offset + count)
      return Errc::kInvalid;
    if (count == 0) return std::optional<Inode>(target);
    ContentChange change;
    change.from = to_offset;
    change.to = to_offset + count;
    change.size = std::max(target.size, change.to);
    change.mtime = change.ctime = call.now;
    for (const Extent& extent :
         VARVE_TRY(find_extents(call, from, from_offset, from_offset + count))) {
      Extent part = cut(extent, from_offset, from_offset + count);
      part.offset = part.offset - from_offset + to_offset;
      change.extents.push_back(part);
    }
    VARVE_TRY(apply_content(call, to, target, change));
    return std::optional<Inode>(target);
  };
  for (;;) {
    auto cloned = VARVE_TRY(state_->write({from, to}, clone));
    if (cloned) return *cloned;
    VARVE_TRY(state_->erase_all_freed(to));
  }
}

}  // namespace varve
