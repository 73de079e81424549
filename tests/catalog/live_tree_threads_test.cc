// Goal: calls from many threads, with commits between them, leave a tree that is whole; under the
// thread sanitizer, without a race.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "catalog/live_tree.h"
#include "tests/support/simulated_kv.h"
#include "tests/support/simulation.h"

namespace varve {
namespace {

TEST(LiveTreeThreads, CallsAndCommits) {
  constexpr int kThreads = 4, kFiles = 150;
  SimulatedKv base;
  StagedKv kv(base);
  SimulatedClock clock;
  SeededRandom random(1);
  auto tree = LiveTree::open(kv, nullptr, clock, random).value();
  NewFile directory;
  directory.type = FileType::kDirectory;
  Ino set = tree->create(kRootIno, "set", directory)->ino;

  std::atomic<bool> done = false;
  std::thread committing([&] {
    while (!done) {
      EXPECT_TRUE(tree->exclusively([&]() -> Result<void> {
                        tree->next_generation();
                        kv.freeze();
                        return {};
                      })
                      .ok());
      EXPECT_TRUE(kv.commit_frozen({}).ok());
      std::this_thread::yield();
    }
  });
  std::thread listing([&] {
    while (!done) {
      uint64_t last = 0;
      EXPECT_TRUE(tree->list(set, 0,
                             [&](const LiveTree::Listed& entry) {
                               EXPECT_GT(entry.cookie, last);
                               last = entry.cookie;
                               return true;
                             })
                      .ok());
    }
  });
  std::vector<std::thread> working;
  for (int thread = 0; thread < kThreads; thread++) {
    working.emplace_back([&, thread] {
      std::string prefix = std::to_string(thread) + "-";
      for (int i = 0; i < kFiles; i++) {
        std::string name = prefix + std::to_string(i);
        Ino ino = tree->create(set, name, NewFile()).value().ino;
        LiveTree::ContentChange change;
        change.to = 100;
        change.extents.push_back({.offset = 0, .length = 100, .chunk = {}, .chunk_offset = 0});
        EXPECT_TRUE(tree->change_content(ino, change).ok());
        EXPECT_EQ(tree->lookup(set, name)->ino, ino);
        if (i % 3 == 0) {
          EXPECT_TRUE(tree->unlink(set, name).ok());
          EXPECT_TRUE(tree->release(ino).ok());
        } else if (i % 3 == 1) {
          EXPECT_TRUE(
              tree->rename(set, name, set, name + "x", LiveTree::RenameMode::kReplace).ok());
        }
      }
    });
  }
  for (std::thread& thread : working) thread.join();
  done = true;
  committing.join();
  listing.join();
  EXPECT_EQ(tree->figures().files, 2u + kThreads * kFiles * 2 / 3);
  EXPECT_EQ(tree->figures().logical_bytes, 100u * kThreads * kFiles * 2 / 3);
}

}  // namespace
}  // namespace varve
