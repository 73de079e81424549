// Locks, and the clock that they go by.
#include <algorithm>

#include "catalog/history_state.h"
#include "catalog/set_policy.h"
#include "dedup/base/log.h"
#include "dedup/statement.h"

namespace varve {
namespace {

constexpr Nanoseconds kSaveTimeEvery = 600 * kSecond;

}  // namespace

// The state's own.

Nanoseconds History::State::lock_time() const {
  if (!machine) return clock.now();
  if (!place_time) return 0;
  const Result<MachineTime> now = machine();
  // Not known: then it is as late as it was.
  if (!now.ok()) return place_time->time;
  return advance_replica_clock(place_time, *now, {}).time;
}

/// Whoever writes here counts for nothing: the wall clock that he took his time from is the one
/// that is not believed.
std::vector<PublishedAt> History::State::published_by_others() const {
  std::vector<PublishedAt> others;
  for (const auto& [by, at] : newest_published) {
    const bool mine =
        by == writer || std::find(succeeded.begin(), succeeded.end(), by) != succeeded.end();
    if (!mine) others.push_back(at);
  }
  return others;
}

Result<void> History::State::save_time() {
  const MachineTime now = VARVE_TRY(machine());
  const std::optional<ReplicaTime> written = VARVE_TRY(read_replica_clock(storage));
  ReplicaTime time = advance_replica_clock(place_time, now, {});
  const bool is_fresh =
      written && written->boot == now.boot && time.time - written->time < kSaveTimeEvery;
  if (is_fresh) return {};
  time.sequence = std::max(time.sequence, highest_sequence);
  return write_replica_clock(storage, time);
}

std::optional<int64_t> History::State::locked_until(const FileHash& snapshot) const {
  const auto lock = in_force.find(lock_subject(snapshot));
  if (lock == in_force.end()) return std::nullopt;
  const Result<int64_t> until = lock_until(lock->second.statement);
  if (!until.ok() || *until <= lock_time() / kSecond) return std::nullopt;
  return *until;
}

std::optional<int64_t> History::State::lock_of_new(const SetId& set) const {
  const auto found = in_force.find(policy_subject(set));
  if (found == in_force.end()) return std::nullopt;
  const Result<SetPolicy> policy = parse_policy(as_text(found->second.statement.sealed));
  if (!policy.ok()) {
    log_warning("a set's policy is not understood, and new snapshots are not locked by it: " +
                policy.error().message());
    return std::nullopt;
  }
  const int64_t seconds = policy->lock_seconds();
  if (seconds == 0) return std::nullopt;
  // A clock that is behind ends no lock early, here or elsewhere.
  return std::max(clock.now(), lock_time()) / kSecond + seconds;
}

// The public face.

void History::tell_time_by(AskMachine machine) {
  std::lock_guard lock(state_->mutex);
  State& state = *state_;
  state.machine = std::move(machine);
  const Result<std::optional<ReplicaTime>> before = read_replica_clock(state.storage);
  const Result<MachineTime> now = state.machine();
  if (before.ok() && now.ok()) {
    std::vector<PublishedAt> published = state.published_by_others();
    if (!*before) {
      published.clear();
      for (const auto& [by, at] : state.newest_published) published.push_back(at);
    }
    state.place_time = advance_replica_clock(*before, *now, published);
  } else {
    const Error& error = before.ok() ? now.error() : before.error();
    log_warning("what time it is for locks is not known, and none ends: " + error.message());
  }
  state.changed();
}

void History::save_time() {
  std::lock_guard lock(state_->mutex);
  State& state = *state_;
  if (!state.place_time) return;
  const Result<void> saved = state.save_time();
  if (!saved.ok() && !std::exchange(state.time_unsaved, true))
    log_warning("replica/clock is not written: " + saved.error().message());
  if (saved.ok()) state.time_unsaved = false;
}

Nanoseconds History::lock_time() const {
  std::lock_guard lock(state_->mutex);
  return state_->lock_time();
}

std::optional<int64_t> History::locked_until(const FileHash& snapshot) const {
  std::lock_guard lock(state_->mutex);
  return state_->locked_until(snapshot);
}

Result<void> History::lock(const FileHash& snapshot, int64_t until_seconds) {
  std::lock_guard guard(state_->mutex);
  State& state = *state_;
  const auto found = state.snapshots.find(snapshot);
  if (found == state.snapshots.end()) return Errc::kNotFound;
  const std::string now = utc_iso(state.lock_time());
  if (until_seconds <= state.lock_time() / kSecond) {
    return Error(Errc::kInvalid, "a lock until " + utc_of_seconds(until_seconds) +
                                     " holds nothing: by replica/clock it is " + now);
  }
  const auto before = state.locked_until(snapshot);
  if (before && *before > until_seconds) {
    return Error(Errc::kPermission, "the snapshot '" + found->second.name + "' is locked until " +
                                        utc_of_seconds(*before) +
                                        " already: a lock is extended, never shortened");
  }
  if (before && *before == until_seconds) return {};
  VARVE_TRY(state.publish_statements({lock_statement(snapshot, until_seconds)}));
  state.publish_base_if_due();
  return {};
}

}  // namespace varve
