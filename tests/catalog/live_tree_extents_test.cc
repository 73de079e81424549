// Goal: a large file is shortened, released and erased in pieces, and takes no extents that do not
// fit.
#include <gtest/gtest.h>

#include "catalog/live_tree.h"
#include "dedup/base/limits.h"
#include "tests/catalog/live_tree_world.h"

namespace varve {
namespace {

class LargeFile : public LiveTreeTest {
 protected:
  static constexpr uint64_t kCount = 10'000, kLength = 100;
  LargeFile() {
    file_ = make(set_, "file");
    LiveTree::ContentChange change;
    change.to = kCount * kLength;
    for (uint64_t i = 0; i < kCount; i++) {
      change.extents.push_back(
          {.offset = i * kLength, .length = kLength, .chunk = {}, .chunk_offset = 0});
    }
    EXPECT_TRUE(tree_->change_content(file_, change).ok());
  }
  Result<Inode> resize(uint64_t size) {
    LiveTree::ContentChange change;
    change.size = size;
    return tree_->change_content(file_, change);
  }
  Ino file_ = 0;
};

TEST_F(LargeFile, IsShortenedAtOnceAndErasedInPieces) {
  EXPECT_EQ(resize(150)->allocated, 150u);
  EXPECT_GT(rows('e'), 9000u);
  EXPECT_EQ(tree_->extents(file_, 0, UINT64_MAX)->size(), 2u);
  EXPECT_TRUE(tree_->erase_garbage(1000).value());
  // Growing again must show zeros, not what was there.
  EXPECT_EQ(resize(kCount * kLength)->allocated, 150u);
  EXPECT_EQ(rows('e'), 2u);
  EXPECT_EQ(rows('f'), 0u);
  EXPECT_EQ(tree_->extents(file_, 0, UINT64_MAX)->size(), 2u);
  EXPECT_FALSE(tree_->erase_garbage(1000).value());
}

TEST_F(LargeFile, IsErasedWithItsSet) {
  ASSERT_TRUE(tree_->unlink(set_, "file").ok());
  ASSERT_TRUE(tree_->release(file_).ok());
  const std::string name = tree_->set(set_of(set_))->row.name;
  ASSERT_TRUE(tree_->remove_directory(kRootIno, name).ok());
  for (bool more = true; more;) {
    Result<bool> erased = tree_->erase_garbage(1000);
    ASSERT_TRUE(erased.ok()) << erased.error().message();
    more = *erased;
  }
  EXPECT_EQ(rows('e'), 0u);
}

TEST_F(LargeFile, IsReleasedInPieces) {
  ASSERT_TRUE(tree_->unlink(set_, "file").ok());
  ASSERT_TRUE(tree_->release(file_).ok());
  EXPECT_EQ(failure(tree_->inode(file_)), Errc::kStale);
  EXPECT_GT(rows('e'), 0u);
  tree_ = LiveTree::open(kv_, nullptr, clock_, random_).value();  // garbage is remembered
  while (tree_->erase_garbage(1000).value()) {
  }
  EXPECT_EQ(rows('e'), 0u);
  EXPECT_EQ(rows('f'), 0u);
  EXPECT_EQ(tree_->figures().logical_bytes, 0u);
}

TEST_F(LargeFile, RefusesExtentsThatDoNotFit) {
  LiveTree::ContentChange change;
  change.to = 100;
  change.extents.push_back({.offset = 50, .length = 51, .chunk = {}, .chunk_offset = 0});
  EXPECT_EQ(failure(tree_->change_content(file_, change)), Errc::kInvalid);
  change.to = 8 * kMiB;
  change.extents[0].length = kChunkBytesMax + 1;
  EXPECT_EQ(failure(tree_->change_content(file_, change)), Errc::kInvalid);
  EXPECT_EQ(failure(tree_->change_content(set_, LiveTree::ContentChange())), Errc::kIsDirectory);
}

}  // namespace
}  // namespace varve
