// Goal: codes of many messages at once are HMAC-SHA-256 (vectors of RFC 4231), and lanes that say
// anything else are not used.
#include "dedup/hmac_lanes.h"

#include <gtest/gtest.h>

#include "tests/dedup/hmac_by_definition.h"

namespace varve {
namespace {

/// Sixteen times "Hi There" under a key of twenty bytes 0x0b: RFC 4231, test case 1.
constexpr std::string_view kHiThere =
    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";

TEST(HmacLanes, GiveTheCodesOfTheStandard) {
  const Secret key = Secret::copy_of(Bytes(20, 0x0b));
  const auto lanes =
      HmacLanes::make(key, [&](ByteView message) { return hmac_by_definition(key, message); });
  if (!lanes) GTEST_SKIP() << "this build or this processor has no such lanes";
  std::vector<ChunkId> codes(16);
  std::vector<HmacLanes::Job> jobs;
  for (ChunkId& code : codes) jobs.push_back({as_bytes("Hi There"), &code});
  lanes->run(jobs);
  for (const ChunkId& code : codes) EXPECT_EQ(code.hex(), kHiThere);
}

TEST(HmacLanes, AreNotUsedWhereTheyDisagree) {
  const Secret key = Secret::copy_of(Bytes(32, 0x0b));
  size_t asked = 0;
  const auto wrong_once = [&](ByteView message) {
    return ++asked == 20 ? ChunkId() : hmac_by_definition(key, message);
  };
  EXPECT_EQ(HmacLanes::make(key, wrong_once), nullptr);
}

TEST(HmacLanes, RunNothing) {
  const Secret key = Secret::copy_of(Bytes(32, 1));
  const auto lanes =
      HmacLanes::make(key, [&](ByteView message) { return hmac_by_definition(key, message); });
  if (lanes) lanes->run({});
}

}  // namespace
}  // namespace varve
