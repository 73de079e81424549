// Goal: readers see active over frozen over base, whatever is committed, given up or fails
// meanwhile, and nothing staged is lost.
#include "catalog/staged_kv.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/simulated_kv.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

using Rows = SimulatedKv::Map;

Rows scan_all(const StagedKv& kv, std::string_view from = "", std::string_view to = "\xff") {
  Rows rows;
  std::string last;
  EXPECT_TRUE(kv.scan(from.empty() ? std::string_view("\0", 1) : from, to,
                      [&](std::string_view key, std::string_view value) {
                        EXPECT_LT(last, key);
                        last = key;
                        rows.emplace(key, value);
                        return true;
                      })
                  .ok());
  return rows;
}

KvBatch batch_of(std::initializer_list<KvBatch::value_type> rows) {
  return KvBatch(rows);
}

TEST(StagedKv, NewestLayerWins) {
  SimulatedKv base;
  ASSERT_TRUE(base.commit(batch_of({{"a", "base"}, {"b", "base"}, {"c", "base"}})).ok());
  StagedKv kv(base);
  kv.apply(batch_of({{"b", "frozen"}, {"c", std::nullopt}, {"d", "frozen"}}));
  ASSERT_TRUE(kv.freeze());
  kv.apply(batch_of({{"c", "active"}, {"d", std::nullopt}, {"e", "active"}}));
  EXPECT_EQ(scan_all(kv), (Rows{{"a", "base"}, {"b", "frozen"}, {"c", "active"}, {"e", "active"}}));
  EXPECT_EQ(kv.get("b").value(), "frozen");
  EXPECT_EQ(kv.get("d").value(), std::nullopt);
  EXPECT_EQ(scan_all(kv, "b", "d"), (Rows{{"b", "frozen"}, {"c", "active"}}));
  EXPECT_EQ(scan_all(kv, "d", "b"), Rows());
  ASSERT_TRUE(kv.commit_frozen(batch_of({{"z", "extra"}})).ok());
  EXPECT_EQ(base.contents(),
            (Rows{{"a", "base"}, {"b", "frozen"}, {"d", "frozen"}, {"z", "extra"}}));
  EXPECT_EQ(kv.get("d").value(), std::nullopt);
}

TEST(StagedKv, NothingToFreeze) {
  SimulatedKv base;
  StagedKv kv(base);
  EXPECT_FALSE(kv.freeze());
  EXPECT_TRUE(kv.commit_frozen({}).ok());
  EXPECT_TRUE(kv.commit_frozen(batch_of({{"p", "extra"}})).ok());
  EXPECT_EQ(base.contents(), (Rows{{"p", "extra"}}));
}

TEST(StagedKv, FailedCommitLosesNothing) {
  SimulatedKv base;
  StagedKv kv(base);
  kv.apply(batch_of({{"a", "1"}, {"b", "1"}}));
  ASSERT_TRUE(kv.freeze());
  kv.apply(batch_of({{"b", "2"}}));
  base.fail_commit(1, Errc::kNoSpace);
  EXPECT_EQ(kv.commit_frozen(batch_of({{"p", "extra"}})).error().code(), Errc::kNoSpace);
  EXPECT_TRUE(base.contents().empty());
  EXPECT_EQ(scan_all(kv), (Rows{{"a", "1"}, {"b", "2"}, {"p", "extra"}}));
  ASSERT_TRUE(kv.freeze());
  ASSERT_TRUE(kv.commit_frozen({}).ok());
  EXPECT_EQ(base.contents(), (Rows{{"a", "1"}, {"b", "2"}, {"p", "extra"}}));
  EXPECT_EQ(kv.staged_bytes(), 0u);
}

TEST(StagedKv, StopsWhereTheVisitorSays) {
  SimulatedKv base;
  ASSERT_TRUE(base.commit(batch_of({{"a", "1"}, {"c", "1"}})).ok());
  StagedKv kv(base);
  kv.apply(batch_of({{"b", "2"}, {"d", "2"}}));
  std::string seen;
  ASSERT_TRUE(kv.scan("a", "z", [&](std::string_view key, std::string_view) {
                  seen += key;
                  return key < "b";
                }).ok());
  EXPECT_EQ(seen, "ab");
}

TEST(StagedKv, AgreesWithAMap) {
  std::mt19937_64 random(test_seed());
  SimulatedKv base;
  StagedKv kv(base);
  Rows model;
  bool frozen = false;
  for (int step = 0; step < 5000; step++) {
    KvBatch batch;
    for (size_t i = random() % 4; i > 0; i--) {
      std::string key(1 + random() % 2, static_cast<char>('a' + random() % 12));
      std::optional<std::string> value;
      if (random() % 3 != 0) value = std::to_string(random() % 1000);
      if (value) model[key] = *value;
      if (!value) model.erase(key);
      batch.insert_or_assign(key, value);
    }
    kv.apply(std::move(batch));
    if (!frozen && random() % 8 == 0) frozen = kv.freeze();
    if (frozen && random() % 8 == 0) {
      if (random() % 3 == 0) base.fail_commit(1, Errc::kIo);
      if (random() % 4 == 0) {
        kv.thaw();
      } else {
        (void)kv.commit_frozen({}).ok();
      }
      frozen = false;
    }
    ASSERT_EQ(scan_all(kv), model) << "step " << step;
    std::string key(1 + random() % 2, static_cast<char>('a' + random() % 12));
    auto found = model.find(key);
    ASSERT_EQ(kv.get(key).value(),
              found == model.end() ? std::nullopt : std::optional(found->second));
  }
  while (kv.freeze()) (void)kv.commit_frozen({}).ok();
  EXPECT_EQ(base.contents(), model);
  EXPECT_EQ(kv.staged_bytes(), 0u);
}

}  // namespace
}  // namespace varve
