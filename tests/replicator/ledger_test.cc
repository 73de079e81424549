// Goal: the ledger remembers what it was told and had saved, and rows that were torn or changed are
// passed over, never believed.

#include "replicator/ledger.h"

#include <gtest/gtest.h>

#include "tests/replicator/replication_world.h"

namespace varve {
namespace {

constexpr const char* kPath = "local/replication/x/ledger";

struct LedgerTest : testing::Test {
  SimulatedStorage storage;
  std::unique_ptr<ReplicationLedger> ledger = open();
  const StoreFile pack{FileClass::kPack, filled_id<FileHash>(1)};
  const StoreFile checkpoint{FileClass::kSnapshot, filled_id<FileHash>(2)};

  std::unique_ptr<ReplicationLedger> open() {
    return ReplicationLedger::open(storage, kPath).value();
  }
  void reopen() {
    ASSERT_TRUE(ledger->save().ok());
    ledger = open();
  }
  std::string text() { return std::string(as_text(read_whole(storage, kPath, 1 << 20).value())); }
};

TEST_F(LedgerTest, EverythingComesBack) {
  ledger->note_visit_begun({1, "aa"});
  ledger->note_visit_acknowledged({1, "aa"});
  ledger->note_visit_begun({2, "bb"});
  ledger->note_there(pack, {77, std::nullopt});
  ledger->note_there(checkpoint, {5, CheckpointOf{filled_id<WriterId>(3), 12}});
  ledger->note_block(filled_id<FileHash>(4), 0, 1);
  ledger->note_block(filled_id<FileHash>(4), 7, UINT64_MAX);
  ledger->note_complete(1234);
  reopen();
  EXPECT_TRUE(ledger->is_there(pack));
  EXPECT_FALSE(ledger->is_there({FileClass::kCatalogPack, pack.hash}));
  ASSERT_EQ(ledger->checkpoints_there().size(), 1u);
  EXPECT_EQ(ledger->checkpoints_there()[0].second.checkpoint->sequence, 12u);
  EXPECT_EQ(ledger->blocks_of(filled_id<FileHash>(4)),
            (ReplicationLedger::Blocks{{0, 1}, {7, UINT64_MAX}}));
  EXPECT_EQ(ledger->visits(), (std::vector<Visit>{{1, "aa"}, {2, "bb"}}));
  EXPECT_EQ(ledger->last_complete(), 1234);
  ledger->note_gone(checkpoint);
  ledger->note_no_blocks(filled_id<FileHash>(4));
  reopen();
  EXPECT_FALSE(ledger->is_there(checkpoint));
  EXPECT_TRUE(ledger->blocks_of(filled_id<FileHash>(4)).empty());
  ledger->forget_files();
  reopen();
  EXPECT_EQ(ledger->files_there(), 0u);
  EXPECT_EQ(ledger->visits().size(), 2u);
}

TEST_F(LedgerTest, WhatWasCondemnedIsNotThereUntilItIsAgain) {
  ledger->note_there(pack, {77, std::nullopt});
  ledger->note_condemned(pack);
  ledger->note_condemned(checkpoint);
  ledger->note_log_position({120, 40, 7});
  reopen();
  EXPECT_FALSE(ledger->is_there(pack));
  EXPECT_TRUE(ledger->is_condemned(pack));
  EXPECT_EQ(ledger->log_position(), (LogPosition{120, 40, 7}));
  ledger->note_there(pack, {77, std::nullopt});
  ledger->note_returned(checkpoint);
  reopen();
  EXPECT_FALSE(ledger->any_condemned());
  EXPECT_TRUE(ledger->is_there(pack));
  EXPECT_FALSE(ledger->is_there(checkpoint));
  ledger->note_condemned(pack);
  ledger->forget_files();
  reopen();
  EXPECT_TRUE(ledger->is_condemned(pack)) << "what was said there stays said";
  ledger->note_log_position({});
  reopen();
  EXPECT_FALSE(ledger->any_condemned());
}

TEST_F(LedgerTest, AChangedByteCostsARowAndNothingElse) {
  ledger->note_there(pack, {77, std::nullopt});
  ledger->note_there(checkpoint, {5, std::nullopt});
  ASSERT_TRUE(ledger->save().ok());
  const std::string good = text();
  const size_t first_row = good.find('\n');
  for (size_t at = 0; at < good.size(); at++) {
    std::string bad = good;
    bad[at] = bad[at] == 'x' ? 'y' : 'x';
    ASSERT_TRUE(write_whole(storage, kPath, as_bytes(bad)).ok());
    ledger = open();
    const bool both = at == first_row;  // two rows became one
    EXPECT_EQ(ledger->files_there(), both ? 0u : 1u) << at;
    EXPECT_EQ(ledger->is_there(pack), !both && at > first_row) << at;
  }
}

TEST_F(LedgerTest, GoesOnBehindARowThatWasCutOff) {
  ledger->note_there(pack, {77, std::nullopt});
  ASSERT_TRUE(ledger->save().ok());
  const std::string good = text();
  for (size_t length = 0; length < good.size(); length++) {
    ASSERT_TRUE(write_whole(storage, kPath, as_bytes(good.substr(0, length))).ok());
    ledger = open();
    // Without its end of line the row is whole already.
    EXPECT_EQ(ledger->is_there(pack), length + 1 == good.size());
    ledger->note_there(checkpoint, {5, std::nullopt});
    reopen();
    EXPECT_TRUE(ledger->is_there(checkpoint)) << length;
  }
}

TEST_F(LedgerTest, IsWrittenAnewWhenMostOfItIsOutOfDate) {
  for (int i = 0; i < 20'000; i++) ledger->note_block(pack.hash, static_cast<uint32_t>(i), 1);
  ledger->note_there(pack, {77, std::nullopt});
  ledger->note_visit_acknowledged({9, "cc"});
  reopen();
  EXPECT_LT(text().size(), 1000u);
  reopen();
  EXPECT_TRUE(ledger->is_there(pack));
  EXPECT_EQ(ledger->visits(), (std::vector<Visit>{{9, "cc"}}));
}

TEST_F(LedgerTest, AfterAFailedSaveNothingIsSavedAnyMore) {
  storage.fail_sync(1);
  ledger->note_there(pack, {77, std::nullopt});
  EXPECT_FALSE(ledger->save().ok());
  EXPECT_FALSE(ledger->save().ok());
}

TEST_F(LedgerTest, WhoOnlyLooksMakesNothing) {
  SimulatedStorage empty;
  EXPECT_EQ(ReplicationLedger::read(empty, kPath).value()->files_there(), 0u);
  EXPECT_TRUE(empty.files().empty());
}

}  // namespace
}  // namespace varve
