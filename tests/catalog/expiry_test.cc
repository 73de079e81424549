// Goal: a rule takes away what it does not keep, and never what is locked, or the last snapshot
// that is whole.
#include "catalog/expiry.h"

#include <gmock/gmock.h>

#include "dedup/base/checksum.h"
#include "tests/catalog/history_world.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct ExpiryAtSiteTest : testing::Test, HistoryWorld {
  std::set<PackId> missing;

  std::vector<std::string> expired(const std::string& rule) {
    const auto judged = judge_expiry(
        *history, set_named("web"), *parse_retention(rule),
        [this](const PackInfo& info) -> Result<bool> { return !missing.contains(info.pack); });
    EXPECT_TRUE(judged.ok());
    std::vector<std::string> names;
    for (const JudgedForExpiry& one : *judged) {
      if (!one.kept) names.push_back(one.snapshot.name);
    }
    return names;
  }
  SnapshotInfo taken(const std::string& name, uint8_t pack) {
    return *take("web", name, {}, {pack_info(pack)});
  }
};

TEST_F(ExpiryAtSiteTest, TheRuleIsAskedForTheSetAlone) {
  taken("one", 1);
  taken("two", 2);
  ASSERT_TRUE(take("db", "other").ok());
  taken("three", 3);
  EXPECT_THAT(expired("last 2"), ElementsAre("one"));
  EXPECT_THAT(expired("last 3"), IsEmpty());
}

TEST_F(ExpiryAtSiteTest, WhatIsLockedStaysUntilItsDate) {
  const SnapshotInfo one = taken("one", 1);
  taken("two", 2);
  ASSERT_TRUE(history->lock(one.hash, clock.now() / kSecond + 100).ok());
  EXPECT_THAT(expired("last 1"), IsEmpty());
  clock.advance(200 * kSecond);
  EXPECT_THAT(expired("last 1"), ElementsAre("one"));
}

TEST_F(ExpiryAtSiteTest, OneThatIsNotWholeTakesNoTurn) {
  taken("one", 1);
  taken("two", 2);
  taken("three", 3);
  missing = {pack_info(3).pack};
  EXPECT_THAT(expired("last 1"), ElementsAre("one")) << "the newest, and the newest whole one stay";
  missing.insert(pack_info(2).pack);
  EXPECT_THAT(expired("last 1"), ElementsAre("two"));
  missing.insert(pack_info(1).pack);
  EXPECT_THAT(expired("last 1"), IsEmpty()) << "where none is whole, nobody knows";
}

TEST_F(ExpiryAtSiteTest, AListsBasesCountToo) {
  const SnapshotInfo one = taken("one", 1);
  ASSERT_TRUE(take("web", "two", {one.header.list}, {pack_info(2)}).ok());
  taken("three", 3);
  missing = {pack_info(1).pack, pack_info(3).pack};
  EXPECT_THAT(expired("last 1"), IsEmpty());
}

TEST_F(ExpiryAtSiteTest, AnExactListMakesASnapshotWhole) {
  const SnapshotInfo one = taken("one", 1);
  taken("two", 2);
  taken("three", 3);
  missing = {pack_info(1).pack, pack_info(2).pack, pack_info(3).pack};
  PackList exact;
  exact.exact = true;
  exact.snapshots = {one.hash};
  exact.rows = {pack_info(9)};
  exact.needed_by.push_back({{0U, 1U}});
  Envelope envelope;
  envelope.kind = HistoryKind::kList;
  envelope.store = keyring.store_id();
  envelope.writer = same_bytes<WriterId>(30);
  envelope.sequence = 100;
  envelope.readable = encode_pack_list(exact);
  const Bytes file = encode_envelope(envelope, keyring, random);
  ASSERT_TRUE(write_whole(storage, "lists/" + sha256(file).hex(), file).ok());
  ASSERT_TRUE(history->refresh().ok());
  EXPECT_THAT(expired("last 1"), ElementsAre("two")) << "'one' is the only whole one now";
}

TEST_F(ExpiryAtSiteTest, WhatWasDroppedStaysHiddenWhenItsFileComesBack) {
  const SnapshotInfo one = taken("one", 1);
  taken("two", 2);
  const std::string path = "snapshots/" + one.hash.hex();
  const Bytes file = *read_whole(storage, path, 1 << 20);
  ASSERT_TRUE(history->drop(one.hash).ok());
  ASSERT_TRUE(write_whole(storage, path, file).ok());
  ASSERT_TRUE(history->refresh().ok());
  EXPECT_THAT(names("web"), ElementsAre("two"));
  ASSERT_TRUE(history->publish_base().ok());
  reopen();
  EXPECT_THAT(names("web"), ElementsAre("two"));
}

}  // namespace
}  // namespace varve
