// Goal: what is given to helpers is done, as many at once as may be, in place of those that wait,
// and nothing that was given is left behind at the end.
#include "fs/fuse_helpers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

namespace varve {
namespace {

class FuseHelpersTest : public testing::Test {
 protected:
  void TearDown() override { end(); }
  void end() {
    helpers_.stop();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  // Work that goes on until it is let go.
  FuseHelpers::Work work() {
    return [this] {
      begun_++;
      begun_.notify_all();
      go_on_.wait(false);
      done_++;
    };
  }
  void await_begun(int count) {
    for (int now = begun_; now < count; now = begun_) begun_.wait(now);
  }
  void let_go() {
    go_on_ = true;
    go_on_.notify_all();
  }

  std::vector<std::thread> threads_;
  std::atomic<int> begun_{0}, done_{0};
  std::atomic<bool> go_on_{false};
  FuseHelpers helpers_{2, [this] { threads_.emplace_back([this] { helpers_.serve(); }); }};
};

TEST_F(FuseHelpersTest, BeginAsManyAsMayBe) {
  for (int i = 0; i < 5; i++) helpers_.add(work());
  await_begun(2);
  EXPECT_EQ(begun_, 2);
  EXPECT_LE(threads_.size(), 3u);
  let_go();
  await_begun(5);
  end();
  EXPECT_EQ(done_, 5);
}

TEST_F(FuseHelpersTest, BeginUrgentWorkAtOnce) {
  for (int i = 0; i < 4; i++) helpers_.add(work());
  await_begun(2);
  helpers_.add_urgent(work());
  await_begun(3);
  let_go();
}

TEST_F(FuseHelpersTest, WorkInPlaceOfThoseThatWait) {
  helpers_.add([this] {
    helpers_.wait_begins();
    work()();
    helpers_.wait_ends();
  });
  helpers_.add(work());
  helpers_.add(work());
  await_begun(3);
  let_go();
}

TEST_F(FuseHelpersTest, DoAtTheEndWhatWasGiven) {
  for (int i = 0; i < 20; i++) helpers_.add(work());
  await_begun(2);
  helpers_.stop();
  let_go();
  end();
  EXPECT_EQ(done_, 20);
}

}  // namespace
}  // namespace varve
