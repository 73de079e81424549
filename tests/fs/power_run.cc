#include "tests/fs/power_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <sys/stat.h>

#include "catalog/checker.h"
#include "catalog/snapshot_needs.h"
#include "dedup/guard.h"
#include "dedup/keyring.h"

namespace varve {
namespace {

const Caller kRootUser{0, 0, 1, 022};

AccessSecret key_of_the_store() {
  return {AccessSecret::Kind::kKeyFile, Secret::copy_of(as_bytes("a key file's bytes"))};
}

}  // namespace

std::string describe(const PowerOp& op) {
  static const char* const names[] = {"directory", "create",  "open",       "write",    "sync",
                                      "close",     "put",     "rename",     "truncate", "punch",
                                      "unlink",    "remove",  "link",       "symlink",  "clone",
                                      "syncdir",   "syncall", "commit",     "tidy",     "snapshot",
                                      "drop",      "revert",  "checkpoint", "unmount",  "mount"};
  return fmt::format("{} {} {} {} {}", names[static_cast<int>(op.kind)], op.path, op.to, op.at,
                     op.size);
}

std::unique_ptr<SimulatedMachine> machine_with_store() {
  auto machine = std::make_unique<SimulatedMachine>(1);
  std::vector<AccessSecret> secrets;
  secrets.push_back(key_of_the_store());
  auto made = create_store(*machine->disk, ChunkerSizes::of_average(16 << 10).value(), secrets,
                           machine->random, "2026-11-22T05:30:00Z");
  if (!made.ok()) std::abort();
  return machine;
}

Result<void> PowerRun::mount() {
  WorkingCopy::Options options;
  options.threads = 1;
  options.cache_bytes = 1 << 20;
  copy_ = VARVE_TRY(WorkingCopy::open(machine_.world(), key_of_the_store(), options, metrics_));
  Volume::Options how;
  how.flush_threads = 0;
  how.texts = {[] { return std::string(); }, [] { return std::string(); }};
  volume_ = std::make_unique<Volume>(*copy_, machine_.clock, metrics_, how);
  return {};
}

Result<void> PowerRun::unmount() {
  for (const auto& [path, file] : open_) volume_->release(file.ino, file.handle);
  open_.clear();
  const size_t point = model_.begin_point(ModelPoint::Kind::kCheckpoint, "", std::nullopt);
  VARVE_TRY(copy_->finish([this](const Snapshotter::Moment& m) { return volume_->quiesce(m); }));
  model_.end_point(point, "");
  drop();
  return {};
}

void PowerRun::drop() {
  open_.clear();
  volume_.reset();
  copy_.reset();
}

// Names.

Result<Ino> PowerRun::find(const std::string& path) {
  Ino at = kRootIno;
  for (size_t from = 0; from < path.size();) {
    const size_t slash = std::min(path.find('/', from), path.size());
    const Entry entry = VARVE_TRY(volume_->lookup(at, path.substr(from, slash - from)));
    at = entry.attributes.ino;
    if (at == 0) return Error(Errc::kNotFound, path + " is not there");
    from = slash + 1;
  }
  return at;
}

Result<PowerRun::Parent> PowerRun::parent(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return Parent{kRootIno, path};
  return Parent{VARVE_TRY(find(path.substr(0, slash))), path.substr(slash + 1)};
}

Result<FoundFile> PowerRun::look(Ino ino, const Attributes& attributes) {
  FoundFile found{attributes.type, attributes.ino, {}};
  if (attributes.type == FileType::kSymlink) {
    const std::string target = VARVE_TRY(volume_->read_link(ino));
    const ByteView bytes = as_bytes(target);
    found.content.assign(bytes.begin(), bytes.end());
  }
  if (attributes.type != FileType::kFile) return found;
  const OpenFile file = VARVE_TRY(volume_->open(ino, O_RDONLY, false, Caller{}));
  const Result<void> read = volume_->read(ino, file.handle, 0, SIZE_MAX / 2, [&](ByteView bytes) {
    found.content.assign(bytes.begin(), bytes.end());
  });
  volume_->release(ino, file.handle);
  VARVE_TRY(Result<void>(read));
  if (found.content.size() != attributes.size)
    return Error(Errc::kCorrupt, "the size is not that of the content");
  return found;
}

Result<void> PowerRun::walk(Ino directory, const std::string& prefix, FoundTree& tree) {
  std::vector<std::string> names;
  const OpenDirectory opened = VARVE_TRY(volume_->open_directory(directory));
  const Result<void> listed =
      volume_->read_directory(directory, opened.handle, 0, false, [&](const DirectoryEntry& entry) {
        if (entry.name != "." && entry.name != "..") names.emplace_back(entry.name);
        return true;
      });
  volume_->release_directory(directory, opened.handle);
  VARVE_TRY(Result<void>(listed));
  for (const std::string& name : names) {
    const Entry entry = VARVE_TRY(volume_->lookup(directory, name));
    const Ino ino = entry.attributes.ino;
    if (ino == 0) return Error(Errc::kCorrupt, prefix + name + " is listed and not found");
    tree[prefix + name] = VARVE_TRY(in_context(look(ino, entry.attributes), prefix + name));
    if (entry.attributes.type == FileType::kDirectory)
      VARVE_TRY(walk(ino, prefix + name + "/", tree));
    volume_->forget(ino, 1);
  }
  return {};
}

Result<FoundTree> PowerRun::live_tree() {
  FoundTree tree;
  VARVE_TRY(walk(kRootIno, "", tree));
  return tree;
}

Result<std::vector<PowerModel::FoundSnapshot>> PowerRun::snapshots() {
  std::vector<PowerModel::FoundSnapshot> found;
  for (const SnapshotInfo& info : copy_->history().snapshots()) {
    const bool of_set = info.header.snapshot_class == SnapshotClass::kSet;
    PowerModel::FoundSnapshot snapshot{of_set ? info.set_name : "", info.name, {}};
    std::string path = ".varve/snapshots/" + info.name;
    if (of_set) {
      const bool live = copy_->tree().set_named(info.set_name).has_value();
      path = (live ? info.set_name + "/" : ".varve/sets/" + info.set_name + "/") +
             (live ? path : "snapshots/" + info.name);
    }
    const Ino top = VARVE_TRY(in_context(find(path), path));
    VARVE_TRY(in_context(walk(top, "", snapshot.tree), path));
    found.push_back(std::move(snapshot));
  }
  return found;
}

std::string PowerRun::missing_packs() {
  std::vector<SnapshotInfo> all = copy_->history().snapshots();
  for (const SnapshotInfo& info : copy_->history().checkpoints()) all.push_back(info);
  SnapshotNeeds needs(copy_->history(), lies_in(*machine_.disk));
  for (const SnapshotInfo& info : all) {
    const Result<bool> whole = needs.is_whole(info);
    if (!whole.ok()) return whole.error().message();
    if (!*whole) return "packs of snapshot '" + info.name + "' are missing";
  }
  return "";
}

std::string PowerRun::damage() {
  Storage& disk = *machine_.disk;
  const auto report = [&]() -> Result<CheckReport> {
    const StoreConfig config = VARVE_TRY(read_store_config(disk));
    const Keyring keyring = VARVE_TRY(open_keyring(disk, config, key_of_the_store()));
    const auto place = [this] { return machine_.world()->place(); };
    const GuardFound found = VARVE_TRY(read_guard(disk, place, config.store_id));
    const ReplicaId replica = found.guard ? found.guard->replica : ReplicaId();
    const auto view = VARVE_TRY(machine_.database->view());
    CheckOptions options;
    options.read_data = true;
    options.threads = 1;
    return check_store({disk, config, keyring, view.get(), replica, machine_.clock}, options);
  }();
  if (!report.ok()) return report.error().message();
  std::string lines;
  for (const Finding& finding : report->findings) {
    if (finding.is_damage()) lines += line_of(finding) + "\n";
  }
  return lines;
}

// Operations. The model is told first, for a cut may come before the store answers.

Result<void> PowerRun::create(const std::string& path) {
  model_.make_file(path);
  const Parent at = VARVE_TRY(parent(path));
  const auto made = VARVE_TRY(volume_->create(at.ino, at.name, S_IFREG | 0644, O_RDWR, kRootUser));
  open_[path] = {made.entry.attributes.ino, made.file.handle};
  return {};
}

Result<void> PowerRun::put(const std::string& path, const Bytes& bytes) {
  VARVE_TRY(create(path));
  VARVE_TRY(write(path, 0, bytes));
  return close(path);
}

Result<void> PowerRun::write(const std::string& path, size_t at, const Bytes& bytes) {
  model_.write(path, at, bytes);
  const Open& file = open_.at(path);
  const size_t written = VARVE_TRY(volume_->write(file.ino, file.handle, at, bytes, {}));
  if (written != bytes.size()) return Error(Errc::kIo, "a short write");
  return {};
}

Result<void> PowerRun::close(const std::string& path) {
  const Open file = open_.at(path);
  open_.erase(path);
  VARVE_TRY(volume_->flush(file.ino, file.handle));
  volume_->release(file.ino, file.handle);
  if (model_.has(path)) model_.flushed(path);
  return {};
}

Result<void> PowerRun::rename(const PowerOp& op) {
  model_.rename(op.path, op.to);
  const Parent from = VARVE_TRY(parent(op.path)), to = VARVE_TRY(parent(op.to));
  VARVE_TRY(volume_->rename(from.ino, from.name, to.ino, to.name, 0));
  if (auto replaced = open_.extract(op.to))
    volume_->release(replaced.mapped().ino, replaced.mapped().handle);
  auto moved = open_.extract(op.path);
  if (!moved) return {};
  moved.key() = op.to;
  open_.insert(std::move(moved));
  return {};
}

Result<void> PowerRun::clone(const PowerOp& op) {
  model_.clone(op.path, op.to);
  const Open &from = open_.at(op.path), &to = open_.at(op.to);
  VARVE_TRY(volume_->copy_range(from.ino, from.handle, 0, to.ino, to.handle, 0, SIZE_MAX));
  return {};
}

Result<void> PowerRun::change_content(const PowerOp& op) {
  if (op.kind == PowerOp::Kind::kWrite)
    return write(op.path, op.at, random_bytes(op.seed, op.size));
  if (op.kind == PowerOp::Kind::kClone) return clone(op);
  if (op.kind == PowerOp::Kind::kPunch) {
    model_.punch(op.path, op.at, op.at + op.size);
    const Open& file = open_.at(op.path);
    return volume_->allocate(file.ino, file.handle, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                             op.at, op.size);
  }
  model_.truncate(op.path, op.size);
  SetAttributes change;
  change.size = op.size;
  const Ino ino = VARVE_TRY(find(op.path));
  VARVE_TRY(volume_->set_attributes(ino, change, std::nullopt, kRootUser));
  return {};
}

Result<void> PowerRun::change_names(const PowerOp& op) {
  const Parent at = VARVE_TRY(parent(op.path));
  switch (op.kind) {
    case PowerOp::Kind::kDirectory:
      model_.make_directory(op.path);
      VARVE_TRY(volume_->make_node(at.ino, at.name, S_IFDIR | 0755, 0, "", kRootUser));
      return {};
    case PowerOp::Kind::kSymlink:
      model_.make_symlink(op.path, op.to);
      VARVE_TRY(volume_->make_node(at.ino, at.name, S_IFLNK | 0777, 0, op.to, kRootUser));
      return {};
    case PowerOp::Kind::kLink: {
      model_.link(op.path, op.to);
      const Parent to = VARVE_TRY(parent(op.to));
      const Ino linked = VARVE_TRY(find(op.path));
      VARVE_TRY(volume_->link(linked, to.ino, to.name));
      return {};
    }
    case PowerOp::Kind::kRemove:
      model_.remove(op.path);
      return volume_->remove_directory(at.ino, at.name, kRootUser);
    default:
      model_.remove(op.path);
      if (auto file = open_.extract(op.path)) {
        VARVE_TRY(volume_->unlink(at.ino, at.name));
        volume_->release(file.mapped().ino, file.mapped().handle);
        return {};
      }
      return volume_->unlink(at.ino, at.name);
  }
}

Result<void> PowerRun::make_durable(const PowerOp& op) {
  switch (op.kind) {
    case PowerOp::Kind::kSync: {
      const Open& file = open_.at(op.path);
      VARVE_TRY(volume_->sync(file.ino, file.handle, false));
      model_.promise_file(op.path);
      return {};
    }
    case PowerOp::Kind::kSyncDirectory: {
      const Ino ino = VARVE_TRY(find(op.path));
      VARVE_TRY(volume_->sync_directory(ino));
      model_.promise_names();
      return {};
    }
    case PowerOp::Kind::kCommit:
      volume_->flusher().request_older_than(0);
      VARVE_TRY(copy_->committer().commit());
      break;
    case PowerOp::Kind::kTidy:
      while (VARVE_TRY(copy_->tree().erase_garbage(10))) {
      }
      return copy_->index().settle();
    default:
      VARVE_TRY(volume_->sync_all());
  }
  model_.promise_all();
  return {};
}

Result<void> PowerRun::revert(const PowerOp& op) {
  const size_t saved = model_.begin_point(ModelPoint::Kind::kSet, op.path, std::nullopt);
  for (auto file = open_.begin(); file != open_.end();) {
    volume_->release(file->second.ino, file->second.handle);
    file = open_.erase(file);
  }
  model_.revert(op.path, op.to);
  const std::string name = VARVE_TRY(volume_->revert(op.path, op.to));
  model_.end_point(saved, name);
  return {};
}

Result<void> PowerRun::checkpoint() {
  const size_t point = model_.begin_point(ModelPoint::Kind::kCheckpoint, "", std::nullopt);
  VARVE_TRY(volume_->sync_all());  // whether it is due is seen in the tree
  VARVE_TRY(volume_->checkpoint());
  model_.end_point(point, "");
  return {};
}

Result<void> PowerRun::change_history(const PowerOp& op) {
  if (op.kind == PowerOp::Kind::kCheckpoint) return checkpoint();
  if (op.kind == PowerOp::Kind::kRevert) return revert(op);
  if (op.kind == PowerOp::Kind::kDrop) {
    model_.begin_drop(op.path, op.to);
    VARVE_TRY(volume_->drop_snapshot(op.path, op.to));
    model_.end_drop(op.path, op.to);
    return {};
  }
  const auto kind = op.path.empty() ? ModelPoint::Kind::kMount : ModelPoint::Kind::kSet;
  const size_t point = model_.begin_point(kind, op.path, op.to);
  VARVE_TRY(volume_->take_snapshot(op.path, op.to));
  model_.end_point(point, op.to);
  return {};
}

Result<void> PowerRun::run(const PowerOp& op) {
  machine_.clock.advance(1'000'000'000);
  using Kind = PowerOp::Kind;
  switch (op.kind) {
    case Kind::kCreate:
      return create(op.path);
    case Kind::kOpen: {
      const Ino ino = VARVE_TRY(find(op.path));
      const OpenFile file = VARVE_TRY(volume_->open(ino, O_RDWR, false, Caller{}));
      open_[op.path] = {ino, file.handle};
      return {};
    }
    case Kind::kClose:
      return close(op.path);
    case Kind::kPut:
      return put(op.path, random_bytes(op.seed, op.size));
    case Kind::kRename:
      return rename(op);
    case Kind::kWrite:
    case Kind::kTruncate:
    case Kind::kPunch:
    case Kind::kClone:
      return change_content(op);
    case Kind::kDirectory:
    case Kind::kUnlink:
    case Kind::kRemove:
    case Kind::kLink:
    case Kind::kSymlink:
      return change_names(op);
    case Kind::kSync:
    case Kind::kSyncDirectory:
    case Kind::kSyncAll:
    case Kind::kCommit:
    case Kind::kTidy:
      return make_durable(op);
    case Kind::kSnapshot:
    case Kind::kDrop:
    case Kind::kRevert:
    case Kind::kCheckpoint:
      return change_history(op);
    case Kind::kUnmount:
      return unmount();
    case Kind::kMount:
      return mount();
  }
  return Errc::kInvalid;
}

}  // namespace varve
