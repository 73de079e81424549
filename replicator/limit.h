// How much of the line may be used, by a weekly calendar: "2M", or
// "mon-fri 08:00-18:00 2M, sat,sun none, else 20M". Pure.
//
// Rules are separated by ", " or ";", and the first that fits counts; where none does, or by
// "none", there is no limit. A rule is days (mon, mon-fri, sat,sun; none named: every day), hours
// (08:00-18:00; over midnight they belong to the day they begin on; none named: all day) and bytes
// a second (K, M, G: binary; 0: nothing is sent). "else" stands for all days and hours.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "dedup/base/clock.h"
#include "dedup/base/result.h"

namespace varve {

class BandwidthLimit {
 public:
  /// kInvalid, naming the part that makes no sense. Empty text: no limit.
  static Result<BandwidthLimit> parse(std::string_view text);

  /// Bytes a second; nothing: no limit. `weekday` 0 is Monday, `minute` of the day.
  std::optional<uint64_t> at(int weekday, int minute) const;

 private:
  struct Rule {
    unsigned days = 0;  // bit 0: Monday
    int from = 0, to = 24 * 60;
    std::optional<uint64_t> bytes_per_second;
  };
  static Result<Rule> parse_rule(std::string_view text);
  std::vector<Rule> rules_;
};

/// Spreads bytes over time. Any thread.
class Throttle {
 public:
  void set_rate(std::optional<uint64_t> bytes_per_second);
  /// How long to wait, at `now` (monotonic), before that many bytes go. At a rate of 0 a second,
  /// after which to ask again: nothing may go (`may_go` is false).
  struct Turn {
    bool may_go = true;
    Nanoseconds wait = 0;
  };
  Turn take(uint64_t bytes, Nanoseconds now);

 private:
  std::mutex mutex_;
  std::optional<uint64_t> rate_;
  Nanoseconds next_ = 0;
};

}  // namespace varve
