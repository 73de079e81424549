#include "fs/volume.h"

#include <fmt/format.h>

#include <algorithm>
#include <shared_mutex>

#include "dedup/base/limits.h"
#include "dedup/base/log.h"

namespace varve {
namespace {

constexpr std::string_view kControlName = ".varve";
constexpr size_t kUnstoredFilesNamed = 20;

}  // namespace

Volume::Volume(WorkingCopy& working_copy, Clock& clock, Metrics& metrics, Options options)
    : working_copy_(working_copy),
      tree_(working_copy.tree()),
      clock_(clock),
      options_(std::move(options)),
      reads_(metrics.counter("varve_reads_total", "Reads of files")),
      read_bytes_(metrics.counter("varve_read_bytes_total", "Bytes that were read from files")),
      writes_(metrics.counter("varve_writes_total", "Writes to files")),
      written_bytes_(
          metrics.counter("varve_written_bytes_total", "Bytes that were written to files")),
      read_failures_(metrics.counter("varve_read_failures_total", "Reads that failed")),
      budget_(options_.dirty_bytes_max),
      flusher_({tree_, working_copy.ingest(), working_copy.fetch(), working_copy.chunker(), budget_,
                files_, clock, metrics},
               options_.flush_threads),
      space_(working_copy.storage(), clock, [this] { return outstanding_bytes(); }),
      snapshots_(working_copy),
      exports_(working_copy),
      control_(working_copy, snapshots_, exports_, options_.texts),
      imports_(working_copy) {
  Result<std::vector<Ino>> orphans = tree_.orphans();
  if (!orphans.ok()) {
    log_warning("files without a name from before cannot be listed: " + orphans.error().message());
    return;
  }
  for (Ino ino : *orphans) release_orphan(ino);
}

Volume::~Volume() {
  end_imports();
  if (budget_.bytes() > 0) tell_unstored();
}

void Volume::tell_unstored() {
  uint64_t bytes = 0;
  size_t files = 0;
  for (FileRef& file : files_.all()) {
    uint64_t lost = 0;
    {
      std::lock_guard lock(file->mutex);
      if (!file->pending() || file->discarded) continue;
      lost = file->dirty.bytes();
    }
    bytes += lost;
    if (files++ < kUnstoredFilesNamed)
      log_error(fmt::format("{}: the last {} bytes written could not be stored",
                            describe(file->ino), lost));
  }
  log_error(
      fmt::format("{} bytes of {} files that were written last could not be stored", bytes, files));
}

Volume::Figures Volume::figures() const {
  return {budget_.bytes(), budget_.limit(), files_.size(), counts_.size(), snapshots_.size()};
}

Attributes Volume::attributes_of(Ino ino, const Inode& inode) {
  Attributes result;
  result.ino = ino;
  result.type = inode.type;
  result.permissions = inode.permissions;
  result.links = inode.links;
  result.uid = inode.uid;
  result.gid = inode.gid;
  result.device_major = inode.device_major;
  result.device_minor = inode.device_minor;
  result.size = inode.size;
  result.allocated = inode.allocated;
  result.atime = inode.atime;
  result.mtime = inode.mtime;
  result.ctime = inode.ctime;
  result.btime = inode.btime;
  if (inode.type != FileType::kFile) return result;
  FileRef file = files_.find(ino);
  if (!file) return result;
  std::lock_guard lock(file->mutex);
  if (!file->loaded) return result;
  // Read again under the lock: a flush may have moved dirty data into the tree since.
  if (Result<Inode> now = tree_.inode(ino); now.ok()) {
    result.allocated = now->allocated;
    result.mtime = now->mtime;
    result.ctime = now->ctime;
  }
  result.size = file->size;
  result.allocated =
      std::min(result.allocated + file->dirty.bytes(), std::max(result.allocated, file->size));
  result.mtime = file->mtime.value_or(result.mtime);
  result.ctime = std::max(file->ctime.value_or(result.ctime), result.ctime);
  return result;
}

Entry Volume::entry_of(const LiveEntry& live) {
  Entry result;
  result.attributes = attributes_of(live.ino, live.inode);
  result.timeout_seconds = kTimeoutOfOwnSeconds;
  return result;
}

Entry Volume::known_entry(const LiveEntry& live) {
  counts_.add(live.ino);
  return entry_of(live);
}

bool Volume::names_control(Ino parent, std::string_view name) const {
  return name == kControlName && number_of(parent) == kTopNumber;
}

Result<void> Volume::check_name(Ino parent, std::string_view name) const {
  if (!is_live(parent)) return Errc::kReadOnly;
  if (names_control(parent, name)) return Error(Errc::kPermission, ".varve is varve's own");
  if (name.size() > kNameBytesMax) return Errc::kNameTooLong;
  return {};
}

Result<Entry> Volume::lookup(Ino parent, std::string_view name) {
  if (is_snapshot(parent)) return snapshots_.lookup(parent, name);
  if (is_control(parent)) return control_.lookup(parent, name);
  if (names_control(parent, name)) return control_.of_live(parent);
  if (name == "." || name == "..") {
    // The kernel asks so for the file of a handle that it does not have in memory. One without a
    // name is open for nobody then: it only waits to be forgotten.
    LiveEntry found{name == "." ? parent : VARVE_TRY(tree_.parent(parent)), {}};
    found.inode = VARVE_TRY(tree_.inode(found.ino));
    if (found.inode.links == 0) return Errc::kStale;
    return known_entry(found);
  }
  Result<LiveEntry> found = tree_.lookup(parent, name);
  if (found.ok()) return known_entry(*found);
  if (found.error().code() != Errc::kNotFound) return std::move(found).error();
  Entry none;
  none.timeout_seconds = kTimeoutOfOwnSeconds;  // nobody but this mount makes names
  return none;
}

void Volume::forget(Ino node, uint64_t count) {
  if (is_snapshot(node)) return snapshots_.forget(node, count);
  if (is_control(node)) return;
  if (counts_.forget(node, count)) release_orphan(node);
}

void Volume::lost_name(const LiveEntry& file) {
  if (file.inode.links > 0) return;
  if (counts_.orphaned(file.ino)) release_orphan(file.ino);
}

void Volume::release_orphan(Ino ino) {
  // A revert may have given it back its name since it was lost.
  if (Result<Inode> inode = tree_.inode(ino); inode.ok() && inode->links > 0) return;
  if (FileRef file = files_.find(ino)) discard(*file);
  Result<void> released = tree_.release(ino);
  if (!released.ok() && released.error().code() != Errc::kNotFound) {
    log_warning(fmt::format("file {} without a name cannot be released: {}", ino,
                            released.error().message()));
  }
}

void Volume::discard(FileState& file) {
  std::lock_guard content(file.content_mutex);
  std::lock_guard lock(file.mutex);
  file.discarded = true;
  file.dirty.erase(0, UINT64_MAX);
  account(file, budget_);
}

std::string Volume::describe(Ino ino) {
  if (is_snapshot(ino)) return snapshots_.path(ino);
  // The way up by parents; the names are found by listing, which is slow: for the log only.
  std::string path;
  for (int depth = 0; depth < 64 && ino != kRootIno; depth++) {
    Result<Inode> inode = tree_.inode(ino);
    if (!inode.ok()) break;
    Ino parent = number_of(ino) == kTopNumber ? kRootIno : inode->parent;
    if (parent == 0) break;
    std::string found;
    Result<void> listed = tree_.list(parent, 0, [&](const LiveTree::Listed& entry) {
      if (entry.ino == ino) found = entry.name;
      return found.empty();
    });
    if (!listed.ok() || found.empty()) break;
    path.insert(0, "/" + found);
    ino = parent;
  }
  return ino == kRootIno ? path : fmt::format("file {}{}", ino, path);
}

Error Volume::read_error(Ino ino, Error error) {
  read_failures_.add();
  std::lock_guard lock(described_mutex_);
  if (described_ != ino) {
    description_ = describe(ino);
    described_ = ino;
  }
  return std::move(error).with_context(description_);
}

Result<SpaceFigures> Volume::space() {
  StorageSpace space = VARVE_TRY(space_.figures());
  return SpaceFigures{space.total, space.available, tree_.figures().files};
}

}  // namespace varve
