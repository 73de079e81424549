#include "dedup/base/clock.h"

#include <ctime>

namespace varve {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

class SystemClock final : public Clock {
 public:
  Nanoseconds now() override { return read(CLOCK_REALTIME); }
  Nanoseconds monotonic() override { return read(CLOCK_MONOTONIC); }

 private:
  static Nanoseconds read(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return time.tv_sec * kNanosecondsPerSecond + time.tv_nsec;
  }
};

std::string format_utc(Nanoseconds time, const char* format) {
  // Rounds down, before 1970 too.
  time_t seconds = time / kNanosecondsPerSecond - (time % kNanosecondsPerSecond < 0 ? 1 : 0);
  tm fields{};
  gmtime_r(&seconds, &fields);
  char text[64];
  return std::string(text, strftime(text, sizeof text, format, &fields));
}

}  // namespace

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

std::string utc_name(Nanoseconds time) {
  return format_utc(time, "%Y-%m-%dT%H%M%SZ");
}

std::string utc_iso(Nanoseconds time) {
  return format_utc(time, "%Y-%m-%dT%H:%M:%SZ");
}

}  // namespace varve
