#include "fs/fuse_turns.h"

#include <chrono>

namespace varve {
namespace {

// How long a request may keep the others waiting before another thread is called.
constexpr std::chrono::milliseconds kWatch{2};
// Looks without a request after which the watch sleeps until the next one.
constexpr int kIdleLooks = 50;

}  // namespace

bool FuseTurns::take() {
  std::unique_lock lock(mutex_);
  resting_++;
  resting_changed_.wait(lock, [&] { return stopped_ || waiting_ == 0; });
  resting_--;
  if (stopped_) return false;
  waiting_++;
  return true;
}

void FuseTurns::give_back(bool more) {
  std::lock_guard lock(mutex_);
  waiting_--;
  requests_++;
  if (more && resting_ > 0) {
    resting_changed_.notify_one();
  } else if (more && substitutes_ < away_) {
    substitutes_changed_.notify_one();
  }
  if (!watch_sleeps_) return;
  watch_sleeps_ = false;
  watch_changed_.notify_one();
}

void FuseTurns::wait_begins() {
  std::lock_guard lock(mutex_);
  away_++;
}

void FuseTurns::wait_ends() {
  std::lock_guard lock(mutex_);
  away_--;
}

bool FuseTurns::take_place() {
  std::unique_lock lock(mutex_);
  substitutes_changed_.wait(lock,
                            [&] { return stopped_ || (waiting_ == 0 && substitutes_ < away_); });
  if (stopped_) return false;
  waiting_++;
  substitutes_++;
  return true;
}

void FuseTurns::leave_place() {
  std::lock_guard lock(mutex_);
  substitutes_--;
}

void FuseTurns::watch() {
  std::unique_lock lock(mutex_);
  uint64_t seen = requests_;
  int idle_looks = 0;
  while (!stopped_) {
    if (idle_looks < kIdleLooks) {
      watch_changed_.wait_for(lock, kWatch, [&] { return stopped_; });
    } else {
      watch_sleeps_ = true;
      watch_changed_.wait(lock, [&] { return stopped_ || !watch_sleeps_; });
    }
    const bool quiet = requests_ == seen;
    seen = requests_;
    if (!quiet) {
      idle_looks = 0;
    } else if (waiting_ > 0) {
      idle_looks++;
    } else if (resting_ > 0) {
      resting_changed_.notify_one();  // all that are at work have been so since the last look
    } else if (substitutes_ < away_) {
      substitutes_changed_.notify_one();
    }
  }
}

void FuseTurns::stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  resting_changed_.notify_all();
  substitutes_changed_.notify_all();
  watch_changed_.notify_all();
}

}  // namespace varve
