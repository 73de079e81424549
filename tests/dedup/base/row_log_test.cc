// Goal: what was saved comes back row by row in order, nothing that was changed or torn does, and a
// log that is written anew is the old one or the new one whatever happens.
#include "dedup/base/row_log.h"

#include <gtest/gtest.h>

#include "tests/support/simulated_storage.h"

namespace varve {
namespace {

constexpr const char* kPath = "folder/log";
using LoggedRows = std::vector<std::string>;

class RowLogTest : public testing::Test {
 protected:
  std::unique_ptr<RowLog> open() {
    seen_.clear();
    return RowLog::open(storage_, kPath, take()).value();
  }
  RowLog::Take take() {
    return [this](std::string_view row) {
      seen_.emplace_back(row);
      return row != "nonsense";
    };
  }
  std::string text() { return std::string(as_text(read_whole(storage_, kPath, 1 << 20).value())); }

  SimulatedStorage storage_;
  LoggedRows seen_;
};

TEST_F(RowLogTest, GivesBackWhatWasSaved) {
  auto log = open();
  log->append("one");
  log->append("two words");
  EXPECT_GT(log->unsaved_bytes(), 0u);
  ASSERT_TRUE(log->save().ok());
  EXPECT_EQ(log->unsaved_bytes(), 0u);
  log->append("not saved");
  log = open();
  EXPECT_EQ(seen_, (LoggedRows{"one", "two words"}));
  EXPECT_EQ(log->rows(), 2u);
}

TEST_F(RowLogTest, RowsThatMakeNoSenseAreNotCounted) {
  auto log = open();
  log->append("nonsense");
  ASSERT_TRUE(log->save().ok());
  EXPECT_EQ(open()->rows(), 0u);
}

TEST_F(RowLogTest, WhatIsSavedSurvivesThePowerAndWhatIsTornIsPassedOver) {
  for (uint64_t seed = 0; seed < 200; seed++) {
    storage_.remove_all("folder");
    auto log = open();
    log->append("kept");
    ASSERT_TRUE(log->save().ok());
    storage_.fail_sync(1);
    log->append("lost, or not");
    EXPECT_FALSE(log->save().ok());
    log->append("after");
    EXPECT_FALSE(log->save().ok()) << "for good";
    storage_.power_cut(seed);
    log = open();
    ASSERT_GE(seen_.size(), 1u);
    EXPECT_EQ(seen_[0], "kept");
    for (size_t i = 1; i < seen_.size(); i++) EXPECT_EQ(seen_[i], "lost, or not");
    log->append("next");
    ASSERT_TRUE(log->save().ok());
    open();
    EXPECT_EQ(seen_.back(), "next");
  }
}

TEST_F(RowLogTest, IsReplacedAsAWhole) {
  for (uint64_t seed = 0; seed < 100; seed++) {
    storage_.remove_all("folder");
    auto log = open();
    for (int i = 0; i < 10; i++) log->append("old");
    ASSERT_TRUE(log->save().ok());
    log->append("goes with the old ones");
    if (seed % 2 == 1) storage_.fail_sync(1 + seed / 2 % 2);  // of the file, of its name
    const bool replaced = log->replace({"new"}).ok();
    if (replaced) {
      log->append("behind");
      ASSERT_TRUE(log->save().ok());
    }
    storage_.power_cut(seed);
    open();
    if (replaced) {
      EXPECT_EQ(seen_, (LoggedRows{"new", "behind"}));
    } else {
      EXPECT_TRUE(seen_ == LoggedRows(10, "old") || seen_ == LoggedRows{"new"}) << seed;
    }
  }
}

TEST_F(RowLogTest, WhoOnlyLooksMakesNothing) {
  auto log = RowLog::read(storage_, kPath, take()).value();
  EXPECT_TRUE(storage_.files().empty());
  log->append("row");
  EXPECT_EQ(log->save().error().code(), Errc::kReadOnly);
}

}  // namespace
}  // namespace varve
