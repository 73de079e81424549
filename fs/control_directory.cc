#include "fs/control_directory.h"

#include <algorithm>
#include <set>

namespace varve {
namespace {

// Directories change by other doors too, so the kernel asks again; but not at every step of every
// path into a snapshot, which would cost more requests than the file at its end.
constexpr double kTimeoutOfListsSeconds = 1;

Entry no_such_name() {
  Entry result;
  result.timeout_seconds = 0;  // it may come at any moment, also by other doors
  return result;
}

}  // namespace

uint64_t ControlDirectory::slot_of(const SetId& set) {
  std::lock_guard lock(mutex_);
  auto at = std::find(slots_.begin(), slots_.end(), set);
  if (at == slots_.end()) at = slots_.insert(slots_.end(), set);
  return static_cast<uint64_t>(at - slots_.begin());
}

std::optional<SetId> ControlDirectory::set_at(uint64_t slot) {
  std::lock_guard lock(mutex_);
  if (slot >= slots_.size()) return std::nullopt;
  return slots_[slot];
}

std::optional<LiveTree::Set> ControlDirectory::live_set(const SetId& set) {
  for (LiveTree::Set& one : working_copy_.tree().sets()) {
    if (one.row.id == set && !one.row.removed) return std::move(one);
  }
  return std::nullopt;
}

uint32_t ControlDirectory::owner(const SetId& set) {
  std::optional<LiveTree::Set> live = live_set(set);
  if (!live) return 0;
  Result<Inode> top = working_copy_.tree().inode(make_ino(live->number, kTopNumber));
  return top.ok() ? top->uid : 0;
}

std::vector<SnapshotInfo> ControlDirectory::shown(const SetId& set) {
  std::vector<SnapshotInfo> result = working_copy_.history().snapshots_of(set);
  if (!set.is_zero()) return result;
  std::erase_if(result, [](const SnapshotInfo& info) {
    return info.header.snapshot_class != SnapshotClass::kMount;
  });
  return result;
}

std::vector<SetInfo> ControlDirectory::sets_without_tree() {
  std::vector<SetInfo> result = working_copy_.history().sets();
  std::set<SetId> live{SetId{}};
  for (const LiveTree::Set& set : working_copy_.tree().sets()) {
    if (!set.row.removed) live.insert(set.row.id);
  }
  std::erase_if(result, [&](const SetInfo& set) { return live.contains(set.id); });
  return result;
}

Result<Entry> ControlDirectory::of_live(Ino directory) {
  if (number_of(directory) != kTopNumber) return Errc::kNotFound;
  if (directory == kRootIno) return attributes(node(Kind::kTop, 0));
  std::optional<LiveTree::Set> set = working_copy_.tree().set(varve::set_of(directory));
  if (!set) return Errc::kNotFound;
  return attributes(node(Kind::kTop, slot_of(set->row.id)));
}

Ino ControlDirectory::snapshots_directory(const SetId& set) {
  return node(Kind::kSnapshots, slot_of(set));
}

std::optional<SetId> ControlDirectory::set_of_snapshots(Ino directory) {
  Kind kind = kind_of(directory);
  if (kind != Kind::kSnapshots && kind != Kind::kSetSnapshots) return std::nullopt;
  return set_at(number_of(directory));
}

bool ControlDirectory::is_file(Kind kind) {
  return kind == Kind::kStatus || kind == Kind::kMetrics || kind == Kind::kImport ||
         kind == Kind::kImportReplace || kind == Kind::kLiveTar || kind == Kind::kSnapshotTar;
}

uint16_t ControlDirectory::permissions(Kind kind) {
  if (kind == Kind::kImport || kind == Kind::kImportReplace) return 0200;
  if (kind == Kind::kLiveTar || kind == Kind::kSnapshotTar) return 0400;
  return is_file(kind) ? 0444 : 0755;
}

std::optional<ControlDirectory::ImportDoor> ControlDirectory::import_door(Ino ino) {
  const Kind kind = kind_of(ino);
  if (kind != Kind::kImport && kind != Kind::kImportReplace) return std::nullopt;
  const std::optional<SetId> set = set_at(number_of(ino));
  std::optional<LiveTree::Set> live = set ? live_set(*set) : std::nullopt;
  if (!live) return std::nullopt;
  return ImportDoor{std::move(*live), kind == Kind::kImportReplace};
}

std::optional<SetId> ControlDirectory::live_archive(Ino ino) {
  return kind_of(ino) == Kind::kLiveTar ? set_at(number_of(ino)) : std::nullopt;
}

std::optional<SnapshotInfo> ControlDirectory::snapshot_archive(Ino ino) {
  if (kind_of(ino) != Kind::kSnapshotTar) return std::nullopt;
  FileHash hash;
  {
    std::lock_guard lock(mutex_);
    auto at = archives_.find(number_of(ino));
    if (at == archives_.end()) return std::nullopt;
    hash = at->second;
  }
  for (SnapshotInfo& info : working_copy_.history().snapshots())
    if (info.hash == hash) return std::move(info);
  return std::nullopt;
}

/// The size takes a walk through the snapshot, and is asked for when the file is, not its name:
/// the directory must not wait.
Result<Entry> ControlDirectory::lookup_archive(const SetId& set, std::string_view name) {
  constexpr std::string_view kEnding = ".tar";
  if (!name.ends_with(kEnding)) return no_such_name();
  name.remove_suffix(kEnding.size());
  std::optional<SnapshotInfo> snapshot = working_copy_.history().find(set, name);
  if (!snapshot || snapshot->header.snapshot_class == SnapshotClass::kCheckpoint)
    return no_such_name();
  const uint64_t slot = VARVE_TRY(working_copy_.view_number(snapshot->hash, set));
  {
    std::lock_guard lock(mutex_);
    archives_.insert_or_assign(slot, snapshot->hash);
  }
  const Ino ino = node(Kind::kSnapshotTar, slot);
  if (exports_.known_size(snapshot->hash)) return archive_attributes(ino, *snapshot);
  Entry entry;
  entry.attributes.ino = ino;
  entry.attributes.permissions = permissions(Kind::kSnapshotTar);
  entry.attributes.uid = owner(set);
  return entry;
}

Result<Entry> ControlDirectory::archive_attributes(Ino ino, const SnapshotInfo& snapshot) {
  Entry entry;
  Attributes& attributes = entry.attributes;
  attributes.ino = ino;
  attributes.permissions = permissions(Kind::kSnapshotTar);
  const bool of_set = snapshot.header.snapshot_class == SnapshotClass::kSet;
  attributes.uid = owner(of_set ? snapshot.header.set : SetId{});
  std::optional<uint64_t> size = exports_.known_size(snapshot.hash);
  if (!size) size = VARVE_TRY(exports_.of_snapshot(snapshot))->size();
  attributes.size = attributes.allocated = *size;
  attributes.mtime = attributes.ctime = attributes.atime = snapshot.time;
  entry.timeout_seconds = kTimeoutOfListsSeconds;
  return entry;
}

Result<Entry> ControlDirectory::attributes(Ino ino) {
  Kind kind = kind_of(ino);
  if (kind == Kind::kSnapshotTar) {
    const std::optional<SnapshotInfo> snapshot = snapshot_archive(ino);
    if (!snapshot) return Errc::kStale;
    return archive_attributes(ino, *snapshot);
  }
  std::optional<SetId> set = set_at(number_of(ino));
  if (!set) return Errc::kStale;
  Entry result;
  Attributes& attributes = result.attributes;
  attributes.ino = ino;
  const bool file = is_file(kind);
  attributes.type = file ? FileType::kFile : FileType::kDirectory;
  attributes.permissions = permissions(kind);
  attributes.links = file ? 1 : 2;
  attributes.uid = owner(*set);
  if (kind == Kind::kLiveTar) attributes.size = exports_.live_size(*set);
  if (kind == Kind::kTop) {
    result.timeout_seconds = kTimeoutOfOwnSeconds;
  } else if (!file) {
    result.timeout_seconds = kTimeoutOfListsSeconds;
  }
  if (set_of_snapshots(ino)) {
    std::vector<SnapshotInfo> snapshots = shown(*set);
    if (!snapshots.empty())
      attributes.mtime = attributes.ctime = attributes.atime = snapshots.back().time;
    attributes.links = static_cast<uint32_t>(2 + snapshots.size());
  }
  return result;
}

Result<Entry> ControlDirectory::lookup(Ino directory, std::string_view name) {
  if (name == ".") return attributes(directory);
  if (std::optional<SetId> set = set_of_snapshots(directory)) {
    std::optional<SnapshotInfo> snapshot = working_copy_.history().find(*set, name);
    if (!snapshot || snapshot->header.snapshot_class == SnapshotClass::kCheckpoint)
      return lookup_archive(*set, name);
    Entry entry = VARVE_TRY(snapshots_.enter(*snapshot, directory));
    entry.timeout_seconds = kTimeoutOfListsSeconds;  // it may be dropped by other doors
    return entry;
  }
  for (const Listed& listed : names_below(directory)) {
    if (listed.name == name) return attributes(listed.ino);
  }
  return no_such_name();
}

std::vector<ControlDirectory::Listed> ControlDirectory::names_below(Ino directory) {
  uint64_t slot = number_of(directory);
  std::vector<Listed> result;
  auto add = [&](const char* name, Kind kind, FileType type) {
    result.push_back({name, node(kind, slot), type});
  };
  switch (kind_of(directory)) {
    case Kind::kTop:
      add("snapshots", Kind::kSnapshots, FileType::kDirectory);
      add("live.tar", Kind::kLiveTar, FileType::kFile);
      if (slot != 0) {
        add("import.tar", Kind::kImport, FileType::kFile);
        add("import-replace.tar", Kind::kImportReplace, FileType::kFile);
        break;
      }
      add("sets", Kind::kSets, FileType::kDirectory);
      add("status.json", Kind::kStatus, FileType::kFile);
      add("metrics", Kind::kMetrics, FileType::kFile);
      break;
    case Kind::kSet:
      add("snapshots", Kind::kSetSnapshots, FileType::kDirectory);
      break;
    case Kind::kSets:
      for (SetInfo& set : sets_without_tree()) {
        result.push_back(
            {std::move(set.name), node(Kind::kSet, slot_of(set.id)), FileType::kDirectory});
      }
      break;
    default:
      break;
  }
  return result;
}

Ino ControlDirectory::parent(Ino ino) {
  uint64_t slot = number_of(ino);
  switch (kind_of(ino)) {
    case Kind::kSnapshots:
    case Kind::kSets:
      return node(Kind::kTop, slot);
    case Kind::kSet:
      return node(Kind::kSets, 0);
    case Kind::kSetSnapshots:
      return node(Kind::kSet, slot);
    default:
      break;
  }
  std::optional<SetId> set = set_at(slot);
  std::optional<LiveTree::Set> live = set ? live_set(*set) : std::nullopt;
  return live ? make_ino(live->number, kTopNumber) : kRootIno;
}

Result<std::vector<ControlDirectory::Listed>> ControlDirectory::list(Ino directory) {
  Kind kind = kind_of(directory);
  if (is_file(kind)) return Errc::kNotDirectory;
  std::vector<Listed> result{{".", directory, FileType::kDirectory},
                             {"..", parent(directory), FileType::kDirectory}};
  if (std::optional<SetId> set = set_of_snapshots(directory)) {
    for (SnapshotInfo& info : shown(*set)) {
      uint32_t view = VARVE_TRY(working_copy_.view_number(info.hash, *set));
      result.push_back(
          {std::move(info.name), snapshot_node(view, kTopNumber), FileType::kDirectory});
    }
    return result;
  }
  for (Listed& listed : names_below(directory)) result.push_back(std::move(listed));
  return result;
}

Result<std::string> ControlDirectory::content(Ino ino) {
  switch (kind_of(ino)) {
    case Kind::kStatus:
      return texts_.status();
    case Kind::kMetrics:
      return texts_.metrics();
    case Kind::kImport:
    case Kind::kImportReplace:
      return std::string();
    default:
      return Errc::kIsDirectory;
  }
}

}  // namespace varve
