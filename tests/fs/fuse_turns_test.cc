// Goal: one thread at a time waits for the kernel; the others are called when requests queue up or
// all that work take long; all end.
#include "fs/fuse_turns.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>
#include <vector>

namespace varve {
namespace {

TEST(FuseTurns, LetOneWaitAtATime) {
  FuseTurns turns;
  std::atomic<int> waiting{0}, most{0}, rounds{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&] {
      while (turns.take()) {
        most = std::max(most.load(), ++waiting);
        std::this_thread::yield();
        --waiting;
        turns.give_back(true);
        if (++rounds == 1000) turns.stop();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(most, 1);
  EXPECT_GE(rounds, 1000);
}

// The thread that has the turn gives it back and then does not come again before another one has
// had it.
void hand_over(bool more, bool watched) {
  FuseTurns turns;
  std::thread watch;
  if (watched) watch = std::thread([&] { turns.watch(); });
  ASSERT_TRUE(turns.take());
  std::promise<void> taken;
  std::thread other([&] {
    EXPECT_TRUE(turns.take());
    taken.set_value();
    turns.give_back(false);
  });
  turns.give_back(more);
  taken.get_future().wait();
  other.join();
  turns.stop();
  if (watch.joinable()) watch.join();
}

TEST(FuseTurns, CallAnotherWhenThereIsMore) {
  hand_over(true, false);
}

TEST(FuseTurns, CallAnotherWhenARequestTakesLong) {
  hand_over(false, true);
}

TEST(FuseTurns, HaveASubstituteServeInPlaceOfOneThatWaitsForARemote) {
  FuseTurns turns;
  std::thread watch([&] { turns.watch(); });
  std::atomic<int> served{0};
  std::thread substitute([&] {
    while (turns.take_place()) {
      served++;
      turns.give_back(false);
      turns.leave_place();
      std::this_thread::yield();
    }
  });
  ASSERT_TRUE(turns.take());
  turns.give_back(true);
  EXPECT_EQ(served, 0) << "nobody waits for a remote";
  turns.wait_begins();
  while (served < 3) std::this_thread::yield();
  turns.wait_ends();
  ASSERT_TRUE(turns.take());  // the substitute leaves the turn to who has its place again
  turns.give_back(false);
  turns.stop();
  substitute.join();
  watch.join();
}

TEST(FuseTurns, EndThreadsThatRest) {
  FuseTurns turns;
  std::thread watch([&] { turns.watch(); });
  ASSERT_TRUE(turns.take());
  std::thread resting([&] { EXPECT_FALSE(turns.take()); });
  turns.stop();
  resting.join();
  watch.join();
  EXPECT_FALSE(turns.take());
}

}  // namespace
}  // namespace varve
