// The power of a simulated machine: it counts every effect on a disk and can go at any one of them.
//
// A storage and a key-value store that share it stop at the same moment. After power_cut() of each
// and restore() here, a test opens everything anew, as after a boot. One lock-free counter; any
// thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace varve {

class SimulatedPower {
 public:
  enum class State {
    kOn,
    kGoing,  // this very effect is under way when the power goes: it may have happened, in part or
             // not at all
    kOff,
  };

  /// Asked once for every effect (write, truncate, sync, create, rename, unlink, a directory made,
  /// sync_dir, commit).
  State effect() {
    uint64_t number = effects_.fetch_add(1);
    uint64_t last = last_.load();
    if (number < last) return State::kOn;
    return number == last ? State::kGoing : State::kOff;
  }
  bool is_off() const { return effects_.load() > last_.load(); }

  /// Called before every effect while the power is on, with nothing locked: the disks are as a cut
  /// at this moment meets them (copy_of of each).
  void before_effects(std::function<void()> watch) { watch_ = std::move(watch); }
  void announce_effect() {
    if (watch_ && !is_off()) watch_();
  }

  /// The power goes with the effect after `effects` more.
  void stop_after(uint64_t effects) { last_ = effects_.load() + effects; }
  void restore() { last_ = UINT64_MAX; }
  uint64_t effects() const { return effects_.load(); }

 private:
  std::atomic<uint64_t> effects_{0};
  std::atomic<uint64_t> last_{UINT64_MAX};
  std::function<void()> watch_;
};

}  // namespace varve
