// The inside of LiveTree: what its files share. Included by catalog/live_tree*.cc alone.
//
// Every public call is one State::read or State::write: they take the lock, unfold the stubs that
// the call needs, and apply the call's rows if it succeeded.
#pragma once

#include <mutex>
#include <set>
#include <shared_mutex>
#include <unordered_map>

#include "catalog/live_tree.h"
#include "catalog/tree_transaction.h"
#include "dedup/base/limits.h"

namespace varve {

inline constexpr std::string_view kReservedName = ".varve";
/// Above this many extents rows are erased piece by piece, so that no call holds the lock for long.
inline constexpr size_t kExtentsErasedAtOnce = 4096;

/// A shared mutex whose writers do not starve: who comes after a waiting writer waits behind it.
class FairMutex {
 public:
  void lock() {
    std::lock_guard turn(turn_);
    mutex_.lock();
  }
  void unlock() { mutex_.unlock(); }
  void lock_shared() {
    std::lock_guard turn(turn_);
    mutex_.lock_shared();
  }
  void unlock_shared() { mutex_.unlock_shared(); }

 private:
  std::mutex turn_;
  std::shared_mutex mutex_;
};

/// A set as it is in memory.
struct OpenSet {
  SetRow row;                // next_number is the end of the numbers that are reserved on disk
  uint64_t next_number = 2;  // the next to give
  LiveTree::Figures figures;
  bool figures_changed = false;
  bool has_stubs = false;  // there may be t rows
};

/// One call in progress: its rows, and what memory learns when it succeeds.
class TreeCall {
 public:
  explicit TreeCall(LiveTree::State& state);

  LiveTree::State& state;
  TreeTransaction rows;
  const Nanoseconds now;

  /// The live instance of a set; kStale if there is none.
  Result<uint32_t> tree(uint32_t set) const;
  Result<uint32_t> tree_of(Ino ino) const { return tree(set_of(ino)); }
  /// kStale if the file is no more.
  Result<Inode> inode(Ino ino);
  /// The same; kNotDirectory if it is none.
  Result<Inode> directory(Ino ino);
  /// A directory that can take entries: kNotFound if it was removed.
  Result<Inode> writable_directory(Ino ino);
  Result<void> put_inode(Ino ino, const Inode& inode);

  Result<std::optional<DirentRow>> find_entry(Ino directory, std::string_view name);
  /// The same; kNotFound if there is none.
  Result<DirentRow> entry(Ino directory, std::string_view name);
  /// Cookie 0: a new one, at the end of the directory.
  Result<void> put_entry(Ino directory, Inode& inode, std::string_view name, DirentRow row);
  Result<void> erase_entry(Ino directory, std::string_view name, const DirentRow& row);
  Result<bool> is_empty(Ino directory);

  Result<void> mark_directory(Ino directory);
  /// For a change of the inode, its xattrs or extents.
  Result<void> mark_file(Ino ino, const Inode& inode);
  /// One name less; with none left the inode becomes an orphan.
  Result<void> drop_link(Ino ino, Inode& inode);

  Result<std::optional<std::string>> find_xattr(Ino ino, std::string_view name);

  void count(uint32_t set, int64_t files, int64_t bytes);
  void change_set(uint32_t set, OpenSet changed);
  /// Extents of the file from `offset` on are dead.
  Result<void> free_extents(Ino ino, uint64_t offset);
  void freed_done(Ino ino) { freed_[ino] = false; }

  void apply();

 private:
  struct Delta {
    int64_t files = 0, bytes = 0;
  };
  std::unordered_map<uint32_t, Delta> deltas_;
  std::unordered_map<uint32_t, OpenSet> changed_sets_;
  std::unordered_map<Ino, bool> freed_;
};

struct LiveTree::State {
  State(StagedKv& kv_, Unfolder* unfolder_, Clock& clock_, Random& random_)
      : kv(kv_), unfolder(unfolder_), clock(clock_), random(random_) {}

  StagedKv& kv;
  Unfolder* const unfolder;
  Clock& clock;
  Random& random;

  FairMutex mutex;  // guards all below, and what belongs together in the rows
  std::unordered_map<uint32_t, OpenSet> sets;
  std::set<Ino> freed;  // files with an f row
  uint64_t generation = 1;
  uint32_t next_tree = 1;

  Result<void> load();
  Result<void> load_sets();
  Result<void> load_set(uint32_t number, SetRow row);
  Result<void> make_root();
  Result<bool> has_rows(char table, uint32_t tree);
  /// Puts the sets' figures into the staged rows; under the exclusive lock.
  void stage_figures();

  /// A number that was never given in the set; kNoSpace if none is left. Under the exclusive lock.
  Result<uint64_t> take_number(uint32_t set);
  uint32_t take_tree(TreeCall& call);

  /// Whether the file's t row is there; under the lock.
  Result<bool> is_stub(Ino ino);
  /// Reads what the stub names, without the lock, and puts it into the rows, if it is still a stub
  /// then. Takes the lock.
  Result<void> unfold(Ino ino);
  Result<void> put_unfolded(TreeCall& call, Ino ino, const TreeRef& ref,
                            std::vector<Unfolder::Child> children);
  Result<void> put_child(TreeCall& call, Ino directory, Inode& parent, Unfolder::Child& child);
  Result<void> put_unfolded_extents(TreeCall& call, Ino ino, const TreeRef& ref,
                                    const std::vector<Extent>& extents);

  /// Erases the file's dead extents, in pieces between which others come in. Takes the lock.
  Result<void> erase_all_freed(Ino ino);

  /// Runs `body(call)` under the exclusive lock with the stubs of `needed` unfolded, and applies
  /// the call if it succeeded.
  template <typename Body>
  auto write(std::initializer_list<Ino> needed, const Body& body)
      -> decltype(body(std::declval<TreeCall&>())) {
    for (;;) {
      std::unique_lock lock(mutex);
      std::optional<Ino> stub = VARVE_TRY(first_stub(needed));
      if (!stub) {
        TreeCall call(*this);
        auto result = body(call);
        if (result.ok()) call.apply();
        return result;
      }
      lock.unlock();
      VARVE_TRY(unfold(*stub));
    }
  }

  /// The same under the shared lock; nothing is applied.
  template <typename Body>
  auto read(std::initializer_list<Ino> needed, const Body& body)
      -> decltype(body(std::declval<TreeCall&>())) {
    for (;;) {
      std::shared_lock lock(mutex);
      std::optional<Ino> stub = VARVE_TRY(first_stub(needed));
      if (!stub) {
        TreeCall call(*this);
        return body(call);
      }
      lock.unlock();
      VARVE_TRY(unfold(*stub));
    }
  }

 private:
  Result<std::optional<Ino>> first_stub(std::initializer_list<Ino> needed) {
    for (Ino ino : needed) {
      if (VARVE_TRY(is_stub(ino))) return std::optional<Ino>(ino);
    }
    return std::optional<Ino>();
  }
};

/// kNameTooLong, kInvalid, or what a reserved name gives.
Result<void> check_new_name(Ino directory, std::string_view name);
/// What a symlink's target must be.
Result<void> check_symlink(FileType type, std::string_view target);

// Between the files of LiveTree.
Result<LiveEntry> create_set(TreeCall& call, Inode& root, std::string_view name,
                             const NewFile& file);
Result<LiveEntry> remove_set(TreeCall& call, Inode& root, std::string_view name,
                             const DirentRow& row);
/// A set's name in the root has become another.
Result<void> rename_set(TreeCall& call, uint32_t set, std::string_view name);
/// The inode of a new file, and its xattrs put; nothing else.
Result<Inode> make_inode(TreeCall& call, Ino directory, const Inode& parent, Ino ino,
                         const NewFile& file);
/// One name more for a file; `parent` is the directory's, and is not put.
Result<LiveEntry> add_link(TreeCall& call, Ino ino, Ino directory, Inode& parent,
                           std::string_view name);
/// The xattrs as they are to be stored: access lists that the mode says are left out, and give the
/// inode its permissions. kTooLarge, kInvalid, kNoSpace where set_xattr would refuse one.
Result<Xattrs> settle_xattrs(Inode& inode, const Xattrs& xattrs);
Result<Xattrs> stored_xattrs(TreeCall& call, Ino ino);
Result<void> put_xattrs(TreeCall& call, Ino ino, const Xattrs& xattrs);
/// chmod of a file with an access list changes the list, too.
Result<void> change_acl_mode(TreeCall& call, Ino ino, uint16_t permissions);
/// All of the file's extents, if they are in rows; nullopt if there are more than `count_max`.
Result<std::optional<std::vector<Extent>>> stored_extents(TreeCall& call, Ino ino,
                                                          size_t count_max);
/// Erases up to `rows` of the file's dead extents; the count of those that it erased, less than
/// `rows` when none is left.
Result<size_t> erase_freed(TreeCall& call, Ino ino, size_t rows);
/// Puts `change` into the rows; `inode` is the file's, and is put. The file has no dead extents.
Result<void> apply_content(TreeCall& call, Ino ino, Inode& inode,
                           const LiveTree::ContentChange& change);

}  // namespace varve
