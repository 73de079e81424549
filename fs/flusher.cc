#include "fs/flusher.h"

#include <fmt/format.h>

#include <algorithm>
#include <latch>

#include "dedup/base/log.h"
#include "dedup/disk_image.h"
#include "fs/read_view.h"
#include "fs/rechunk.h"

namespace varve {
namespace {

constexpr size_t kResyncBytesFactor = 4;  // times the chunker's maximum
// What is cut is given to the tree at least that often.
constexpr size_t kReplaceBytesMax = 16u << 20;
constexpr size_t kImageHeadBytes = 128u << 10;
constexpr uint64_t kRandomWritesOfAnImage = 8;  // from then on a file is taken for one
constexpr Nanoseconds kPressureInterval = 50'000'000;
// What a small dirty file costs besides its data.
constexpr uint64_t kDirtyFileOverheadBytes = 1024;

/// The file's times, as programs see them; under its lock.
Result<void> set_times(LiveTree::ContentChange& change, const FileState& file, LiveTree& tree) {
  Inode now = VARVE_TRY(tree.inode(file.ino));
  change.mtime = file.mtime.value_or(now.mtime);
  change.ctime = std::max(file.ctime.value_or(now.ctime), now.ctime);
  return {};
}

}  // namespace

void account(FileState& file, DirtyBudget& budget) {
  uint64_t now =
      file.pending() && !file.discarded ? file.dirty.memory_bytes() + kDirtyFileOverheadBytes : 0;
  if (now == file.budgeted) return;
  budget.change(file.budgeted, now);
  file.budgeted = now;
}

/// One file to be cut anew.
class Flusher::Source final : public RechunkSource {
 public:
  Source(Parts& parts, FileState& file, uint64_t version)
      : parts_(parts), file_(file), version_(version) {}

  /// From now on old content is left alone: dirty data becomes chunks of its own.
  void isolate() { isolated_ = true; }
  bool read_failed() const { return read_failed_; }

  Result<std::vector<Extent>> old_extents(uint64_t from, uint64_t to) override {
    if (isolated_) return std::vector<Extent>{};
    return parts_.tree.extents(file_.ino, from, to);
  }

  Result<void> read(uint64_t offset, ByteSpan out) override {
    std::vector<DirtySlice> dirty;
    std::vector<Extent> extents;
    {
      std::lock_guard lock(file_.mutex);
      dirty = file_.dirty.read(offset, offset + out.size());
      if (!isolated_)
        extents = VARVE_TRY(parts_.tree.extents(file_.ino, offset, offset + out.size()));
    }
    // A flush waits for no remote: what is only there stays as it is, beside the new data.
    const auto chunk = [&](const Extent& e) {
      return parts_.fetch.chunk(e.chunk,
                                {.length_min = e.chunk_offset + e.length, .reach = Reach::kHere});
    };
    Result<void> done = read_view(offset, out, dirty, extents, chunk);
    read_failed_ = !done.ok();
    return done;
  }

  DirtySlice borrow(uint64_t offset, uint64_t to) override {
    std::lock_guard lock(file_.mutex);
    return file_.dirty.together(offset, to);
  }

  Result<std::vector<Front>> put_fronts(ByteView window, size_t begins_before) override {
    std::vector<Front> fronts;
    for (const Ingest::Put& put :
         VARVE_TRY(parts_.ingest.put_fronts(*file_.stream, window, parts_.chunker, begins_before)))
      fronts.push_back(front_of(put));
    return fronts;
  }

  Result<Front> put_front(ByteView window, size_t limit) override {
    const ByteView chunk = window.first(std::min(parts_.chunker.cut(window), limit));
    return front_of(VARVE_TRY(parts_.ingest.put(*file_.stream, chunk)));
  }

  Result<void> replace(FileRange range, std::vector<Extent> extents) override {
    std::lock_guard lock(file_.mutex);
    LiveTree::ContentChange change{
        range.from, range.to, std::move(extents), std::max(file_.committed_size, range.to), {}, {}};
    VARVE_TRY(set_times(change, file_, parts_.tree));
    VARVE_TRY(parts_.tree.change_content(file_.ino, change));
    file_.committed_size = *change.size;
    file_.dirty.erase_flushed(range.from, range.to, version_);
    account(file_, parts_.budget);
    return {};
  }

 private:
  Front front_of(const Ingest::Put& put) {
    if (put.is_new) file_.stored_bytes += put.length;
    return {put.id, put.length};
  }

  Parts& parts_;
  FileState& file_;
  uint64_t version_;
  bool isolated_ = false, read_failed_ = false;
};

Flusher::Flusher(Parts parts, size_t threads)
    : parts_(parts),
      failures_(parts.metrics.counter("varve_flush_failures_total",
                                      "Flushes that failed; the data stayed in memory")),
      flushes_(parts.metrics.counter("varve_flushes_total",
                                     "Times that a file's dirty data was brought into chunks")) {
  for (size_t i = 0; i < threads; i++) threads_.emplace_back([this] { work(); });
}

Flusher::~Flusher() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  more_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  queue_.clear();  // files are let go while the parts still are there
}

Result<void> Flusher::flush(FileState& file, Depth depth) {
  std::lock_guard content(file.content_mutex);
  Result<void> done = flush_locked(file, depth);
  if (!done.ok() && gone(file)) return {};
  if (!done.ok()) latch(file, done.error());
  if (done.ok()) {
    std::lock_guard lock(mutex_);
    failing_.reset();
  }
  return done;
}

bool Flusher::gone(FileState& file) {
  std::lock_guard lock(file.mutex);
  Result<Inode> inode = parts_.tree.inode(file.ino);
  if (inode.ok() || inode.error().code() != Errc::kStale) return false;
  // A revert took the file away, or its set went while it was open without a name: nothing will
  // ever show these bytes, and they must not keep snapshots from being taken.
  file.discarded = true;
  file.dirty.erase(0, UINT64_MAX);
  account(file, parts_.budget);
  return true;
}

Result<void> Flusher::flush_locked(FileState& file, Depth depth) {
  std::vector<FileRange> runs;
  uint64_t version = 0, size = 0;
  {
    std::lock_guard lock(file.mutex);
    if (file.discarded || !file.pending()) return {};
    runs = file.dirty.runs();
    version = file.dirty.version();
    size = file.size;
    file.dirty.freeze_pieces();
    file.streamed_bytes = 0;
  }
  flushes_.add();
  if (!runs.empty()) VARVE_TRY(cut(file, depth, runs, version));
  return depth == Depth::kAll ? settle(file, size, version) : Result<void>();
}

void Flusher::choose_stream(FileState& file, const std::vector<FileRange>& runs) {
  Bytes head;
  bool random = false;
  {
    std::lock_guard lock(file.mutex);
    random = file.random_writes >= kRandomWritesOfAnImage;
    if (!file.stream && runs.front().from == 0) {
      for (const DirtySlice& slice : file.dirty.read(0, kImageHeadBytes)) {
        if (slice.offset == head.size())
          head.insert(head.end(), slice.bytes.begin(), slice.bytes.end());
      }
    }
  }
  random = random || file.stream_access == Ingest::Access::kRandom || looks_like_disk_image(head);
  Ingest::Access access = random ? Ingest::Access::kRandom : Ingest::Access::kSequential;
  if (file.stream && file.stream_access == access) return;
  file.stream = parts_.ingest.open_stream(SegmentType::kChunks, access);
  file.stream_access = access;
}

Result<void> Flusher::cut(FileState& file, Depth depth, const std::vector<FileRange>& runs,
                          uint64_t version) {
  choose_stream(file, runs);
  const size_t chunk_bytes_max = parts_.chunker.sizes().maximum;
  RechunkOptions options;
  options.chunk_bytes_max = chunk_bytes_max;
  options.resync_bytes_max = kResyncBytesFactor * chunk_bytes_max;
  options.replace_bytes_max = kReplaceBytesMax;
  options.natural_end = file.natural_end;
  {
    std::lock_guard lock(file.mutex);
    options.old_size = file.committed_size;
    if (depth == Depth::kStream && runs.back().to == file.last_write_end)
      options.open_end = runs.back().to;
  }
  Source source(parts_, file, version);
  Rechunk rechunk(source, options);
  Result<void> done = rechunk.run(runs);
  file.natural_end = done.ok() ? rechunk.natural_end() : UINT64_MAX;
  file.stream->settle();  // what was put is in the tree, or was put in vain
  if (done.ok() || !source.read_failed()) return done;
  // Bytes beside the new ones cannot be read. The new ones are whole: they are stored on their own,
  // and only the others stay lost.
  log_warning(fmt::format(
      "file {}: old content beside new data cannot be read ({}); the new data is stored apart",
      file.ino, done.error().message()));
  source.isolate();
  std::vector<FileRange> left;
  {
    std::lock_guard lock(file.mutex);
    left = file.dirty.runs();
  }
  done = Rechunk(source, options).run(left);
  file.stream->settle();
  return done;
}

Result<void> Flusher::settle(FileState& file, uint64_t size, uint64_t version) {
  std::lock_guard lock(file.mutex);
  if (!file.mtime && !file.ctime && size == file.committed_size) return {};
  LiveTree::ContentChange change{size, size, {}, std::max(size, file.committed_size), {}, {}};
  VARVE_TRY(set_times(change, file, parts_.tree));
  VARVE_TRY(parts_.tree.change_content(file.ino, change));
  file.committed_size = *change.size;
  if (file.dirty.version() == version) {
    file.mtime.reset();
    file.ctime.reset();
    file.dirty_since.reset();
  } else {
    file.dirty_since = parts_.clock.monotonic();
  }
  account(file, parts_.budget);
  return {};
}

void Flusher::latch(FileState& file, const Error& error) {
  failures_.add();
  {
    std::lock_guard lock(mutex_);
    failing_ = error;
  }
  // For want of space nothing is lost: the data waits, and the next write or fsync finds out anew.
  // The pipeline has told it to the log.
  if (error.code() == Errc::kNoSpace) return;
  std::lock_guard lock(file.mutex);
  if (!file.error)
    log_error(fmt::format("file {}: cannot store what was written: {}", file.ino, error.message()));
  file.error = error;
}

std::optional<Error> Flusher::failing() const {
  std::lock_guard lock(mutex_);
  return failing_;
}

void Flusher::push(Job job) {
  if (threads_.empty()) return run(std::move(job));
  {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(job));
  }
  more_.notify_one();
}

void Flusher::request(FileRef file, Depth depth) {
  std::atomic<bool>& queued = depth == Depth::kAll ? file->queued : file->stream_queued;
  if (queued.exchange(true)) return;
  push({std::move(file), depth, nullptr});
}

Result<void> Flusher::flush_all(Depth depth) {
  std::vector<FileRef> files = parts_.files.all();
  std::erase_if(files, [](const FileRef& file) {
    std::lock_guard lock(file->mutex);
    return !file->pending() || file->discarded;
  });
  std::latch left(static_cast<ptrdiff_t>(files.size()));
  std::mutex mutex;
  Result<void> first;
  for (FileRef& file : files) {
    push({std::move(file), depth, [&](const Result<void>& done) {
            {
              std::lock_guard lock(mutex);
              if (first.ok() && !done.ok()) first = done;
            }
            left.count_down();
          }});
  }
  left.wait();
  std::lock_guard lock(mutex);
  return first;
}

void Flusher::request_older_than(Nanoseconds age) {
  Nanoseconds now = parts_.clock.monotonic();
  for (FileRef& file : parts_.files.all()) {
    bool old = false;
    {
      std::lock_guard lock(file->mutex);
      old = file->pending() && !file->discarded &&
            (!file->dirty_since || now - *file->dirty_since >= age);
    }
    if (old) request(std::move(file), Depth::kAll);
  }
}

void Flusher::request_pressure() {
  Nanoseconds now = parts_.clock.monotonic(), before = pressed_at_;
  if (now - before < kPressureInterval || !pressed_at_.compare_exchange_strong(before, now)) return;
  for (FileRef& file : parts_.files.all()) {
    bool idle = false;
    {
      std::lock_guard lock(file->mutex);
      // A stream that goes on asks by itself, and would be cut in the wrong place here.
      idle = !file->dirty.empty() && !file->discarded &&
             now - file->last_write > 2 * kPressureInterval;
    }
    if (idle) request(std::move(file), Depth::kAll);
  }
}

void Flusher::work() {
  while (true) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      more_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    run(std::move(job));
  }
}

void Flusher::run(Job job) {
  if (job.depth == Depth::kAll) job.file->queued = false;  // what is written from now on asks anew
  Result<void> done = flush(*job.file, job.depth);
  if (job.depth == Depth::kStream) job.file->stream_queued = false;
  job.file.reset();
  if (job.done) job.done(std::move(done));
}

}  // namespace varve
