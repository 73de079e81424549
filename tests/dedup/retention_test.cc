// Goal: a rule keeps the snapshots that its words say, in UTC and by ISO weeks, whatever a clock
// has done to their times, always the newest; and a rule that makes no sense is refused.

#include "dedup/retention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "tests/support/test_seed.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr Nanoseconds kHour = 3600 * kSecond, kDay = 24 * kHour;

Nanoseconds at(int year, unsigned month, unsigned day, Nanoseconds hours = 12) {
  const std::chrono::sys_days date = std::chrono::year(year) / month / day;
  return date.time_since_epoch().count() * kDay + hours * kHour;
}

std::vector<size_t> kept(const std::string& rule, const std::vector<Nanoseconds>& times) {
  const std::vector<std::string> reasons = kept_by(parse_retention(rule).value(), times);
  std::vector<size_t> found;
  for (size_t i = 0; i < reasons.size(); i++) {
    if (!reasons[i].empty()) found.push_back(i);
  }
  return found;
}

TEST(RetentionTest, LastIsByOrderAndNotByTime) {
  EXPECT_THAT(kept("last 2", {1, 2, 3}), ElementsAre(1, 2));
  EXPECT_THAT(kept("last 2", {9, 8, 7}), ElementsAre(1, 2));
  EXPECT_THAT(kept("last 7", {1, 2}), ElementsAre(0, 1));
  EXPECT_THAT(kept("last 1", {}), ElementsAre());
}

TEST(RetentionTest, TheNewestOfEachDay) {
  const std::vector<Nanoseconds> times{at(2026, 11, 20, 1), at(2026, 11, 20, 23),
                                       at(2026, 11, 22, 0), at(2026, 11, 22, 5),
                                       at(2026, 11, 23, 0)};
  EXPECT_THAT(kept("daily 2", times), ElementsAre(3, 4));
  // Days without a snapshot are no days.
  EXPECT_THAT(kept("daily 3", times), ElementsAre(1, 3, 4));
}

TEST(RetentionTest, WeeksBeginOnMonday) {
  // 2026-11-22 is a Sunday; 2027-01-01 a Friday of the week that began in 2026.
  EXPECT_THAT(kept("weekly 9", {at(2026, 11, 16), at(2026, 11, 22), at(2026, 11, 23)}),
              ElementsAre(1, 2));
  EXPECT_THAT(kept("weekly 9", {at(2026, 12, 28), at(2027, 1, 1), at(2027, 1, 3), at(2027, 1, 4)}),
              ElementsAre(2, 3));
  EXPECT_THAT(kept("weekly 9", {at(1969, 12, 28), at(1969, 12, 29), at(1970, 1, 1)}),
              ElementsAre(0, 2));
}

TEST(RetentionTest, MonthsAndYears) {
  const std::vector<Nanoseconds> times{at(1969, 12, 31), at(1970, 1, 1), at(2024, 2, 29),
                                       at(2024, 12, 31), at(2025, 1, 1), at(2025, 1, 31)};
  EXPECT_THAT(kept("yearly 3", times), ElementsAre(1, 3, 5));
  EXPECT_THAT(kept("yearly 9", times), ElementsAre(0, 1, 3, 5));
  EXPECT_THAT(kept("monthly 2", times), ElementsAre(3, 5));
}

TEST(RetentionTest, WithinCountsFromTheNewestSnapshot) {
  const Nanoseconds newest = at(2020, 5, 31);
  EXPECT_THAT(kept("within 30d", {newest - 30 * kDay - 1, newest - 30 * kDay, newest}),
              ElementsAre(1, 2));
  EXPECT_THAT(kept("within 2h", {newest - 3 * kHour, newest - 2 * kHour, newest}),
              ElementsAre(1, 2));
  EXPECT_THAT(kept("within 1w", {newest - 8 * kDay, newest - 7 * kDay, newest}), ElementsAre(1, 2));
}

TEST(RetentionTest, AClockThatWasWrongCostsNoOtherSnapshot) {
  // The third was taken while the clock stood in 2076; the newest in order is what counts.
  const std::vector<Nanoseconds> times{at(2026, 11, 1), at(2026, 11, 20), at(2076, 11, 21),
                                       at(2026, 11, 22)};
  EXPECT_THAT(kept("within 30d", times), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(kept("last 1", times), ElementsAre(3));
  EXPECT_THAT(kept("within 1d", {INT64_MIN, INT64_MAX, INT64_MIN + 1}), ElementsAre(0, 1, 2));
}

TEST(RetentionTest, ReasonsAreTold) {
  const auto reasons = kept_by(parse_retention("last 1,daily 2 , within 1h").value(),
                               {at(2026, 1, 1), at(2026, 1, 2)});
  EXPECT_EQ(reasons[0], "daily");
  EXPECT_EQ(reasons[1], "last, daily, within");
}

TEST(RetentionTest, RulesThatMakeNoSenseAreRefused) {
  for (const char* rule :
       {"", " ", ",", "last", "last 0", "last -1", "last 1x", "hourly 3", "last 1,", "within 30",
        "within d", "within 0d", "within 30y", "within 9999999w", "last 99999999999",
        "last 1, last 2", "within 1d, within 2d", "last1"}) {
    const auto parsed = parse_retention(rule);
    ASSERT_FALSE(parsed.ok()) << rule;
    EXPECT_EQ(parsed.error().code(), Errc::kInvalid);
    EXPECT_FALSE(parsed.error().message().empty());
  }
  EXPECT_THAT(parse_retention("hourly 3").error().message(), HasSubstr("hourly 3"));
}

TEST(RetentionTest, RandomTimesAlwaysKeepTheNewestAndWhatSmallerRulesKeep) {
  const uint64_t seed = test_seed();
  std::mt19937_64 dice(seed);
  SCOPED_TRACE(testing::Message() << "VARVE_SEED=" << seed);
  for (int run = 0; run < 200; run++) {
    std::vector<Nanoseconds> times(1 + dice() % 60);
    for (Nanoseconds& time : times)
      time = at(2020, 1, 1) + static_cast<Nanoseconds>(dice() % 40'000) * kHour / 4;
    if (dice() % 4 != 0) std::sort(times.begin(), times.end());
    for (const char* what : {"last", "daily", "weekly", "monthly", "yearly"}) {
      const auto fewer = kept(std::string(what) + " 3", times);
      const auto more = kept(std::string(what) + " 5, within 5d", times);
      EXPECT_LE(fewer.size(), 3u);
      EXPECT_TRUE(std::includes(more.begin(), more.end(), fewer.begin(), fewer.end()));
      if (!std::is_sorted(times.begin(), times.end())) continue;
      EXPECT_EQ(fewer.back(), times.size() - 1) << what;
    }
  }
}

}  // namespace
}  // namespace varve
