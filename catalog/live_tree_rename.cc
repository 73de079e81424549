// Rename and exchange.
//
// Cookies: a name that stays keeps its place in the directory, whatever file it names afterwards; a
// file that gets a new name in its directory keeps its own place. So a listing that goes on
// meanwhile shows each once, and renaming while listing comes to an end.
#include "catalog/live_tree_state.h"

namespace varve {
namespace {

/// One side of a rename: a directory, a name in it, and what the name is.
struct Side {
  Ino directory = 0;
  std::string_view name;
  DirentRow row;
  Ino ino = 0;
  Inode inode;
  bool is_directory() const { return row.type == FileType::kDirectory; }
};

struct Renaming {
  TreeCall& call;
  Side from, to;
  Inode from_parent, to_parent;  // where both are one directory, from_parent alone counts
  bool same_directory() const { return from.directory == to.directory; }
  Inode& target_parent() { return same_directory() ? from_parent : to_parent; }
};

Result<void> find_side(TreeCall& call, Side& side) {
  side.ino = make_ino(side.row.set, side.row.number);
  side.inode = VARVE_TRY(call.inode(side.ino));
  return {};
}

/// kInvalid if `directory` is `moved` or below it.
Result<void> check_not_below(TreeCall& call, Ino directory, const Side& moved) {
  if (!moved.is_directory()) return {};
  for (Ino at = directory;;) {
    if (at == moved.ino) return Errc::kInvalid;
    if (number_of(at) == kTopNumber || at == 0) return {};
    at = VARVE_TRY(call.inode(at)).parent;
  }
}

/// Whether the entry may take the place of the other.
Result<void> check_replace(TreeCall& call, const Side& from, const Side& to) {
  if (from.is_directory() && !to.is_directory()) return Errc::kNotDirectory;
  if (!from.is_directory() && to.is_directory()) return Errc::kIsDirectory;
  if (to.is_directory() && !VARVE_TRY(call.is_empty(to.ino))) return Errc::kNotEmpty;
  return {};
}

/// The file has moved to another directory or name.
Result<void> put_moved(TreeCall& call, Side& side, Ino directory, std::string_view name) {
  side.inode.ctime = call.now;
  bool is_set = side.row.set != set_of(directory);
  if (!is_set && !side.inode.linked) side.inode.parent = directory;
  VARVE_TRY(call.put_inode(side.ino, side.inode));
  if (is_set) {
    VARVE_TRY(call.mark_directory(side.ino));
    return rename_set(call, side.row.set, name);
  }
  if (side.inode.linked) return call.mark_file(side.ino, side.inode);
  return {};
}

Result<void> put_parents(Renaming& renaming) {
  TreeCall& call = renaming.call;
  renaming.from_parent.mtime = renaming.from_parent.ctime = call.now;
  VARVE_TRY(call.put_inode(renaming.from.directory, renaming.from_parent));
  VARVE_TRY(call.mark_directory(renaming.from.directory));
  if (renaming.same_directory()) return {};
  renaming.to_parent.mtime = renaming.to_parent.ctime = call.now;
  VARVE_TRY(call.put_inode(renaming.to.directory, renaming.to_parent));
  return call.mark_directory(renaming.to.directory);
}

Result<LiveTree::Renamed> exchange(Renaming& renaming) {
  TreeCall& call = renaming.call;
  Side& from = renaming.from;
  Side& to = renaming.to;
  VARVE_TRY(check_not_below(call, to.directory, from));
  VARVE_TRY(check_not_below(call, from.directory, to));
  DirentRow from_row = from.row, to_row = to.row;
  std::swap(from_row.cookie, to_row.cookie);
  VARVE_TRY(call.put_entry(from.directory, renaming.from_parent, from.name, to_row));
  VARVE_TRY(call.put_entry(to.directory, renaming.target_parent(), to.name, from_row));
  if (from.is_directory() != to.is_directory() && !renaming.same_directory()) {
    int gained = from.is_directory() ? 1 : -1;
    renaming.to_parent.links += gained;
    renaming.from_parent.links -= gained;
  }
  VARVE_TRY(put_moved(call, from, to.directory, to.name));
  VARVE_TRY(put_moved(call, to, from.directory, from.name));
  VARVE_TRY(put_parents(renaming));
  return LiveTree::Renamed{.moved = {from.ino, from.inode}, .replaced = std::nullopt};
}

/// The target loses its name; its entry is still there.
Result<LiveEntry> drop_target(Renaming& renaming) {
  TreeCall& call = renaming.call;
  Side& to = renaming.to;
  if (to.row.set != set_of(to.directory)) {
    // remove_set takes the entry and the root's link with it: the root is both directories here.
    return remove_set(call, renaming.from_parent, to.name, to.row);
  }
  VARVE_TRY(call.drop_link(to.ino, to.inode));
  if (to.is_directory()) renaming.target_parent().links--;
  return LiveEntry{to.ino, to.inode};
}

/// Under the old name stays a character device 0/0: what overlayfs takes for a removed file.
Result<void> put_whiteout(Renaming& renaming) {
  TreeCall& call = renaming.call;
  const Side& from = renaming.from;
  uint32_t set = set_of(from.directory);
  Ino ino = make_ino(set, VARVE_TRY(call.state.take_number(set)));
  NewFile file;
  file.type = FileType::kCharacterDevice;
  Inode inode = VARVE_TRY(make_inode(call, from.directory, renaming.from_parent, ino, file));
  VARVE_TRY(call.put_inode(ino, inode));
  DirentRow row{.number = number_of(ino), .set = set, .type = file.type, .cookie = 0};
  return call.put_entry(from.directory, renaming.from_parent, from.name, row);
}

Result<LiveTree::Renamed> move(Renaming& renaming, bool replaces, bool whiteout) {
  TreeCall& call = renaming.call;
  Side& from = renaming.from;
  Side& to = renaming.to;
  VARVE_TRY(check_not_below(call, to.directory, from));
  LiveTree::Renamed result;
  DirentRow row = from.row;
  row.cookie = renaming.same_directory() ? from.row.cookie : 0;
  if (replaces)
    VARVE_TRY(check_replace(call, from, to));  // before the source leaves: it may be in the target
  VARVE_TRY(call.erase_entry(from.directory, from.name, from.row));
  if (replaces) {
    result.replaced = VARVE_TRY(drop_target(renaming));
    row.cookie = to.row.cookie;
  }
  VARVE_TRY(call.put_entry(to.directory, renaming.target_parent(), to.name, row));
  if (from.is_directory() && !renaming.same_directory()) {
    renaming.from_parent.links--;
    renaming.to_parent.links++;
  }
  if (whiteout) VARVE_TRY(put_whiteout(renaming));
  VARVE_TRY(put_moved(call, from, to.directory, to.name));
  VARVE_TRY(put_parents(renaming));
  result.moved = {from.ino, from.inode};
  return result;
}

bool is_reserved(Ino directory, std::string_view name) {
  return number_of(directory) == kTopNumber && name == kReservedName;
}

}  // namespace

Result<LiveTree::Renamed> LiveTree::rename(Ino directory, std::string_view name, Ino new_directory,
                                           std::string_view new_name, RenameMode mode,
                                           bool whiteout) {
  return state_->write({directory, new_directory}, [&](TreeCall& call) -> Result<Renamed> {
    if (set_of(directory) != set_of(new_directory)) return Errc::kCrossDevice;
    if (is_reserved(directory, name) || is_reserved(new_directory, new_name))
      return Errc::kPermission;
    Renaming renaming{.call = call, .from = {}, .to = {}, .from_parent = {}, .to_parent = {}};
    Side& from = renaming.from;
    Side& to = renaming.to;
    from.directory = directory;
    from.name = name;
    to.directory = new_directory;
    to.name = new_name;
    renaming.from_parent = VARVE_TRY(call.directory(directory));
    renaming.to_parent = VARVE_TRY(call.writable_directory(new_directory));
    from.row = VARVE_TRY(call.entry(directory, name));
    VARVE_TRY(find_side(call, from));
    VARVE_TRY(check_new_name(new_directory, new_name));
    auto target = VARVE_TRY(call.find_entry(new_directory, new_name));
    if (!target) {
      if (mode == RenameMode::kExchange) return Errc::kNotFound;
      return move(renaming, false, whiteout);
    }
    if (mode == RenameMode::kNoReplace) return Errc::kExists;
    to.row = *target;
    VARVE_TRY(find_side(call, to));
    if (to.ino == from.ino)
      return Renamed{.moved = {from.ino, from.inode}, .replaced = std::nullopt};
    return mode == RenameMode::kExchange ? exchange(renaming) : move(renaming, true, whiteout);
  });
}

}  // namespace varve
