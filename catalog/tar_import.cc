#include "catalog/tar_import.h"

#include <fmt/format.h>

#include <algorithm>

#include "catalog/posix_acl.h"
#include "dedup/base/limits.h"
#include "dedup/base/log.h"

namespace varve {
namespace {

constexpr uint64_t kTroubleLinesMax = 1000;

/// Errors that are not one entry's.
bool ends_import(Errc code) {
  switch (code) {
    case Errc::kIo:
    case Errc::kNoSpace:
    case Errc::kCorrupt:
    case Errc::kAuthentication:
    case Errc::kForeign:
    case Errc::kBusy:
    case Errc::kReadOnly:
    case Errc::kQuota:
    case Errc::kInterrupted:
      return true;
    default:
      return false;
  }
}

std::string_view reason_of(const Error& error) {
  if (!error.message().empty()) return error.message();
  switch (error.code()) {
    case Errc::kNotFound:
      return "it, or what it leads to, is not there";
    case Errc::kNotEmpty:
      return "in its place is a directory with files in it";
    case Errc::kNotDirectory:
      return "what should be a directory is none";
    case Errc::kNameTooLong:
      return "a name is too long";
    case Errc::kTooManyLinks:
      return "the file has too many names";
    case Errc::kPermission:
      return "not permitted";
    default:
      return "cannot be stored";
  }
}

bool is_namespace_of_users(std::string_view name) {
  return name == kAclAccessName || name == kAclDefaultName ||
         (name.starts_with("user.") && name.size() > 5);
}

bool is_namespace(std::string_view name) {
  return is_namespace_of_users(name) || (name.starts_with("security.") && name.size() > 9) ||
         (name.starts_with("trusted.") && name.size() > 8);
}

}  // namespace

TarImport::TarImport(Parts parts, Options options, Host& host, TarReader::Source source)
    : parts_(parts),
      options_(std::move(options)),
      host_(host),
      reader_(std::move(source)),
      content_(parts.ingest, parts.chunker,
               {[this](uint64_t bytes) { return host_.admit(bytes); },
                [this](uint64_t bytes) { host_.stored(bytes); }}) {}

TarImport::~TarImport() = default;

TarImport::Progress TarImport::progress() const {
  std::lock_guard lock(progress_mutex_);
  return progress_;
}

void TarImport::trouble(std::string_view path, std::string_view what) {
  uint64_t failed = 0;
  {
    std::lock_guard lock(progress_mutex_);
    failed = ++progress_.failed;
  }
  if (failed <= kTroubleLinesMax)
    log_error(fmt::format("import into {}: {}: {}", options_.name, path, what));
  if (failed == kTroubleLinesMax)
    log_error(fmt::format("import into {}: further errors are counted only", options_.name));
}

Result<void> TarImport::run() {
  VARVE_TRY(own_directory(options_.top));
  TarEntry entry;
  while (VARVE_TRY(reader_.next(entry))) {
    {
      std::lock_guard lock(progress_mutex_);
      progress_.entries++;
      progress_.path = entry.path;
    }
    Result<void> done = import(entry);
    drop_orphan();
    if (done.ok()) continue;
    if (ends_import(done.error().code())) return std::move(done).error().with_context(entry.path);
    trouble(entry.path, reason_of(done.error()));
  }
  const Progress progress = this->progress();
  if (progress.failed > 0) {
    return Error(Errc::kIo,
                 fmt::format("{} of {} entries met errors{}", progress.failed, progress.entries,
                             options_.replace ? "; nothing was removed" : ""));
  }
  return options_.replace ? remove_unnamed() : Result<void>();
}

Result<void> TarImport::import(TarEntry& entry) {
  const Result<Path> path = tar_path(entry.path);
  if (!path.ok() && path.error().code() == Errc::kPermission) {
    log_warning(fmt::format("import into {}: {} is left out: {}", options_.name, entry.path,
                            path.error().message()));
    return {};
  }
  if (!path.ok()) return path.error();
  if (entry.link) {
    const Path target = VARVE_TRY(tar_path(*entry.link));
    return at_way([&] { return import_link(target, *path); });
  }
  WholeFile file = VARVE_TRY(whole(entry, entry.path));
  if (entry.type == FileType::kDirectory)
    return at_way([&] { return import_directory(file, *path); });
  if (path->empty()) return Error(Errc::kInvalid, "the set's top can be a directory only");
  if (entry.type == FileType::kFile) VARVE_TRY(read_content(entry, file));
  return at_way([&] { return put(file, *path); });
}

/// A directory on the way may have gone since it was looked up: then the way is looked up anew.
Result<void> TarImport::at_way(const std::function<Result<void>()>& action) {
  Result<void> done = action();
  if (done.ok() || (done.error().code() != Errc::kStale && done.error().code() != Errc::kNotFound))
    return done;
  way_.clear();
  return action();
}

/// The file as the importing user may have it.
Result<WholeFile> TarImport::whole(TarEntry& entry, std::string_view path) {
  const ImportRights& rights = options_.rights;
  if (!rights.administrator &&
      (entry.type == FileType::kCharacterDevice || entry.type == FileType::kBlockDevice))
    return Error(Errc::kPermission, "only an administrator can make devices");
  drop_unusable_xattrs(entry);
  for (const std::string& line : entry.troubles) trouble(path, line);
  WholeFile file;
  file.type = entry.type;
  file.permissions = entry.type == FileType::kSymlink ? uint16_t{0777} : entry.permissions;
  file.uid = rights.administrator ? entry.uid : rights.uid;
  file.gid = rights.administrator ? entry.gid : rights.gid;
  file.device_major = entry.device_major;
  file.device_minor = entry.device_minor;
  file.target = std::move(entry.target);
  file.xattrs = std::move(entry.xattrs);
  file.atime = entry.atime;
  file.mtime = entry.mtime;
  file.size = entry.size;
  entry.troubles.clear();
  return file;
}

void TarImport::drop_unusable_xattrs(TarEntry& entry) {
  Xattrs usable;
  size_t bytes = 0;
  for (auto& [name, value] : entry.xattrs) {
    const bool named =
        options_.rights.administrator ? is_namespace(name) : is_namespace_of_users(name);
    bytes += name.size() + value.size();
    if (!named || name.size() > kNameBytesMax) {
      entry.troubles.push_back(fmt::format("the attribute '{}' is none that can be set", name));
    } else if (value.size() > kXattrValueBytesMax || bytes > kXattrsBytesMax) {
      entry.troubles.push_back(fmt::format("the attribute '{}' is too large", name));
    } else if ((name == kAclAccessName || name == kAclDefaultName) &&
               !PosixAcl::decode(value).ok()) {
      entry.troubles.push_back(fmt::format("'{}' is no access control list", name));
    } else if (entry.type == FileType::kSymlink && !name.starts_with("trusted.") &&
               !name.starts_with("security.")) {
      entry.troubles.push_back(fmt::format("a symlink cannot have the attribute '{}'", name));
    } else {
      usable.emplace_back(std::move(name), std::move(value));
    }
  }
  entry.xattrs = std::move(usable);
}

// Content.

Result<void> TarImport::read_content(const TarEntry& entry, WholeFile& file) {
  content_.begin();
  uint64_t grown_to = 0;
  while (auto piece = VARVE_TRY(reader_.data())) {
    VARVE_TRY(content_.write(piece->offset, piece->bytes));
    {
      std::lock_guard lock(progress_mutex_);
      progress_.bytes += piece->bytes.size();
    }
    if (content_.extents().size() < options_.extents_in_memory) continue;
    const uint64_t to = content_.extents().back().offset + content_.extents().back().length;
    VARVE_TRY(grow(file, grown_to, to));
    grown_to = to;
  }
  VARVE_TRY(content_.finish());
  if (file.content != 0) return grow(file, grown_to, entry.size);
  file.extents = content_.take();
  return {};
}

/// What was cut goes into the orphan's rows.
Result<void> TarImport::grow(WholeFile& file, uint64_t from, uint64_t to) {
  if (to < from) return Error(Errc::kInvalid, "the file is larger than its header says");
  return change([&]() -> Result<void> {
    if (file.content == 0) {
      NewFile unnamed;
      unnamed.uid = file.uid;
      unnamed.gid = file.gid;
      file.content = orphan_ = VARVE_TRY(parts_.tree.create_orphan(options_.top, unnamed)).ino;
    }
    LiveTree::ContentChange change;
    change.from = from;
    change.to = to;
    change.extents = content_.take();
    change.size = to;
    VARVE_TRY(parts_.tree.change_content(file.content, change));
    return {};
  });
}

/// A large file that was not whole in the end.
void TarImport::drop_orphan() {
  if (orphan_ == 0) return;
  const Ino orphan = std::exchange(orphan_, 0);
  Result<void> released = change([&] { return parts_.tree.release(orphan); });
  if (!released.ok())
    log_warning(fmt::format("file {} without a name cannot be released: {}", orphan,
                            released.error().message()));
}

// Names.

Result<void> TarImport::put_name(Ino directory, std::string_view name, const Put& put_there) {
  LiveTree::PutMode mode;
  mode.keep_times = dressed_.contains(number_of(directory));
  mode.keep_equal = true;
  const Result<LiveEntry> there = parts_.tree.lookup(directory, name);
  if (there.ok()) mode.keep_equal = !host_.is_pending(there->ino);
  LiveTree::PutFile done;
  auto action = [&]() -> Result<void> {
    done = VARVE_TRY(put_there(mode));
    return {};
  };
  Result<void> outcome = change(action);
  if (!outcome.ok() && outcome.error().code() == Errc::kNotEmpty && options_.replace &&
      there.ok()) {
    VARVE_TRY(remove_below(there->ino, true));
    outcome = change(action);
  }
  VARVE_TRY(std::move(outcome));
  orphan_ = 0;
  named_.add(number_of(done.made.ino));
  if (done.was_equal) return {};
  if (done.made.inode.type == FileType::kDirectory) dressed_.add(number_of(done.made.ino));
  host_.renamed(directory, name, done.replaced);
  return {};
}

Result<void> TarImport::put(const WholeFile& file, const Path& path) {
  const Ino directory = VARVE_TRY(directory_of(path));
  return put_name(directory, path.back(), [&](LiveTree::PutMode mode) {
    return parts_.tree.put(directory, path.back(), file, mode);
  });
}

Result<void> TarImport::import_link(const Path& target, const Path& path) {
  if (target.empty() || path.empty())
    return Error(Errc::kInvalid, "the set's top cannot be linked");
  const Ino from = VARVE_TRY(directory_of(target));
  const LiveEntry file = VARVE_TRY(in_context(parts_.tree.lookup(from, target.back()),
                                              "the file that it is a link to is not there"));
  if (!options_.rights.administrator && file.inode.uid != options_.rights.uid)
    return Error(Errc::kPermission, "the file that it is a link to belongs to somebody else");
  const Ino directory = VARVE_TRY(directory_of(path));
  return put_name(directory, path.back(), [&](LiveTree::PutMode mode) {
    return parts_.tree.put_link(file.ino, directory, path.back(), mode);
  });
}

Result<void> TarImport::import_directory(const WholeFile& file, const Path& path) {
  Ino directory = options_.top;
  if (!path.empty()) {
    const Ino above = VARVE_TRY(directory_of(path));
    const Result<LiveEntry> there = parts_.tree.lookup(above, path.back());
    if (!there.ok() || there->inode.type != FileType::kDirectory) return put(file, path);
    directory = there->ino;
  }
  VARVE_TRY(own_directory(directory));
  bool changed = false;
  VARVE_TRY(change([&]() -> Result<void> {
    changed = VARVE_TRY(parts_.tree.dress(directory, file, options_.replace));
    return {};
  }));
  named_.add(number_of(directory));
  dressed_.add(number_of(directory));
  if (changed) host_.dressed(directory);
  return {};
}

// Directories on the way.

/// The directory, if the importing user may do as he likes in it.
Result<Inode> TarImport::own_directory(Ino directory) {
  const Inode inode = VARVE_TRY(parts_.tree.inode(directory));
  if (options_.rights.administrator || inode.uid == options_.rights.uid) return inode;
  return Error(Errc::kAccess, "the directory belongs to somebody else");
}

/// Of what the path's last part is, or shall be, in.
Result<Ino> TarImport::directory_of(const Path& path) {
  const size_t depth = path.size() - 1;
  size_t same = 0;
  while (same < std::min(way_.size(), depth) && way_[same].name == path[same]) same++;
  way_.resize(same);
  Ino at = way_.empty() ? options_.top : way_.back().ino;
  for (size_t i = same; i < depth; i++) {
    at = VARVE_TRY(enter(at, path[i]));
    way_.push_back({std::string(path[i]), at});
  }
  return at;
}

Result<Ino> TarImport::enter(Ino directory, std::string_view name) {
  const Result<LiveEntry> there = parts_.tree.lookup(directory, name);
  if (there.ok()) {
    if (there->inode.type != FileType::kDirectory) {
      return Error(
          Errc::kNotDirectory,
          fmt::format("'{}' on the way is no directory (symlinks are not followed)", name));
    }
    VARVE_TRY(own_directory(there->ino));
    named_.add(number_of(there->ino));
    return there->ino;
  }
  if (there.error().code() != Errc::kNotFound) return there.error();
  NewFile between;
  between.type = FileType::kDirectory;
  between.permissions = 0755;
  between.uid = options_.rights.uid;
  between.gid = options_.rights.gid;
  Ino made = 0;
  VARVE_TRY(change([&]() -> Result<void> {
    made = VARVE_TRY(parts_.tree.create(directory, name, between)).ino;
    return {};
  }));
  named_.add(number_of(made));
  host_.renamed(directory, name, std::nullopt);
  return made;
}

}  // namespace varve
