// Files that are open or have data that is not in the tree yet, and the handles that programs hold
// on them.
//
// A FileState exists as long as somebody holds a FileRef on it or something in it waits to be
// flushed. Any thread; the tables' locks are leaves. For the two locks of a FileState see
// docs/architecture.md.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "catalog/inode.h"
#include "dedup/ingest.h"
#include "fs/dirty_extents.h"

namespace varve {

struct FileState {
  explicit FileState(Ino number) : ino(number) {}
  const Ino ino;

  /// Held by whoever moves content between here and the tree: flush, truncation, punching, cloning.
  /// Taken before `mutex`.
  std::mutex content_mutex;
  // Guarded by content_mutex:
  std::unique_ptr<Ingest::Stream> stream;
  Ingest::Access stream_access = Ingest::Access::kSequential;
  uint64_t natural_end = UINT64_MAX;  // an end of the committed content that was cut by content

  /// Held for moments. Whatever changes the file in the tree while this exists does so under it.
  std::mutex mutex;
  // Guarded by mutex:
  bool loaded = false;
  DirtyExtents dirty;
  uint64_t size = 0;               // what programs see
  uint64_t committed_size = 0;     // what the tree says
  uint64_t committed_version = 0;  // of dirty: no older write is unflushed
  /// Of writes and truncations that the tree does not know yet. The tree's ctime may be later: of a
  /// rename since, say.
  std::optional<Nanoseconds> mtime, ctime;
  std::optional<Nanoseconds> dirty_since;  // monotonic
  Nanoseconds last_write = 0;              // monotonic
  uint64_t budgeted = 0;                   // what the DirtyBudget counts for this
  uint64_t last_write_end = 0, streamed_bytes = 0, random_writes = 0;
  bool no_capability = false;  // security.capability is known to be absent
  bool discarded = false;      // nobody will ever read it: flushes do nothing
  std::optional<Error> error;  // of a flush that nobody waited for; told once

  std::atomic<uint64_t> stored_bytes{0};  // of this file's chunks that were new
  /// The same when the disk was found to be full; UINT64_MAX: it is not.
  std::atomic<uint64_t> stored_when_full{UINT64_MAX};
  std::atomic<bool> queued{false};         // a flush of all of it waits in the queue
  std::atomic<bool> stream_queued{false};  // a flush of its stream waits or runs

  bool pending() const { return !dirty.empty() || mtime || ctime || size != committed_size; }
};

class OpenFiles;

/// Keeps a FileState. Move-only.
class FileRef {
 public:
  FileRef() = default;
  FileRef(OpenFiles* files, std::shared_ptr<FileState> state)
      : files_(files), state_(std::move(state)) {}
  ~FileRef() { reset(); }
  FileRef(FileRef&& other) noexcept : files_(other.files_), state_(std::move(other.state_)) {}
  FileRef& operator=(FileRef&& other) noexcept;
  void reset();

  explicit operator bool() const { return state_ != nullptr; }
  FileState* operator->() const { return state_.get(); }
  FileState& operator*() const { return *state_; }

 private:
  OpenFiles* files_ = nullptr;
  std::shared_ptr<FileState> state_;
};

class OpenFiles {
 public:
  /// The file's state, made if there is none.
  FileRef get(Ino ino);
  /// Empty if there is none.
  FileRef find(Ino ino);
  /// Every file that there is a state of: those that may be dirty are among them.
  std::vector<FileRef> all();
  size_t size() const;

 private:
  friend class FileRef;
  void let_go(std::shared_ptr<FileState> state);

  mutable std::mutex mutex_;
  std::unordered_map<Ino, std::shared_ptr<FileState>> files_;
};

}  // namespace varve
