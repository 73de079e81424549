// replica/clock: what time it is at a replica, as far as locks are concerned (docs/format.md
// section 7).
//
// While a machine runs it is time since boot that moves the clock, so that nobody who sets the wall
// clock ends a lock. Over a downtime nothing but the wall clock knows, and it is believed only as
// far as somebody else confirms it: up to the newest time in what was published since by who has
// the store's keys. So a lock may hold for longer, and never for less. It never goes back.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dedup/base/clock.h"
#include "dedup/base/storage.h"

namespace varve {

inline constexpr const char* kReplicaClockPath = "replica/clock";

/// What the machine says.
struct MachineTime {
  Nanoseconds wall = 0;
  std::string boot;            // which boot it is
  Nanoseconds since_boot = 0;  // suspended or not
};
/// kIo where the system does not say which boot it is.
Result<MachineTime> machine_time();

/// When something that lies here says that it was published. It is signed, so no carrier made it.
struct PublishedAt {
  uint64_t sequence = 0;
  Nanoseconds time = 0;
};

struct ReplicaTime {
  Nanoseconds time = 0;
  std::string boot;
  Nanoseconds since_boot = 0;
  uint64_t sequence = 0;  // the highest that lay here then
};

/// None where there is no clock yet. One that makes no sense counts as absent, with a log line.
Result<std::optional<ReplicaTime>> read_replica_clock(Storage& storage);
Result<void> write_replica_clock(Storage& storage, const ReplicaTime& time);

/// What time it is now. Pure.
ReplicaTime advance_replica_clock(const std::optional<ReplicaTime>& before,
                                  const MachineTime& machine,
                                  const std::vector<PublishedAt>& published);

}  // namespace varve
