#include "dedup/retention.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <functional>
#include <map>

namespace varve {
namespace {

constexpr Nanoseconds kHour = 3600 * kSecond, kDay = 24 * kHour, kWeek = 7 * kDay;
constexpr uint32_t kRuleCountMax = 1'000'000;
constexpr Nanoseconds kWithinMax = 100 * 366 * kDay;
constexpr int64_t kFromMondayTo1970 = 3;  // 1970 began on a Thursday

/// Days since 1970, before it too.
int64_t day_of(Nanoseconds time) {
  return time / kDay - (time % kDay < 0 ? 1 : 0);
}

int64_t week_of(Nanoseconds time) {
  const int64_t days = day_of(time) + kFromMondayTo1970;
  return days / 7 - (days % 7 < 0 ? 1 : 0);
}

std::chrono::year_month_day date_of(Nanoseconds time) {
  return std::chrono::sys_days(std::chrono::days(day_of(time)));
}

int64_t year_of(Nanoseconds time) {
  return static_cast<int>(date_of(time).year());
}

int64_t month_of(Nanoseconds time) {
  return 12 * year_of(time) + static_cast<unsigned>(date_of(time).month());
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

/// Digits at the front of `text`, which they leave; 0 if there are none, or too large a number.
uint32_t take_number(std::string_view& text) {
  uint32_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc()) return 0;
  text.remove_prefix(static_cast<size_t>(read.ptr - text.data()));
  return number;
}

Error no_part(std::string_view part) {
  return Error(
      Errc::kInvalid,
      fmt::format("'{}' is no part of a rule: write last, daily, weekly, monthly or yearly "
                  "and a number, or within and a time like 30d (h, d or w)",
                  part));
}

Result<Nanoseconds> parse_within(std::string_view part, std::string_view value) {
  const Nanoseconds number = take_number(value);
  const Nanoseconds unit = value == "h" ? kHour : value == "d" ? kDay : value == "w" ? kWeek : 0;
  if (number == 0 || unit == 0 || number > kWithinMax / unit) return no_part(part);
  return number * unit;
}

uint32_t* count_named(RetentionRule& rule, std::string_view name) {
  if (name == "last") return &rule.last;
  if (name == "daily") return &rule.daily;
  if (name == "weekly") return &rule.weekly;
  if (name == "monthly") return &rule.monthly;
  return name == "yearly" ? &rule.yearly : nullptr;
}

Result<void> parse_part(std::string_view part, RetentionRule& rule) {
  const size_t space = std::min(part.find(' '), part.size());
  const std::string_view name = part.substr(0, space);
  std::string_view value = trimmed(part.substr(space));
  const Error twice(Errc::kInvalid, fmt::format("'{}' stands twice in the rule", name));
  if (name == "within") {
    if (rule.within != 0) return twice;
    rule.within = VARVE_TRY(parse_within(part, value));
    return {};
  }
  uint32_t* const count = count_named(rule, name);
  if (count == nullptr) return no_part(part);
  if (*count != 0) return twice;
  *count = take_number(value);
  if (*count == 0 || *count > kRuleCountMax || !value.empty()) return no_part(part);
  return {};
}

void add_reason(std::string& reasons, std::string_view reason) {
  if (!reasons.empty()) reasons += ", ";
  reasons += reason;
}

}  // namespace

Result<RetentionRule> parse_retention(std::string_view text) {
  RetentionRule rule;
  for (;;) {
    const size_t comma = std::min(text.find(','), text.size());
    VARVE_TRY(parse_part(trimmed(text.substr(0, comma)), rule));
    if (comma == text.size()) return rule;
    text.remove_prefix(comma + 1);
  }
}

std::vector<std::string> kept_by(const RetentionRule& rule, const std::vector<Nanoseconds>& times) {
  std::vector<std::string> reasons(times.size());
  for (size_t i = times.size() - std::min<size_t>(rule.last, times.size()); i < times.size(); i++)
    add_reason(reasons[i], "last");
  const auto keep_one_of_each = [&](uint32_t count, const char* reason,
                                    int64_t (*period_of)(Nanoseconds)) {
    std::map<int64_t, size_t, std::greater<>> newest;  // of each period, newest period first
    for (size_t i = 0; count > 0 && i < times.size(); i++) newest[period_of(times[i])] = i;
    for (const auto& [period, i] : newest) {
      if (count-- == 0) break;
      add_reason(reasons[i], reason);
    }
  };
  keep_one_of_each(rule.daily, "daily", day_of);
  keep_one_of_each(rule.weekly, "weekly", week_of);
  keep_one_of_each(rule.monthly, "monthly", month_of);
  keep_one_of_each(rule.yearly, "yearly", year_of);
  for (size_t i = 0; rule.within > 0 && i < times.size(); i++) {
    // Without overflow, whatever the times are.
    const bool older = times[i] < times.back();
    const uint64_t age = static_cast<uint64_t>(times.back()) - static_cast<uint64_t>(times[i]);
    if (!older || age <= static_cast<uint64_t>(rule.within)) add_reason(reasons[i], "within");
  }
  return reasons;
}

}  // namespace varve
