// Goal: a limit is what its calendar says at every minute of the week, bytes are spread
// accordingly.

#include "replicator/limit.h"

#include <gmock/gmock.h>

namespace varve {
namespace {

constexpr uint64_t kM = 1 << 20;
enum Day { kMon, kTue, kWed, kThu, kFri, kSat, kSun };

std::optional<uint64_t> at(const char* text, int day, int hour, int minute = 0) {
  return BandwidthLimit::parse(text).value().at(day, hour * 60 + minute);
}

TEST(BandwidthLimit, OneRateIsForAlways) {
  EXPECT_EQ(at("2M", kMon, 0), 2 * kM);
  EXPECT_EQ(at("500K", kSun, 23, 59), 500u * 1024);
  EXPECT_EQ(at("", kMon, 0), std::nullopt);
  EXPECT_EQ(at("none", kMon, 0), std::nullopt);
  EXPECT_EQ(at("0", kMon, 0), 0u);
}

TEST(BandwidthLimit, TheFirstRuleThatFitsCounts) {
  const char* text = "mon-fri 08:00-18:00 2M, else 20M";
  EXPECT_EQ(at(text, kMon, 7, 59), 20 * kM);
  EXPECT_EQ(at(text, kMon, 8), 2 * kM);
  EXPECT_EQ(at(text, kFri, 17, 59), 2 * kM);
  EXPECT_EQ(at(text, kFri, 18), 20 * kM);
  EXPECT_EQ(at(text, kSat, 12), 20 * kM);
}

TEST(BandwidthLimit, DaysMayBeListedAndHoursMayCrossMidnight) {
  const char* text = "sat,sun none; fri 22:00-06:00 8M; 1M";
  EXPECT_EQ(at(text, kFri, 23), 8 * kM);
  EXPECT_EQ(at(text, kFri, 5), 1 * kM);
  EXPECT_EQ(at(text, kSat, 5), std::nullopt);  // the earlier rule
  EXPECT_EQ(at("fri 22:00-06:00 8M", kSat, 5), 8 * kM);
  EXPECT_EQ(at("fri 22:00-06:00 8M", kSat, 6), std::nullopt);
  EXPECT_EQ(at("sat-mon 1M", kSun, 1), 1 * kM);
  EXPECT_EQ(at("sat-mon 1M", kTue, 1), std::nullopt);
}

TEST(BandwidthLimit, RefusesWhatMakesNoSense) {
  for (const char* text :
       {"fast", "2X", "mon", "mon-foo 2M", "08:00 2M", "25:00-26:00 2M", "08:00-08:00 2M",
        "mon tue 2M", "else", "2M 3M", "-1", "99999999999999999999"}) {
    EXPECT_FALSE(BandwidthLimit::parse(text).ok()) << text;
  }
}

TEST(Throttle, SpreadsBytesOverTime) {
  Throttle throttle;
  EXPECT_EQ(throttle.take(100 * kM, 5).wait, 0);
  throttle.set_rate(2 * kM);
  EXPECT_EQ(throttle.take(kM, 100).wait, 0);
  EXPECT_EQ(throttle.take(kM, 100).wait, kSecond / 2);
  EXPECT_EQ(throttle.take(kM, 100 + kSecond).wait, 0);       // it was that turn's time
  EXPECT_EQ(throttle.take(kM, 100 + 10 * kSecond).wait, 0);  // time that was not used is gone
  throttle.set_rate(0);
  EXPECT_FALSE(throttle.take(1, 0).may_go);
}

}  // namespace
}  // namespace varve
