#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "catalog/collection.h"
#include "dedup/base/limits.h"
#include "dedup/base/log.h"
#include "fs/volume.h"

namespace varve {
namespace {

constexpr int kRevertTries = 5;

constexpr int kNamesToTry = 100;

Result<void> check_snapshot_name(std::string_view name) {
  bool reserved = name == "." || name == ".." || name.ends_with(".tar");
  if (name.empty() || reserved || name.find('@') != std::string_view::npos) {
    return Error(Errc::kInvalid, fmt::format("'{}' cannot be a snapshot's name", name));
  }
  if (name.find('/') != std::string_view::npos || name.find('\0') != std::string_view::npos)
    return Errc::kInvalid;
  if (name.size() > kNameBytesMax) return Errc::kNameTooLong;
  return {};
}

}  // namespace

Result<void> Volume::sync_all() {
  Result<void> flushed = flusher_.flush_all();
  // One file that cannot be flushed must not keep the others from being durable.
  VARVE_TRY(working_copy_.committer().commit());
  return flushed;
}

Result<void> Volume::quiesce(const Snapshotter::Moment& moment) {
  VARVE_TRY(flusher_.flush_all());  // most of it while programs go on writing
  std::lock_guard lock(barrier_);
  VARVE_TRY(flusher_.flush_all());
  return moment();
}

Result<void> Volume::check_history_writable() const {
  if (options_.read_only) return Error(Errc::kReadOnly, "the mount is read-only (-o ro)");
  if (closed_to_changes_) {
    return Error(Errc::kReadOnly,
                 "this store was succeeded elsewhere: umount it, and varve rejoin (varve status)");
  }
  return {};
}

Result<SetId> Volume::set_id(std::string_view set_name) {
  if (set_name.empty()) return SetId{};
  if (std::optional<LiveTree::Set> live = tree_.set_named(set_name)) return live->row.id;
  std::optional<SetId> found;
  for (const SnapshotInfo& info : working_copy_.history().snapshots()) {
    if (info.set_name == set_name && info.header.snapshot_class == SnapshotClass::kSet)
      found = info.header.set;
  }
  if (found) return *found;
  return Error(Errc::kNotFound, fmt::format("there is no set '{}'", set_name));
}

Result<SnapshotInfo> Volume::take(const SetId& set, std::string_view name) {
  VARVE_TRY(check_history_writable());
  VARVE_TRY(check_snapshot_name(name));
  if (working_copy_.history().find(set, name))
    return Error(Errc::kExists, fmt::format("there is a snapshot '{}' already", name));
  Snapshotter::Request request;
  request.name = name;
  request.snapshot_class = set.is_zero() ? SnapshotClass::kMount : SnapshotClass::kSet;
  if (!set.is_zero()) {
    const std::vector<LiveTree::Set> sets = tree_.sets();
    auto live = std::find_if(sets.begin(), sets.end(), [&](const LiveTree::Set& s) {
      return s.row.id == set && !s.row.removed;
    });
    if (live == sets.end())
      return Error(Errc::kReadOnly, "the set has no live tree to take a snapshot of");
    request.set = live->number;
  }
  std::lock_guard lock(history_mutex_);
  return working_copy_.snapshotter().take(
      request, [this](const Snapshotter::Moment& moment) { return quiesce(moment); });
}

Result<bool> Volume::checkpoint() {
  std::lock_guard lock(history_mutex_);
  if (!working_copy_.snapshotter().checkpoint_due()) return false;
  Snapshotter::Request request;
  request.snapshot_class = SnapshotClass::kCheckpoint;
  VARVE_TRY(working_copy_.snapshotter().take(
      request, [this](const Snapshotter::Moment& moment) { return quiesce(moment); }));
  VARVE_TRY(working_copy_.after_checkpoint());
  return true;
}

Result<SnapshotInfo> Volume::take_snapshot(std::string_view set_name, std::string_view name) {
  VARVE_TRY(check_history_writable());
  SetId set = VARVE_TRY(set_id(set_name));
  std::string base = name.empty() ? utc_name(clock_.now()) : std::string(name);
  Result<SnapshotInfo> taken = take(set, base);
  for (int i = 2;
       name.empty() && !taken.ok() && taken.error().code() == Errc::kExists && i < kNamesToTry;
       i++) {
    taken = take(set, fmt::format("{}-{}", base, i));
  }
  if (taken.ok() && kernel_cache_)
    kernel_cache_->invalidate_node(control_.snapshots_directory(set));
  return taken;
}

Result<void> Volume::drop(const SetId& set, std::string_view name) {
  std::optional<SnapshotInfo> snapshot = working_copy_.history().find(set, name);
  if (!snapshot) return Error(Errc::kNotFound, fmt::format("there is no snapshot '{}'", name));
  Result<void> dropped = working_copy_.ballast().with_space(
      [&] { return working_copy_.history().drop(snapshot->hash); });
  if (!dropped.ok() && dropped.error().code() == Errc::kPermission)
    log_warning("not removed: " + dropped.error().message());
  return dropped;
}

Result<void> Volume::check_snapshots_removable() const {
  if (!options_.append_only_snapshots) return {};
  return Error(Errc::kPermission, "snapshots are kept (-o snapshots=append)");
}

void Volume::snapshot_removed(const SnapshotInfo& snapshot) {
  if (!kernel_cache_) return;
  kernel_cache_->invalidate_entry(control_.snapshots_directory(snapshot.header.set), snapshot.name);
}

Result<void> Volume::drop_snapshot(std::string_view set_name, std::string_view name) {
  VARVE_TRY(check_history_writable());
  VARVE_TRY(check_snapshots_removable());
  SetId set = VARVE_TRY(set_id(set_name));
  VARVE_TRY(drop(set, name));
  if (kernel_cache_) kernel_cache_->invalidate_entry(control_.snapshots_directory(set), name);
  return {};
}

Result<CollectFigures> Volume::collect(bool dry_run) {
  VARVE_TRY(check_history_writable());
  std::lock_guard one(collect_mutex_);
  CollectRequest request;
  request.dry_run = dry_run;
  request.quiesce = [this](const Snapshotter::Moment& moment) { return quiesce(moment); };
  request.alone = [this](const std::function<Result<void>()>& act) {
    std::lock_guard lock(history_mutex_);
    return act();
  };
  return working_copy_.collect(request);
}

void Volume::snapshots_changed() {
  if (!kernel_cache_) return;
  for (const LiveTree::Set& set : tree_.sets())
    kernel_cache_->invalidate_node(control_.snapshots_directory(set.row.id));
}

void Volume::forget_content(uint32_t set) {
  for (FileRef& file : files_.all()) {
    if (set_of(file->ino) != set) continue;
    std::lock_guard content(file->content_mutex);
    std::lock_guard lock(file->mutex);
    file->dirty.erase(0, UINT64_MAX);
    file->mtime.reset();
    file->ctime.reset();
    file->loaded = false;
    file->size = file->committed_size = 0;
    file->natural_end = UINT64_MAX;
    file->no_capability = false;
    file->discarded = false;  // the revert may bring it back; a flush finds out if it does not
    account(*file, budget_);
  }
}

Result<bool> Volume::changed_since_snapshot(uint32_t set) {
  for (FileRef& file : files_.all()) {
    if (set_of(file->ino) != set) continue;
    std::lock_guard lock(file->mutex);
    if (file->pending()) return true;
  }
  return tree_.changed_since_snapshot(set);
}

/// False, and nothing done, if the set is not any more as the last snapshot has it.
Result<bool> Volume::revert_unchanged(uint32_t set, const SnapshotInfo& snapshot) {
  std::lock_guard alone(history_mutex_);
  std::lock_guard lock(barrier_);
  if (VARVE_TRY(changed_since_snapshot(set))) return false;
  VARVE_TRY(working_copy_.revert(set, snapshot));
  forget_content(set);
  return true;
}

Result<std::string> Volume::revert(std::string_view set_name, std::string_view name) {
  VARVE_TRY(check_history_writable());
  std::optional<LiveTree::Set> set = tree_.set_named(set_name);
  if (!set) return Error(Errc::kNotFound, fmt::format("there is no set '{}'", set_name));
  std::optional<SnapshotInfo> snapshot = working_copy_.history().find(set->row.id, name);
  if (!snapshot)
    return Error(Errc::kNotFound, fmt::format("there is no snapshot '{}' of '{}'", name, set_name));
  SnapshotInfo saved = VARVE_TRY(take_snapshot(set_name, ""));
  // What is written between the snapshot and the revert must be in a snapshot too.
  for (int tries = 1; !VARVE_TRY(revert_unchanged(set->number, *snapshot)); tries++) {
    if (tries == kRevertTries) {
      return Error(Errc::kBusy, fmt::format("set '{}' is being written to: stop the writer and try "
                                            "again; the state so far is in {}",
                                            set_name, saved.name));
    }
    const SnapshotInfo newer = VARVE_TRY(take_snapshot(set_name, ""));
    const Result<void> dropped = working_copy_.history().drop(saved.hash);
    // One that is locked by the set's policy stays beside the newer one.
    if (!dropped.ok() && dropped.error().code() != Errc::kPermission) return dropped.error();
    saved = newer;
  }
  if (kernel_cache_) {
    // The name first: below it the kernel drops every name that nobody uses; the rest is stale and
    // looked up again.
    kernel_cache_->invalidate_entry(kRootIno, set_name);
    for (Ino ino : counts_.known(set->number)) kernel_cache_->invalidate_node(ino);
  }
  log_info(
      fmt::format("set {} reverted to {}; the state before is {}", set_name, name, saved.name));
  return saved.name;
}

}  // namespace varve
