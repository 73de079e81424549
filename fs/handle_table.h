// Numbers for things that the kernel holds open. Any thread; a leaf lock.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace varve {

template <typename Thing>
class HandleTable {
 public:
  uint64_t add(std::shared_ptr<Thing> thing) {
    std::lock_guard lock(mutex_);
    uint64_t handle = next_++;
    things_.emplace(handle, std::move(thing));
    return handle;
  }
  /// nullptr if there is none.
  std::shared_ptr<Thing> get(uint64_t handle) const {
    std::lock_guard lock(mutex_);
    auto at = things_.find(handle);
    return at == things_.end() ? nullptr : at->second;
  }
  std::shared_ptr<Thing> remove(uint64_t handle) {
    std::lock_guard lock(mutex_);
    auto at = things_.find(handle);
    if (at == things_.end()) return nullptr;
    std::shared_ptr<Thing> thing = std::move(at->second);
    things_.erase(at);
    return thing;
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<uint64_t, std::shared_ptr<Thing>> things_;
  uint64_t next_ = 1;
};

}  // namespace varve
