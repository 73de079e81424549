// Time comes in through the constructor, so that a test can set it.
#pragma once

#include <cstdint>
#include <string>

namespace varve {

/// Nanoseconds since 1970-01-01T00:00:00Z; before it, negative.
using Nanoseconds = int64_t;
inline constexpr Nanoseconds kSecond = 1'000'000'000;

class Clock {
 public:
  virtual ~Clock() = default;
  /// Wall time. May jump; decides nothing but what is shown and what is stored as a file's times.
  virtual Nanoseconds now() = 0;
  /// Never goes back; for ages and deadlines.
  virtual Nanoseconds monotonic() = 0;
};

/// The system's clock; lives for ever.
Clock& system_clock();

/// "2026-11-22T053000Z": how varve names what it names itself.
std::string utc_name(Nanoseconds time);
/// "2026-11-22T05:30:00Z": for people and JSON.
std::string utc_iso(Nanoseconds time);

}  // namespace varve
