// Goal: the small tables of the volume count right: who the kernel knows, how much is dirty, who
// may change and who must wait.
#include <gtest/gtest.h>

#include <atomic>
#include <shared_mutex>
#include <thread>

#include "dedup/disk_image.h"
#include "fs/barrier.h"
#include "fs/dirty_budget.h"
#include "fs/lookup_counts.h"
#include "fs/open_files.h"
#include "fs/prefetcher.h"

namespace varve {
namespace {

TEST(LookupCounts, AnOrphanGoesWithItsLastReference) {
  LookupCounts counts;
  counts.add(7);
  counts.add(7);
  EXPECT_FALSE(counts.orphaned(7));
  EXPECT_FALSE(counts.forget(7, 1));
  EXPECT_TRUE(counts.forget(7, 1));
  EXPECT_TRUE(counts.orphaned(8));  // nobody knew it
}

TEST(LookupCounts, AFileThatIsNamedAgainStays) {
  LookupCounts counts;
  counts.add(7);
  EXPECT_FALSE(counts.orphaned(7));
  counts.named(7);
  EXPECT_FALSE(counts.forget(7, 5));  // more than there were
  EXPECT_EQ(counts.size(), 0u);
}

TEST(LookupCounts, KnowsFilesBySet) {
  LookupCounts counts;
  counts.add(make_ino(1, 5));
  counts.add(make_ino(2, 5));
  EXPECT_EQ(counts.known(2), std::vector<Ino>{make_ino(2, 5)});
}

TEST(DirtyBudget, LetsWritersWaitUntilThereIsRoom) {
  DirtyBudget budget(100);
  budget.change(0, 150);
  EXPECT_FALSE(budget.wait_for_room(0));
  std::thread writer([&] { EXPECT_TRUE(budget.wait_for_room(3'600'000)); });
  budget.change(150, 90);
  writer.join();
  EXPECT_TRUE(budget.pressing());
}

TEST(Barrier, AMomentIsAlone) {
  Barrier barrier;
  std::atomic<int> changing = 0;
  std::atomic<bool> stop = false, moment = false, mixed = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; i++) {
    threads.emplace_back([&] {
      while (!stop) {
        std::shared_lock lock(barrier);
        changing++;
        if (moment) mixed = true;
        changing--;
      }
    });
  }
  for (int i = 0; i < 200; i++) {
    std::lock_guard lock(barrier);
    moment = true;
    if (changing != 0) mixed = true;
    moment = false;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(mixed);
}

TEST(OpenFiles, AStateLivesAsLongAsSomebodyHoldsItOrItHasWork) {
  OpenFiles files;
  {
    FileRef first = files.get(3);
    FileRef second = files.get(3);
    EXPECT_EQ(&*first, &*second);
    first.reset();
    EXPECT_EQ(files.size(), 1u);
    second->dirty.write(0, as_bytes("x"));
  }
  EXPECT_EQ(files.size(), 1u);
  {
    FileRef again = files.find(3);
    ASSERT_TRUE(again);
    again->dirty.erase(0, 1);
  }
  EXPECT_EQ(files.size(), 0u);
  EXPECT_FALSE(files.find(3));
}

TEST(Prefetcher, ReadsAheadOfSequentialReadersOnly) {
  Prefetcher forward, random;
  EXPECT_FALSE(forward.after_read(0, 1000));
  std::optional<FileRange> ahead = forward.after_read(1000, 2000);
  ASSERT_TRUE(ahead);
  EXPECT_EQ(ahead->from, 2000u);
  EXPECT_FALSE(forward.after_read(2000, 3000));  // that far it was asked for already
  for (uint64_t at : {uint64_t{90} << 20, uint64_t{10} << 20, uint64_t{50} << 20})
    EXPECT_FALSE(random.after_read(at, at + 4096));
}

TEST(DiskImage, IsKnownByItsFirstBytes) {
  Bytes head(128 << 10, 0);
  EXPECT_FALSE(looks_like_disk_image(head));
  head[510] = 0x55;
  head[511] = 0xaa;
  EXPECT_TRUE(looks_like_disk_image(head));
  EXPECT_FALSE(looks_like_disk_image(ByteView(head).first(512)));
}

}  // namespace
}  // namespace varve
