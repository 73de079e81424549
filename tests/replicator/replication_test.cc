// Goal: many streams on real files send all of a store once, end when they are told to, go on from
// there in the next run, and answer whoever asks meanwhile; two never replicate to one remote.

#include "replicator/replication.h"

#include <filesystem>
#include <thread>

#include "dedup/base/posix_storage.h"
#include "tests/replicator/replication_world.h"
#include "tests/support/temporary_directory.h"

namespace varve {
namespace {

constexpr size_t kPacks = 60;
constexpr size_t kPackBytes = 300'000;

struct ReplicationTest : testing::Test {
  TemporaryDirectory scratch;
  std::unique_ptr<Storage> store = directory("store");
  std::unique_ptr<Storage> place = directory("remote");
  StoreMaker maker{*store};
  RemoteConfig remote{"offsite", scratch / "remote", {}, "", ""};

  ReplicationTest() {
    SeededRandom random(5);
    remote.replica = settle_remote(*place, *store, maker.config, random).value();
    EXPECT_TRUE(write_remote(*store, remote).ok());
    std::vector<PackInfo> rows;
    for (size_t i = 0; i < kPacks; i++) rows.push_back(maker.pack(kPackBytes + i));
    const FileHash list = maker.list({}, rows);
    maker.snapshot(list);
    maker.snapshot(list, SnapshotClass::kCheckpoint);
  }
  std::unique_ptr<Storage> directory(const std::string& name) const {
    std::filesystem::create_directory(scratch / name);
    return open_posix_storage(scratch / name).value();
  }
  Result<std::unique_ptr<Replication>> open(const ReplicationOptions& options = {}) {
    return Replication::open(scratch / "store", *store, maker.config, remote, options);
  }
};

TEST_F(ReplicationTest, ManyStreamsSendEverythingOnce) {
  const auto replication = open().value();
  std::atomic<bool> over{false};
  std::thread asks([&] {
    while (!over) {
      EXPECT_TRUE(replication->save_state().ok());
      EXPECT_FALSE(replication->state().stalled);
      EXPECT_TRUE(replication_standing(scratch / "store", *store, maker.config, remote).ok());
    }
  });
  const Result<void> done = replication->run_once();
  over = true;
  asks.join();
  ASSERT_TRUE(done.ok()) << done.error().message();
  EXPECT_TRUE(replication->complete());
  EXPECT_EQ(replication->state().phase, ReplicationState::Phase::kIdle);
  EXPECT_EQ(replication->state().figures.snapshots_sent, 2u);
  EXPECT_GE(replication->state().figures.bytes_sent, kPacks * kPackBytes);
  expect_good_store(*place, maker.config, "after the run");

  ASSERT_TRUE(replication->run_once().ok());
  EXPECT_EQ(replication->state().figures.files_sent, 0u);
  EXPECT_TRUE(replication->complete());
}

TEST_F(ReplicationTest, WhatIsStoppedGoesOnInTheNextRun) {
  ReplicationOptions slowly;
  slowly.limit = "8M";
  {
    const auto replication = open(slowly).value();
    std::thread stops([&] {
      while (replication->state().figures.bytes_sent < 3 * kPackBytes) std::this_thread::yield();
      replication->stop();
    });
    const Result<void> done = replication->run_once();
    stops.join();
    ASSERT_FALSE(done.ok());
    EXPECT_EQ(done.error().code(), Errc::kInterrupted);
    EXPECT_FALSE(replication->complete());
    expect_good_store(*place, maker.config, "after the stop");
  }
  const auto replication = open().value();
  const Result<void> done = replication->run_once();
  ASSERT_TRUE(done.ok()) << done.error().message();
  EXPECT_TRUE(replication->complete());
  EXPECT_LT(replication->state().figures.bytes_sent, kPacks * kPackBytes);
  expect_good_store(*place, maker.config, "after the next run");
}

TEST_F(ReplicationTest, ASecondOneForTheSameRemoteIsRefused) {
  const auto first = open().value();
  const auto second = open();
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), Errc::kBusy);
}

TEST_F(ReplicationTest, AnUnmountedRemoteIsAnErrorAndStaysEmpty) {
  std::filesystem::remove_all(scratch / "remote");
  std::filesystem::create_directory(scratch / "remote");
  const auto replication = open().value();
  ASSERT_FALSE(replication->run_once().ok());
  EXPECT_EQ(replication->state().phase, ReplicationState::Phase::kFailed);
  EXPECT_FALSE(replication->state().error.empty());
  EXPECT_TRUE(std::filesystem::is_empty(scratch / "remote"));
}

}  // namespace
}  // namespace varve
