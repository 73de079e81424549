#include <fcntl.h>

#include <algorithm>
#include <shared_mutex>

#include "fs/read_view.h"
#include "fs/volume.h"

namespace varve {
namespace {

constexpr uint64_t kStreamFlushBytes = 4u << 20;  // a stream is cut when it has that much
// A file that is written here and there, when it has that much.
constexpr uint64_t kRandomFlushBytes = 32u << 20;
constexpr uint64_t kFlushPartOfBudget = 4;       // of the budget: where that is less than those
constexpr uint64_t kFlushPartUnderPressure = 4;  // of those
constexpr int kPatienceMs = 250;
constexpr uint64_t kNameCostBytes = 4096;  // what a new name may take of the database
// Rows become pages that are full to two thirds, and pages beside them are written anew.
constexpr uint64_t kDatabaseBytesPerStagedByte = 4;
constexpr size_t kStagedBytesWorthACommit = 1u << 20;
// What a file may store of its own on a full disk while it is found out whether its data is known.
constexpr uint64_t kTrialBytes = 1u << 20;

}  // namespace

Result<std::shared_ptr<Volume::Handle>> Volume::handle_of(uint64_t handle, bool writes) const {
  std::shared_ptr<Handle> found = handles_.get(handle);
  if (!found || (writes && !found->live)) return Errc::kBadHandle;
  return found;
}

Result<OpenFile> Volume::open_live(Ino node, bool writes) {
  auto handle = std::make_shared<Handle>();
  handle->live = files_.get(node);
  handle->writes = writes;
  OpenFile file;
  file.handle = handles_.add(std::move(handle));
  file.keep_cache = true;  // nothing changes behind the kernel's back but by revert, which tells it
  file.no_flush = !writes;
  return file;
}

Result<OpenFile> Volume::open_control(Ino node, bool writes, const Caller& caller) {
  if (std::optional<ControlDirectory::ImportDoor> door = control_.import_door(node); door && writes)
    return open_import(*door, caller);
  if (writes) return Errc::kReadOnly;
  if (const auto snapshot = control_.snapshot_archive(node)) {
    OpenFile file = VARVE_TRY(open_archive(VARVE_TRY(exports_.of_snapshot(*snapshot)), caller));
    file.keep_cache = true;
    return file;
  }
  if (const auto set = control_.live_archive(node)) {
    auto archive = VARVE_TRY(live_archive(*set));
    exports_.opened_live(*set, archive->size());
    OpenFile file = VARVE_TRY(open_archive(std::move(archive), caller));
    file.direct_io = true;  // another open may have other content
    return file;
  }
  auto handle = std::make_shared<Handle>();
  handle->text = VARVE_TRY(control_.content(node));
  OpenFile file;
  file.direct_io = true;  // its attributes do not know its size
  file.no_flush = true;
  file.handle = handles_.add(std::move(handle));
  return file;
}

Result<OpenFile> Volume::open(Ino node, int flags, bool kill_privileges, const Caller& caller) {
  bool writes = (flags & O_ACCMODE) != O_RDONLY;
  OpenFile file;
  if (is_live(node)) {
    Result<Inode> inode = tree_.inode(node);
    if (!inode.ok()) return Errc::kStale;
    if (inode->type == FileType::kDirectory) return Errc::kIsDirectory;
    if (flags & O_TRUNC) {
      VARVE_TRY(check_open_to_changes());
      Shared shared(barrier_);
      FileRef state = files_.get(node);
      VARVE_TRY(drop_privileges(*state, kill_privileges));
      VARVE_TRY(resize(*state, 0));
    }
    return open_live(node, writes);
  }
  if (is_control(node)) return open_control(node, writes, caller);
  if (writes || (flags & O_TRUNC)) return Errc::kReadOnly;
  auto handle = std::make_shared<Handle>();
  handle->snapshot = VARVE_TRY(snapshots_.open(node));
  file.keep_cache = true;
  file.no_flush = true;
  file.handle = handles_.add(std::move(handle));
  return file;
}

Result<void> Volume::load(FileState& file) {
  if (file.loaded) return {};
  Result<Inode> inode = tree_.inode(file.ino);
  if (!inode.ok()) return Errc::kStale;
  file.size = file.committed_size = inode->size;
  file.loaded = true;
  return {};
}

void Volume::touch(FileState& file) {
  file.mtime = file.ctime = clock_.now();
  file.last_write = clock_.monotonic();
  if (!file.dirty_since) file.dirty_since = file.last_write;
}

Result<void> Volume::read(Ino node, uint64_t number, uint64_t offset, size_t size,
                          const std::function<void(ByteView)>& reply) {
  std::shared_ptr<Handle> handle = VARVE_TRY(handle_of(number, false));
  reads_.add();
  auto counted = [&](ByteView bytes) {
    read_bytes_.add(bytes.size());
    reply(bytes);
  };
  if (handle->live) {
    Result<void> done = read_live(*handle, offset, size, counted);
    return done.ok() ? std::move(done) : Result<void>(read_error(node, std::move(done).error()));
  }
  if (handle->snapshot) {
    Result<void> done = snapshots_.read(*handle->snapshot, offset, size, counted);
    return done.ok() ? std::move(done) : Result<void>(read_error(node, std::move(done).error()));
  }
  if (handle->archive) {
    Result<void> done = read_archive(*handle->archive, offset, size, counted);
    if (!done.ok()) read_failures_.add();
    return done;
  }
  ByteView text = as_bytes(handle->text);
  offset = std::min<uint64_t>(offset, text.size());
  counted(text.subspan(offset, std::min(size, text.size() - offset)));
  return {};
}

Result<void> Volume::read_live(Handle& handle, uint64_t offset, size_t size,
                               const std::function<void(ByteView)>& reply) {
  FileState& file = *handle.live;
  std::vector<DirtySlice> dirty;
  std::vector<Extent> extents;
  uint64_t end = 0;
  {
    // Both under one lock: a flush moves data from one to the other.
    std::lock_guard lock(file.mutex);
    VARVE_TRY(load(file));
    end = std::min(file.size, offset + size);
    if (offset < end) {
      dirty = file.dirty.read(offset, end);
      extents = VARVE_TRY(tree_.extents(file.ino, offset, end));
    }
  }
  if (offset >= end) {
    reply({});
    return {};
  }
  std::optional<FileRange> ahead;
  {
    std::lock_guard lock(handle.mutex);
    ahead = handle.prefetcher.after_read(offset, end);
  }
  if (ahead) prefetch(file.ino, *ahead);
  if (dirty.size() == 1 && dirty[0].offset == offset && dirty[0].bytes.size() == end - offset) {
    reply(dirty[0].bytes);
    return {};
  }
  Fetch& fetch = working_copy_.fetch();
  std::vector<Fetch::Asked> asked;
  for (const Extent& e : extents)
    asked.push_back({e.chunk, {.length_min = e.chunk_offset + e.length}});
  // Little of what was committed lies under data that is dirty still: it is not looked for.
  const NamesAhead ready = dirty.empty() ? fetch.make_ready(asked) : NamesAhead();
  Buffer out(static_cast<size_t>(end - offset));
  VARVE_TRY(read_view(offset, out.span(), dirty, extents, [&](const Extent& e) {
    return fetch.chunk(e.chunk, asked[static_cast<size_t>(&e - extents.data())].wish);
  }));
  reply(out.view());
  return {};
}

void Volume::prefetch(Ino ino, FileRange range) {
  Result<std::vector<Extent>> extents = tree_.extents(ino, range.from, range.to);
  if (!extents.ok()) return;
  for (const Extent& extent : *extents) working_copy_.fetch().prefetch(extent.chunk);
}

/// What was accepted and may still take space of the disk. The ballast is to be free again before
/// anybody else has its place.
uint64_t Volume::outstanding_bytes() {
  return budget_.bytes() + working_copy_.ingest().outstanding_bytes() +
         kDatabaseBytesPerStagedByte * working_copy_.committer().staged_bytes() +
         working_copy_.ballast().missing_bytes();
}

/// What is on its way arrives, as far as there is space; streams are not cut for it.
Result<void> Volume::drain() {
  VARVE_TRY(flusher_.flush_all(Flusher::Depth::kStream));
  if (working_copy_.committer().staged_bytes() > kStagedBytesWorthACommit)
    return working_copy_.committer().commit();
  return working_copy_.ingest().flush();
}

/// `file` is the one that is written to; nullptr where that counts nothing.
Result<void> Volume::admit(uint64_t bytes, FileState* file) {
  VARVE_TRY(check_open_to_changes());
  if (space_.admit(bytes).ok()) {
    if (file) file->stored_when_full = UINT64_MAX;
    return {};
  }
  // The worst case does not fit. What is on its way may turn out to be known or to compress well:
  // once it has arrived, ask again. If it failed, there may be room all the same.
  (void)drain().ok();
  space_.forget();
  Result<void> admitted = space_.admit(bytes);
  if (admitted.ok() || admitted.error().code() != Errc::kNoSpace) return admitted;
  // Known data needs no space. Only storing it tells that it is known: a file may try with a
  // little.
  if (file) {
    uint64_t none = UINT64_MAX;
    const uint64_t stored = file->stored_bytes;
    file->stored_when_full.compare_exchange_strong(none, stored);
    if (stored - std::min(stored, file->stored_when_full.load()) > kTrialBytes)
      return Errc::kNoSpace;
  }
  return space_.admit_last(bytes);
}

/// A new name, or what weighs as much. To be asked for before the barrier is taken.
Result<void> Volume::admit_name() {
  VARVE_TRY(working_copy_.committer().admit(Committer::Change::kAddition));
  return admit(kNameCostBytes, nullptr);
}

Result<void> Volume::check_open_to_changes() const {
  if (closed_to_changes_) return Errc::kReadOnly;
  return {};
}

Result<void> Volume::admit_removal() {
  VARVE_TRY(check_open_to_changes());
  return working_copy_.committer().admit(Committer::Change::kRemoval);
}

Result<void> Volume::wait_for_room() {
  while (!budget_.wait_for_room(kPatienceMs)) {
    flusher_.request_older_than(0);
    if (std::optional<Error> error = flusher_.failing()) return *error;
  }
  return {};
}

std::optional<Error> Volume::take_error(FileState& file) {
  std::lock_guard lock(file.mutex);
  return std::exchange(file.error, std::nullopt);
}

Result<size_t> Volume::write(Ino node, uint64_t number, uint64_t offset, ByteView data,
                             WriteOptions options) {
  if (is_control(node)) return write_import(number, offset, data, options);
  if (!is_live(node)) return Errc::kReadOnly;
  std::shared_ptr<Handle> handle = VARVE_TRY(handle_of(number, true));
  FileState& file = *handle->live;
  if (std::optional<Error> error = take_error(file)) return *error;
  VARVE_TRY(working_copy_.committer().admit(Committer::Change::kAddition));
  Shared shared(barrier_);
  VARVE_TRY(admit(data.size(), &file));
  VARVE_TRY(wait_for_room());
  VARVE_TRY(drop_privileges(file, options.kill_privileges));
  const bool pressing = budget_.pressing();
  bool stream_due = false, random_due = false;
  {
    std::lock_guard lock(file.mutex);
    VARVE_TRY(load(file));
    if (options.append) offset = file.size;
    if (offset > kFileBytesMax || data.size() > kFileBytesMax - offset) return Errc::kTooLarge;
    file.dirty.write(offset, data, std::move(options.memory));
    uint64_t end = offset + data.size();
    bool goes_on = offset == file.last_write_end;
    file.streamed_bytes = goes_on ? file.streamed_bytes + data.size() : data.size();
    if (!goes_on && offset < file.committed_size) file.random_writes++;
    file.last_write_end = end;
    file.size = std::max(file.size, end);
    touch(file);
    account(file, budget_);
    const uint64_t part = pressing ? kFlushPartUnderPressure : 1;
    const uint64_t share = budget_.limit() / kFlushPartOfBudget;
    const uint64_t stream_bytes = std::min(kStreamFlushBytes, share) / part;
    const uint64_t random_bytes = std::min(kRandomFlushBytes, share) / part;
    stream_due = file.streamed_bytes >= stream_bytes && !file.stream_queued;
    random_due =
        file.dirty.bytes() >= random_bytes && file.streamed_bytes < stream_bytes && !file.queued;
  }
  writes_.add();
  written_bytes_.add(data.size());
  if (stream_due) flusher_.request(files_.get(node), Flusher::Depth::kStream);
  if (random_due) flusher_.request(files_.get(node), Flusher::Depth::kAll);
  if (pressing && !stream_due && !random_due) flusher_.request_pressure();
  return data.size();
}

Result<void> Volume::flush(Ino, uint64_t number) {
  std::shared_ptr<Handle> handle = VARVE_TRY(handle_of(number, false));
  if (handle->import) return handle->import->settle();
  if (!handle->live) return {};
  if (std::optional<Error> error = take_error(*handle->live)) return *error;
  return {};
}

void Volume::release(Ino, uint64_t number) {
  std::shared_ptr<Handle> handle = handles_.remove(number);
  if (handle && handle->import) imports_.end(handle->import);
  if (!handle || !handle->live || !handle->writes) return;
  bool pending = false;
  {
    std::lock_guard lock(handle->live->mutex);
    pending = handle->live->pending() && !handle->live->discarded;
  }
  if (pending) flusher_.request(std::move(handle->live), Flusher::Depth::kAll);
}

Result<void> Volume::sync(Ino node, uint64_t number, bool) {
  if (is_control(node)) return flush(node, number);
  if (!is_live(node)) return {};
  std::shared_ptr<Handle> handle = VARVE_TRY(handle_of(number, false));
  if (!handle->live) return {};
  {
    Shared shared(barrier_);
    std::optional<Error> before = take_error(*handle->live);
    Result<void> flushed = flusher_.flush(*handle->live, Flusher::Depth::kAll);
    std::optional<Error> latched = take_error(*handle->live);  // told here, if it was the same
    VARVE_TRY(std::move(flushed));
    if (before) return *before;
  }
  return working_copy_.committer().commit();
}

Result<void> Volume::sync_directory(Ino node) {
  if (!is_live(node)) return {};
  return working_copy_.committer().commit();
}

}  // namespace varve
