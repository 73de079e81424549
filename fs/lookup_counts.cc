#include "fs/lookup_counts.h"

namespace varve {

void LookupCounts::add(Ino ino) {
  std::lock_guard lock(mutex_);
  counts_[ino]++;
}

bool LookupCounts::forget(Ino ino, uint64_t count) {
  std::lock_guard lock(mutex_);
  auto at = counts_.find(ino);
  if (at == counts_.end()) return false;
  if (at->second > count) {
    at->second -= count;
    return false;
  }
  counts_.erase(at);
  return orphans_.erase(ino) > 0;
}

bool LookupCounts::orphaned(Ino ino) {
  std::lock_guard lock(mutex_);
  if (!counts_.contains(ino)) return true;
  orphans_.insert(ino);
  return false;
}

void LookupCounts::named(Ino ino) {
  std::lock_guard lock(mutex_);
  orphans_.erase(ino);
}

std::vector<Ino> LookupCounts::known(uint32_t set) const {
  std::lock_guard lock(mutex_);
  std::vector<Ino> result;
  for (const auto& [ino, count] : counts_) {
    if (set_of(ino) == set) result.push_back(ino);
  }
  return result;
}

bool LookupCounts::knows(Ino ino) const {
  std::lock_guard lock(mutex_);
  return counts_.contains(ino);
}

size_t LookupCounts::size() const {
  std::lock_guard lock(mutex_);
  return counts_.size();
}

}  // namespace varve
