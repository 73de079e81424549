#include "fs/upkeep.h"

#include "catalog/recovery.h"
#include "dedup/base/log.h"

namespace varve {
namespace {

// Together below kCommitIntervalMs: data that is dirty for a second is flushed at the next tick,
// and committed within three more.
constexpr int kTickMs = 500;
constexpr Nanoseconds kFlushAge = kSecond;
constexpr Nanoseconds kCommitEvery = 3 * kSecond;
constexpr int kSlowTickMs = 5000;
constexpr size_t kGarbageRowsAtOnce = 1000;
constexpr int kGarbageRounds = 50;

}  // namespace

Upkeep::Upkeep(Parts parts, int64_t checkpoint_seconds, size_t staged_bytes)
    : parts_(parts),
      checkpoint_interval_(checkpoint_seconds * kSecond),
      staged_bytes_max_(staged_bytes),
      commit_failures_(
          parts.metrics.counter("varve_commit_failures_total", "Commits that failed")) {
  committed_at_ = checkpointed_at_ = parts_.clock.monotonic();
  commits_ = std::thread([this] { commit_loop(); });
  slow_ = std::thread([this] { slow_loop(); });
}

Upkeep::~Upkeep() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  commits_.join();
  slow_.join();
}

bool Upkeep::wait(int milliseconds) {
  std::unique_lock lock(mutex_);
  stop_.wait_for(lock, std::chrono::milliseconds(milliseconds), [&] { return stopping_; });
  return !stopping_;
}

void Upkeep::commit_loop() {
  while (wait(kTickMs)) {
    parts_.volume.flusher().request_older_than(kFlushAge);
    commit_if_due();
  }
}

void Upkeep::commit_if_due() {
  size_t staged = parts_.working_copy.committer().staged_bytes();
  Nanoseconds now = parts_.clock.monotonic();
  if (staged == 0 || (staged < staged_bytes_max_ && now - committed_at_ < kCommitEvery)) return;
  Result<void> committed = parts_.working_copy.committer().commit();
  committed_at_ = parts_.clock.monotonic();
  if (committed.ok()) {
    parts_.status.committed(parts_.clock.now());
    if (commit_failed_) log_info("commits succeed again");
  } else {
    commit_failures_.add();
    if (!commit_failed_)
      log_error("what was written cannot be made durable: " + committed.error().message());
  }
  commit_failed_ = !committed.ok();
}

void Upkeep::slow_loop() {
  history_version_ = parts_.working_copy.history().version();
  while (wait(kSlowTickMs)) {
    refresh_history();
    tidy();
    checkpoint_if_due();
  }
}

void Upkeep::refresh_history() {
  Result<void> refreshed = parts_.working_copy.history().refresh();
  if (!refreshed.ok() && !refresh_failed_)
    log_warning("the store's history cannot be read again: " + refreshed.error().message());
  if (refreshed.ok() && refresh_failed_) log_info("the store's history can be read again");
  refresh_failed_ = !refreshed.ok();
  uint64_t version = parts_.working_copy.history().version();
  if (version == history_version_) return;
  history_version_ = version;
  parts_.volume.snapshots_changed();
  meet_successor();
}

/// The record that says so came with files of another place.
void Upkeep::meet_successor() {
  if (succeeded_ || parts_.working_copy.only_reads()) return;
  const std::optional<Promotion> promotion = parts_.working_copy.succeeded_by();
  if (!promotion) return;
  succeeded_ = true;
  parts_.volume.close_to_changes();
  log_error(what_succession_asks(parts_.working_copy.root(), *promotion) +
            ". The mount is read-only from now on");
}

void Upkeep::tidy() {
  Ballast& ballast = parts_.working_copy.ballast();
  if (ballast.missing_bytes() > 0) ballast.take_if_room();
  if (!parts_.volume.is_read_only()) parts_.working_copy.history().save_time();
  for (int i = 0; i < kGarbageRounds; i++) {
    Result<bool> more = parts_.working_copy.tree().erase_garbage(kGarbageRowsAtOnce);
    if (!more.ok()) log_warning("an old tree cannot be erased: " + more.error().message());
    if (!more.ok() || !*more) break;
  }
  parts_.working_copy.look_after_packs();
  reindex_lost_packs(parts_.working_copy.packs(), parts_.working_copy.index());
  Result<void> settled = parts_.working_copy.index().settle();
  if (!settled.ok()) log_warning("the index cannot be written: " + settled.error().message());
}

void Upkeep::checkpoint_if_due() {
  Nanoseconds now = parts_.clock.monotonic();
  if (checkpoint_interval_ == 0 || now - checkpointed_at_ < checkpoint_interval_) return;
  checkpointed_at_ = now;
  Result<bool> taken = parts_.volume.checkpoint();
  if (!taken.ok()) {
    log_warning("no checkpoint could be taken: " + taken.error().message());
  } else if (*taken) {
    parts_.status.checkpointed(parts_.clock.now());
  }
}

}  // namespace varve
