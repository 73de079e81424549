// Backup sets: the root's directories, each with a tree of its own; and the garbage that replaced
// trees leave.
#include <algorithm>

#include "catalog/live_tree_state.h"
#include "dedup/base/log.h"

namespace varve {
namespace {

/// The tables that hold rows of trees.
constexpr std::string_view kTreeTables = "idcxletrkhof";

using NumberedSet = std::pair<uint32_t, OpenSet>;

Result<NumberedSet> new_set(TreeCall& call) {
  uint32_t number = kRootSet;
  for (const auto& [known, set] : call.state.sets) number = std::max(number, known);
  if (number >= kSetNumberMax) return Error(Errc::kNoSpace, "there are no more numbers for sets");
  OpenSet set;
  set.row.id = call.state.random.id<SetId>();
  return NumberedSet(number + 1, set);
}

/// The set that was last removed under that name, to live again, or a new one.
Result<NumberedSet> claim_set(TreeCall& call, std::string_view name) {
  if (auto value = VARVE_TRY(call.rows.get(key::removed_name(name)))) {
    uint32_t number = VARVE_TRY(decode_u32(*value));
    auto found = call.state.sets.find(number);
    if (found != call.state.sets.end() && found->second.row.removed) {
      call.rows.erase(key::removed_name(name));
      return NumberedSet(number, found->second);
    }
  }
  return new_set(call);
}

/// Gives a claimed set an empty tree and its directory in the root.
Result<void> put_set(TreeCall& call, uint32_t number, OpenSet& set, std::string_view name) {
  set.row.name = name;
  set.row.removed = false;
  set.row.tree = call.state.take_tree(call);
  set.row.links.reset();
  set.figures = {};
  set.figures_changed = true;
  set.has_stubs = false;
  call.change_set(number, set);
  Inode root = VARVE_TRY(call.inode(kRootIno));
  DirentRow row{.number = kTopNumber, .set = number, .type = FileType::kDirectory, .cookie = 0};
  VARVE_TRY(call.put_entry(kRootIno, root, name, row));
  root.links++;
  root.mtime = root.ctime = call.now;
  VARVE_TRY(call.put_inode(kRootIno, root));
  return call.mark_directory(kRootIno);
}

/// Makes `top` the top of the set's new tree, as a stub if there is something below it.
Result<void> put_top(TreeCall& call, uint32_t number, Inode top,
                     const std::optional<TreeRef>& below) {
  Ino ino = make_ino(number, kTopNumber);
  uint32_t tree = VARVE_TRY(call.tree(number));
  top.type = FileType::kDirectory;
  top.parent = kRootIno;
  top.linked = false;
  top.next_cookie = 1;
  top.links = below ? 1 : 2;  // 1: not known until it is unfolded
  top.size = top.allocated = 0;
  if (below) {
    call.rows.put(key::stub(tree, kTopNumber), encode(*below));
  } else {
    VARVE_TRY(call.mark_directory(ino));
  }
  call.count(number, 1, 0);
  return call.put_inode(ino, top);
}

/// Sets are no part of the root's own tree: their directories pass over to the one that replaces
/// it.
Result<void> carry_sets_over(TreeCall& call, uint32_t old_tree) {
  Inode root = VARVE_TRY(call.inode(kRootIno));
  std::vector<std::pair<std::string, DirentRow>> carried;
  Result<void> outcome;
  std::string prefix = key::prefix('d', old_tree, kTopNumber);
  VARVE_TRY(call.rows.scan(prefix, key::end_of(prefix),
                           [&](std::string_view key, std::string_view value) {
                             auto row = decode_entry(value);
                             if (!row.ok()) {
                               outcome = std::move(row).error();
                               return false;
                             }
                             if (row->set != kRootSet)
                               carried.emplace_back(key::tail(key, key::kNumberKeyBytes), *row);
                             return true;
                           }));
  VARVE_TRY(std::move(outcome));
  for (auto& [name, row] : carried) {
    row.cookie = 0;
    VARVE_TRY(call.put_entry(kRootIno, root, name, row));
  }
  root.links = 2 + static_cast<uint32_t>(carried.size());
  return call.put_inode(kRootIno, root);
}

void forget_freed(LiveTree::State& state, uint32_t set) {
  state.freed.erase(state.freed.lower_bound(make_ino(set, 0)),
                    state.freed.upper_bound(make_ino(set, kFileNumberMask)));
}

}  // namespace

Result<LiveEntry> create_set(TreeCall& call, Inode& root, std::string_view name,
                             const NewFile& file) {
  auto [number, set] = VARVE_TRY(claim_set(call, name));
  VARVE_TRY(put_set(call, number, set, name));
  LiveEntry made;
  made.ino = make_ino(number, kTopNumber);
  made.inode = VARVE_TRY(make_inode(call, kRootIno, root, made.ino, file));
  VARVE_TRY(call.put_inode(made.ino, made.inode));
  VARVE_TRY(call.mark_directory(made.ino));
  return made;
}

Result<LiveEntry> remove_set(TreeCall& call, Inode& root, std::string_view name,
                             const DirentRow& row) {
  LiveEntry lost{.ino = make_ino(row.set, kTopNumber), .inode = {}};
  lost.inode = VARVE_TRY(call.inode(lost.ino));
  OpenSet set = call.state.sets[row.set];
  call.rows.put(key::garbage(set.row.tree), "");
  call.rows.put(key::removed_name(set.row.name), encode_u32(row.set));
  set.row.removed = true;
  set.figures = {};
  set.figures_changed = true;
  call.change_set(row.set, std::move(set));
  VARVE_TRY(call.erase_entry(kRootIno, name, row));
  root.links--;
  root.mtime = root.ctime = call.now;
  VARVE_TRY(call.put_inode(kRootIno, root));
  VARVE_TRY(call.mark_directory(kRootIno));
  lost.inode.links = 0;
  lost.inode.ctime = call.now;
  return lost;
}

Result<void> rename_set(TreeCall& call, uint32_t number, std::string_view name) {
  OpenSet set = call.state.sets[number];
  set.row.name = name;
  call.change_set(number, std::move(set));
  return {};
}

std::vector<LiveTree::Set> LiveTree::sets() {
  std::shared_lock lock(state_->mutex);
  std::vector<Set> result;
  for (const auto& [number, set] : state_->sets) result.push_back({number, set.row});
  std::sort(result.begin(), result.end(),
            [](const Set& a, const Set& b) { return a.number < b.number; });
  return result;
}

Result<bool> LiveTree::changed_since_snapshot(uint32_t number) {
  // Every change in a set marks its top.
  return state_->read({}, [&](TreeCall& call) -> Result<bool> {
    return call.rows.has(
        key::mark(VARVE_TRY(call.tree_of(make_ino(number, kTopNumber))), kTopNumber));
  });
}

std::optional<LiveTree::Set> LiveTree::set(uint32_t number) {
  std::shared_lock lock(state_->mutex);
  auto found = state_->sets.find(number);
  if (found == state_->sets.end()) return std::nullopt;
  return Set{number, found->second.row};
}

std::optional<LiveTree::Set> LiveTree::set_named(std::string_view name) {
  std::shared_lock lock(state_->mutex);
  for (const auto& [number, set] : state_->sets) {
    if (number != kRootSet && !set.row.removed && set.row.name == name) return Set{number, set.row};
  }
  return std::nullopt;
}

Result<void> LiveTree::replace_tree(uint32_t number, const Inode& top, const Xattrs& xattrs,
                                    const std::optional<TreeRef>& tree,
                                    const std::optional<TreeRef>& links, uint64_t next_number) {
  return state_->write({}, [&](TreeCall& call) -> Result<void> {
    uint32_t old_tree = VARVE_TRY(call.tree(number));
    OpenSet set = state_->sets[number];
    set.row.tree = state_->take_tree(call);
    set.row.links = links;
    set.next_number = std::max(set.next_number, next_number);
    set.row.next_number = std::max(set.row.next_number, set.next_number);
    set.figures = {};
    set.figures_changed = true;
    set.has_stubs = tree.has_value();
    call.change_set(number, std::move(set));
    call.rows.put(key::garbage(old_tree), "");
    VARVE_TRY(put_top(call, number, top, tree));
    VARVE_TRY(put_xattrs(call, make_ino(number, kTopNumber), xattrs));
    if (number == kRootSet) VARVE_TRY(carry_sets_over(call, old_tree));
    forget_freed(*state_, number);
    return {};
  });
}

Result<uint32_t> LiveTree::adopt_set(const SetId& id, std::string_view name, const Inode& top,
                                     const Xattrs& xattrs, const std::optional<TreeRef>& tree,
                                     const std::optional<TreeRef>& links, uint64_t next_number) {
  return state_->write({kRootIno}, [&](TreeCall& call) -> Result<uint32_t> {
    VARVE_TRY(check_new_name(kRootIno, name));
    if (VARVE_TRY(call.find_entry(kRootIno, name))) return Errc::kExists;
    auto same_id = [&](const auto& known) { return known.second.row.id == id; };
    auto known = std::find_if(state_->sets.begin(), state_->sets.end(), same_id);
    if (known != state_->sets.end() && !known->second.row.removed) return Errc::kExists;
    auto [number, set] = known != state_->sets.end() ? NumberedSet(known->first, known->second)
                                                     : VARVE_TRY(new_set(call));
    set.row.id = id;
    set.next_number = std::max(set.next_number, next_number);
    set.row.next_number = std::max(set.row.next_number, set.next_number);
    VARVE_TRY(put_set(call, number, set, name));
    set.row.links = links;
    set.has_stubs = tree.has_value();
    call.change_set(number, set);
    VARVE_TRY(put_top(call, number, top, tree));
    VARVE_TRY(put_xattrs(call, make_ino(number, kTopNumber), xattrs));
    return number;
  });
}

Result<bool> LiveTree::erase_garbage(size_t budget) {
  return state_->write({}, [&](TreeCall& call) -> Result<bool> {
    size_t left = budget;
    bool more = false;
    for (Ino ino : state_->freed) {
      if (!call.tree_of(ino).ok()) {  // its set was removed, and the rows with it
        call.freed_done(ino);
        continue;
      }
      if (left > 0) left -= VARVE_TRY(erase_freed(call, ino, left));
      if (left == 0) more = true;
    }
    std::vector<std::string> garbage;
    VARVE_TRY(call.rows.scan(key::garbage(0), key::end_of("g"),
                             [&](std::string_view key, std::string_view) {
                               garbage.emplace_back(key);
                               return true;
                             }));
    for (std::string& row : garbage) {
      std::string tree(key::tail(row, 1));
      for (char table : kTreeTables) {
        if (left == 0) break;
        std::string prefix = table + tree;
        left -= VARVE_TRY(call.rows.erase_range(prefix, key::end_of(prefix), left));
      }
      if (left == 0) return true;
      call.rows.erase(std::move(row));
    }
    return more;
  });
}

}  // namespace varve
