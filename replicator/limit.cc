#include "replicator/limit.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

namespace varve {
namespace {

constexpr int kMinutesPerDay = 24 * 60;
constexpr unsigned kEveryDay = 0x7f;
constexpr std::array<std::string_view, 7> kDayNames{"mon", "tue", "wed", "thu",
                                                    "fri", "sat", "sun"};

Error no_limit(std::string_view text) {
  return Error(Errc::kInvalid,
               "'" + std::string(text) +
                   "' is no limit: write e.g. 2M, or mon-fri 08:00-18:00 2M, else 20M");
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

/// Cuts the text in front of `mark` off.
std::string_view cut(std::string_view& text, std::string_view mark) {
  const size_t end = std::min(text.find(mark), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + mark.size(), text.size()));
  return part;
}

std::optional<int> day_named(std::string_view name) {
  const auto found = std::find(kDayNames.begin(), kDayNames.end(), name);
  if (found == kDayNames.end()) return std::nullopt;
  return static_cast<int>(found - kDayNames.begin());
}

/// "mon", "mon-fri", "sat,sun": a set of days; nothing if it is none.
std::optional<unsigned> days_in(std::string_view text) {
  unsigned days = 0;
  while (!text.empty()) {
    std::string_view part = cut(text, ",");
    const std::string_view first = cut(part, "-");
    const auto from = day_named(first);
    const auto to = part.empty() ? from : day_named(part);
    if (!from || !to) return std::nullopt;
    for (int day = *from;; day = (day + 1) % 7) {
      days |= 1u << day;
      if (day == *to) break;
    }
  }
  return days == 0 ? std::nullopt : std::optional(days);
}

std::optional<int> number_of(std::string_view text) {
  int value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size())
    return std::nullopt;
  return value;
}

std::optional<int> minute_in(std::string_view text) {
  const auto hour = number_of(cut(text, ":"));
  const auto minute = number_of(text);
  if (!hour || !minute || *hour < 0 || *hour > 24 || *minute < 0 || *minute > 59)
    return std::nullopt;
  const int total = *hour * 60 + *minute;
  return total > kMinutesPerDay ? std::nullopt : std::optional(total);
}

struct Rate {
  std::optional<uint64_t> bytes_per_second;
};

std::optional<Rate> rate_in(std::string_view text) {
  if (text == "none") return Rate{};
  uint64_t unit = 1;
  if (!text.empty()) {
    const size_t letter = std::string_view("KMG").find(text.back());
    if (letter != std::string_view::npos) {
      unit = uint64_t{1} << (10 * (letter + 1));
      text.remove_suffix(1);
    }
  }
  uint64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size() ||
      value > (uint64_t{1} << 40))
    return std::nullopt;
  return Rate{value * unit};
}

}  // namespace

Result<BandwidthLimit::Rule> BandwidthLimit::parse_rule(std::string_view text) {
  const std::string_view whole = text;
  Rule rule{kEveryDay, 0, kMinutesPerDay, std::nullopt};
  bool days_said = false, hours_said = false;
  while (!text.empty()) {
    std::string_view word = cut(text, " ");
    text = trimmed(text);
    if (text.empty()) {
      const auto rate = rate_in(word);
      if (!rate) return no_limit(whole);
      rule.bytes_per_second = rate->bytes_per_second;
      return rule;
    }
    const auto days = days_in(word);
    if (word == "else" && !days_said && !hours_said) {
      days_said = hours_said = true;
    } else if (days && !days_said && !hours_said) {
      rule.days = *days;
      days_said = true;
    } else if (!hours_said) {
      const auto from = minute_in(cut(word, "-")), to = minute_in(word);
      if (!from || !to || *from == *to) return no_limit(whole);
      rule.from = *from;
      rule.to = *to;
      hours_said = true;
    } else {
      return no_limit(whole);
    }
  }
  return no_limit(whole);
}

Result<BandwidthLimit> BandwidthLimit::parse(std::string_view text) {
  BandwidthLimit limit;
  text = trimmed(text);
  while (!text.empty()) {
    const size_t end = std::min({text.find(", "), text.find(';'), text.size()});
    const std::string_view rule = trimmed(text.substr(0, end));
    limit.rules_.push_back(VARVE_TRY(parse_rule(rule)));
    text.remove_prefix(std::min(end + 1, text.size()));
    text = trimmed(text);
  }
  return limit;
}

std::optional<uint64_t> BandwidthLimit::at(int weekday, int minute) const {
  const int day_before = (weekday + 6) % 7;
  for (const Rule& rule : rules_) {
    const bool today = (rule.days >> weekday & 1) != 0,
               yesterday = (rule.days >> day_before & 1) != 0;
    const bool over_midnight = rule.from > rule.to;
    const bool fits = over_midnight
                          ? (today && minute >= rule.from) || (yesterday && minute < rule.to)
                          : today && minute >= rule.from && minute < rule.to;
    if (fits) return rule.bytes_per_second;
  }
  return std::nullopt;
}

void Throttle::set_rate(std::optional<uint64_t> bytes_per_second) {
  std::lock_guard lock(mutex_);
  if (rate_ == bytes_per_second) return;
  rate_ = bytes_per_second;
  next_ = 0;  // what was put off at the old rate is not waited for at the new one
}

Throttle::Turn Throttle::take(uint64_t bytes, Nanoseconds now) {
  std::lock_guard lock(mutex_);
  if (!rate_) return {};
  if (*rate_ == 0) return {false, kSecond};
  const Nanoseconds start = std::max(now, next_);
  next_ = start +
          static_cast<Nanoseconds>(static_cast<double>(bytes) * 1e9 / static_cast<double>(*rate_));
  return {true, start - now};
}

}  // namespace varve
