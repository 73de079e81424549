// Numbers for packs in the chunk index, so that a place takes four bytes and a pack that goes takes
// its places with it at once.
//
// A number is never used again in a process; a pack that comes back gets a new one. Any thread; a
// leaf lock.
#pragma once

#include <deque>
#include <optional>
#include <shared_mutex>
#include <unordered_map>
#include <vector>

#include "dedup/base/id.h"

namespace varve {

class PackNumbers {
 public:
  enum class State : uint8_t {
    kOpen,    // in memory, and may grow
    kSealed,  // whole in memory
    kOnDisk,  // whole in a run
    kGone,    // its places count for nothing
  };

  /// The number of the pack, a new one in state kOpen if it has none.
  uint32_t number_of(const PackId& pack);
  /// A number that is gone from the start, for rows of a pack that was removed.
  uint32_t gone_number(const PackId& pack);

  PackId pack(uint32_t number) const;
  /// nullopt if it is gone.
  std::optional<PackId> present(uint32_t number) const;
  State state(uint32_t number) const;
  bool is_gone(uint32_t number) const { return state(number) == State::kGone; }
  /// Unless it is gone meanwhile.
  void set_state(uint32_t number, State state);
  void remove(const PackId& pack);
  void remove_number(uint32_t number);
  std::vector<uint32_t> in_state(State state) const;

  /// Segments of an open pack whose chunks are in memory already.
  void note_segment(uint32_t number, uint32_t segment);
  bool has_segment(uint32_t number, uint32_t segment) const;

 private:
  struct Pack {
    PackId id;
    State state = State::kOpen;
    std::vector<bool> segments;
  };
  void forget(uint32_t number);

  mutable std::shared_mutex mutex_;
  std::deque<Pack> packs_;  // number - 1
  std::unordered_map<PackId, uint32_t, IdHash> numbers_;
};

}  // namespace varve
