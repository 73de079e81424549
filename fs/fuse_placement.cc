#include "fs/fuse_placement.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

#include "dedup/base/limits.h"
#include "dedup/base/unique_fd.h"

namespace varve {
namespace {

// Requests between two looks at who asks and where it runs: some milliseconds of a busy program.
constexpr unsigned kWindowRequests = 256;
// Votes for the candidate less those against it: three quarters of the requests are its own.
constexpr unsigned kVotesMin = kWindowRequests / 2;
// On average; above it data is being moved, which is better done by two processors.
constexpr uint64_t kSmallRequestBytes = 32 * kKiB;

constexpr int kProcessorField = 39;  // of /proc/PID/stat, counted from 1

// The processor that the thread last ran on; -1 if it cannot be told.
int processor_of(pid_t thread) {
  const UniqueFd file(::open(fmt::format("/proc/{}/stat", thread).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return -1;
  char buffer[1024];
  const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
  if (got <= 0) return -1;
  std::string_view text(buffer, static_cast<size_t>(got));
  // The second field is a name in parentheses that may hold anything, ")" too.
  const size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return -1;
  text.remove_prefix(name_end + 1);
  for (int field = 3; field <= kProcessorField; field++) {
    const size_t space = text.find(' ');
    if (space == std::string_view::npos) return -1;
    text.remove_prefix(space + 1);
  }
  int processor = -1;
  std::from_chars(text.data(), text.data() + text.size(), processor);
  return processor;
}

}  // namespace

struct FusePlacement::Allowed {
  cpu_set_t set;
};

FusePlacement::FusePlacement() {
  auto allowed = std::make_unique<Allowed>();
  CPU_ZERO(&allowed->set);
  // More processors than the set holds: threads are then left where they are.
  (void)::sched_getaffinity(0, sizeof allowed->set, &allowed->set);
  allowed_ = std::move(allowed);
}

FusePlacement::~FusePlacement() = default;

void FusePlacement::served(pid_t asker, size_t bytes, Place& place) {
  {
    std::lock_guard lock(mutex_);
    requests_++;
    bytes_ += bytes;
    if (votes_ == 0) candidate_ = asker;
    if (asker == candidate_) {
      votes_++;
    } else {
      votes_--;
    }
    if (requests_ >= kWindowRequests) decide();
  }
  const int target = target_.load(std::memory_order_relaxed);
  if (target == place.processor) return;
  place.processor = target;
  move_to(target);
}

void FusePlacement::decide() {
  const bool one_program = candidate_ > 0 && votes_ >= kVotesMin;
  const bool small = bytes_ / requests_ <= kSmallRequestBytes;
  int target = one_program && small ? processor_of(candidate_) : kAnywhere;
  if (target < 0 || target >= CPU_SETSIZE || !CPU_ISSET(target, &allowed_->set)) target = kAnywhere;
  target_.store(target, std::memory_order_relaxed);
  requests_ = 0;
  bytes_ = 0;
  votes_ = 0;
}

void FusePlacement::move_to(int processor) {
  if (CPU_COUNT(&allowed_->set) < 2) return;
  cpu_set_t set = allowed_->set;
  if (processor != kAnywhere) {
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
  }
  // Best effort: a thread that stays where it is serves as well.
  (void)::sched_setaffinity(0, sizeof set, &set);
}

}  // namespace varve
