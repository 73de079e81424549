#include "catalog/set_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "dedup/base/clock.h"
#include "dedup/retention.h"

namespace varve {
namespace {

using nlohmann::json;

constexpr int64_t kHourSeconds = 3600, kDaySeconds = 24 * kHourSeconds;
constexpr int64_t kLockSecondsMax = 100 * 366 * kDaySeconds;
constexpr size_t kWordBytesMax = 64, kWordsMax = 64;

Result<void> check_words(const std::vector<std::string>& words, const char* what) {
  if (words.size() > kWordsMax)
    return Error(Errc::kInvalid, fmt::format("more than {} {}", kWordsMax, what));
  for (const std::string& word : words) {
    const bool fits = !word.empty() && word.size() <= kWordBytesMax &&
                      word.find_first_of(", \t\n") == std::string::npos;
    if (!fits) return Error(Errc::kInvalid, fmt::format("'{}' cannot be among {}", word, what));
  }
  return {};
}

Result<void> check(const SetPolicy& policy) {
  if (!policy.keep.empty()) VARVE_TRY(in_context(parse_retention(policy.keep), "keep"));
  if (!policy.lock.empty()) VARVE_TRY(in_context(parse_lock_seconds(policy.lock), "lock"));
  VARVE_TRY(check_words(policy.tags, "tags"));
  return check_words(policy.groups, "groups");
}

Result<void> take_text(json& from, const char* name, std::string& to) {
  const auto found = from.find(name);
  if (found == from.end()) return {};
  if (!found->is_string())
    return Error(Errc::kInvalid, fmt::format("'{}' of a policy is no text", name));
  to = found->get<std::string>();
  from.erase(found);
  return {};
}

Result<void> take_words(json& from, const char* name, std::vector<std::string>& to) {
  const auto found = from.find(name);
  if (found == from.end()) return {};
  const auto is_text = [](const json& one) { return one.is_string(); };
  if (!found->is_array() || !std::all_of(found->begin(), found->end(), is_text))
    return Error(Errc::kInvalid, fmt::format("'{}' of a policy is no list of words", name));
  to = found->get<std::vector<std::string>>();
  from.erase(found);
  return {};
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    std::string_view word = text.substr(0, comma);
    while (word.starts_with(' ')) word.remove_prefix(1);
    while (word.ends_with(' ')) word.remove_suffix(1);
    words.emplace_back(word);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return words;
}

}  // namespace

int64_t SetPolicy::lock_seconds() const {
  const Result<int64_t> seconds = lock.empty() ? Result<int64_t>(0) : parse_lock_seconds(lock);
  return seconds.ok() ? *seconds : 0;
}

Result<SetPolicy> parse_policy(std::string_view text) {
  json members = json::parse(text, nullptr, false);
  if (!members.is_object()) return Error(Errc::kInvalid, "a policy is no JSON object");
  SetPolicy policy;
  VARVE_TRY(take_text(members, "keep", policy.keep));
  VARVE_TRY(take_text(members, "lock", policy.lock));
  VARVE_TRY(take_words(members, "tags", policy.tags));
  VARVE_TRY(take_words(members, "groups", policy.groups));
  if (!members.empty()) policy.rest = members.dump(-1, ' ', false, json::error_handler_t::replace);
  VARVE_TRY(check(policy));
  return policy;
}

std::string policy_json(const SetPolicy& policy) {
  json members = policy.rest.empty() ? json::object() : json::parse(policy.rest);
  if (!policy.keep.empty()) members["keep"] = policy.keep;
  if (!policy.lock.empty()) members["lock"] = policy.lock;
  if (!policy.tags.empty()) members["tags"] = policy.tags;
  if (!policy.groups.empty()) members["groups"] = policy.groups;
  return members.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<void> change_policy(SetPolicy& policy, std::string_view setting) {
  const size_t sign = setting.find('=');
  const std::string name(setting.substr(0, sign));
  if (sign == std::string_view::npos) {
    return Error(Errc::kInvalid, fmt::format("'{}' sets nothing: write keep='last 7, daily 14', "
                                             "lock=30d, tags=A,B or groups=A,B",
                                             name));
  }
  const std::string value(setting.substr(sign + 1));
  SetPolicy changed = policy;
  if (name == "keep") {
    changed.keep = value;
  } else if (name == "lock") {
    changed.lock = value;
  } else if (name == "tags") {
    changed.tags = words_of(value);
  } else if (name == "groups") {
    changed.groups = words_of(value);
  } else {
    return Error(Errc::kInvalid,
                 fmt::format("a policy has no '{}': it has keep, lock, tags and groups", name));
  }
  VARVE_TRY(check(changed));
  policy = std::move(changed);
  return {};
}

Result<int64_t> parse_lock_seconds(std::string_view text) {
  const Error no_time(Errc::kInvalid,
                      fmt::format("'{}' is no length of time: write 12h, 30d or 8w", text));
  int64_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(read.ptr, static_cast<size_t>(text.data() + text.size() - read.ptr));
  const int64_t seconds = unit == "h"   ? kHourSeconds
                          : unit == "d" ? kDaySeconds
                          : unit == "w" ? 7 * kDaySeconds
                                        : 0;
  const bool fits = read.ec == std::errc() && number > 0 && seconds > 0;
  if (!fits || number > kLockSecondsMax / seconds) return no_time;
  return number * seconds;
}

Result<int64_t> parse_utc_seconds(std::string_view text) {
  const std::string whole(text);
  int year = 0, read = 0;
  unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0;
  const bool is_date =
      std::sscanf(whole.c_str(), "%4d-%2u-%2u%n", &year, &month, &day, &read) == 3 && read == 10;
  bool fits = is_date && whole.size() == 10;
  if (is_date && !fits) {
    const int fields =
        std::sscanf(whole.c_str() + 10, "T%2u:%2u:%2uZ%n", &hour, &minute, &second, &read);
    fits =
        fields == 3 && read == 10 && whole.size() == 20 && hour < 24 && minute < 60 && second < 60;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (!fits || !date.ok()) {
    return Error(
        Errc::kInvalid,
        fmt::format("'{}' is no time: write 2027-01-31 or 2027-01-31T12:00:00Z (UTC)", text));
  }
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return days * kDaySeconds + int64_t{hour} * kHourSeconds + int64_t{minute} * 60 + second;
}

std::string utc_of_seconds(int64_t seconds) {
  constexpr int64_t kLast = INT64_MAX / kSecond;
  return utc_iso(std::clamp(seconds, -kLast, kLast) * kSecond);
}

}  // namespace varve
