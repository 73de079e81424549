// Goal: a policy says what it was told, refuses what makes no sense, and keeps what a newer program
// wrote into it.
#include "catalog/set_policy.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace varve {
namespace {

TEST(SetPolicyTest, SettingsComeBack) {
  SetPolicy policy;
  for (const char* setting : {"keep=last 7, daily 14", "lock=30d", "tags=a, b", "groups=x"})
    ASSERT_TRUE(change_policy(policy, setting).ok()) << setting;
  const auto read = parse_policy(policy_json(policy));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->keep, "last 7, daily 14");
  EXPECT_EQ(read->lock_seconds(), 30 * 86400);
  EXPECT_EQ(read->tags, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(read->groups, (std::vector<std::string>{"x"}));
  for (const char* setting : {"keep=", "lock=", "tags=", "groups="})
    ASSERT_TRUE(change_policy(policy, setting).ok()) << setting;
  EXPECT_EQ(policy_json(policy), "{}");
}

TEST(SetPolicyTest, NonsenseIsRefusedAndChangesNothing) {
  SetPolicy policy;
  ASSERT_TRUE(change_policy(policy, "keep=last 7").ok());
  for (const char* setting : {"keep", "keep=hourly 3", "lock=30", "lock=0d", "lock=-1d", "lock=d",
                              "lock=99999999w", "tags=a b", "quota=5", "tags=,"}) {
    const auto changed = change_policy(policy, setting);
    ASSERT_FALSE(changed.ok()) << setting;
    EXPECT_EQ(changed.error().code(), Errc::kInvalid);
  }
  EXPECT_EQ(policy_json(policy), R"({"keep":"last 7"})");
  for (const char* json : {"", "2", "[]", R"({"keep":7})", R"({"keep":"hourly 1"})",
                           R"({"tags":"a"})", R"({"tags":[1]})", R"({"lock":"soon"})"})
    EXPECT_FALSE(parse_policy(json).ok()) << json;
}

TEST(SetPolicyTest, WhatIsNotKnownStays) {
  auto policy = parse_policy(R"({"keep":"last 1","quota":{"bytes":5}})");
  ASSERT_TRUE(policy.ok());
  ASSERT_TRUE(change_policy(*policy, "keep=last 2").ok());
  EXPECT_EQ(nlohmann::json::parse(policy_json(*policy)),
            nlohmann::json::parse(R"({"keep":"last 2","quota":{"bytes":5}})"));
}

TEST(SetPolicyTest, TimesAreUtc) {
  EXPECT_EQ(*parse_utc_seconds("1970-01-02"), 86400);
  EXPECT_EQ(*parse_utc_seconds("2027-01-31T12:00:01Z"), 1'801'396'801);
  EXPECT_EQ(utc_of_seconds(*parse_utc_seconds("2027-01-31T12:00:01Z")), "2027-01-31T12:00:01Z");
  for (const char* text : {"", "tomorrow", "2027-02-30", "2027-01-31T", "2027-01-31T12:00:00",
                           "2027-01-31T24:00:00Z", "2027-01-31 12:00:00Z", "2027-1-31"})
    EXPECT_FALSE(parse_utc_seconds(text).ok()) << text;
  EXPECT_EQ(utc_of_seconds(INT64_MAX).substr(0, 4), "2262");
}

}  // namespace
}  // namespace varve
