// Goal: sets come and go, stubs unfold when asked for, and a set comes from history.
#include <gtest/gtest.h>

#include "catalog/live_tree.h"
#include "dedup/base/limits.h"
#include "tests/catalog/live_tree_world.h"

namespace varve {
namespace {

TEST_F(LiveTreeTest, SetsComeAndGo) {
  SetId id = tree_->set_named("set")->row.id;
  uint32_t number = set_of(set_);
  Ino file = make(set_, "file"), other = make(kRootIno, "other", FileType::kDirectory),
      plain = make(kRootIno, "plain");
  EXPECT_EQ(tree_->inode(kRootIno)->links, 4u);
  EXPECT_EQ(failure(tree_->link(file, other, "x")), Errc::kCrossDevice);
  EXPECT_EQ(failure(tree_->rename(kRootIno, "plain", set_, "x", LiveTree::RenameMode::kReplace)),
            Errc::kCrossDevice);
  EXPECT_EQ(failure(tree_->rename(kRootIno, "other", set_, "x", LiveTree::RenameMode::kReplace)),
            Errc::kCrossDevice);
  EXPECT_EQ(set_of(plain), kRootSet);
  ASSERT_TRUE(
      tree_->rename(kRootIno, "set", kRootIno, "renamed", LiveTree::RenameMode::kReplace).ok());
  EXPECT_EQ(tree_->set_named("renamed")->row.id, id);
  EXPECT_FALSE(tree_->set_named("set"));
  EXPECT_EQ(failure(tree_->remove_directory(kRootIno, "renamed")), Errc::kNotEmpty);
  ASSERT_TRUE(tree_->unlink(set_, "file").ok());
  ASSERT_TRUE(tree_->remove_directory(kRootIno, "renamed").ok());
  EXPECT_EQ(failure(tree_->inode(file)), Errc::kStale);
  EXPECT_TRUE(tree_->release(file).ok());
  EXPECT_TRUE(tree_->set(number)->row.removed);
  Ino again = make(kRootIno, "renamed", FileType::kDirectory);
  EXPECT_EQ(set_of(again), number);
  EXPECT_EQ(tree_->set_named("renamed")->row.id, id);
  EXPECT_NE(make(again, "new"), file);
  while (tree_->erase_garbage(3).value()) {
  }
  EXPECT_EQ(rows('o'), 0u);
  EXPECT_EQ(names(kRootIno), (std::vector<std::string>{"other", "plain", "renamed"}));
}

TEST_F(LiveTreeTest, RenameReplacesAnEmptySet) {
  make(set_, "file");
  make(kRootIno, "empty", FileType::kDirectory);
  EXPECT_EQ(
      failure(tree_->rename(kRootIno, "empty", kRootIno, "set", LiveTree::RenameMode::kReplace)),
      Errc::kNotEmpty);
  auto renamed = tree_->rename(kRootIno, "set", kRootIno, "empty", LiveTree::RenameMode::kReplace);
  ASSERT_TRUE(renamed.ok() && renamed->replaced);
  EXPECT_EQ(tree_->set_named("empty")->number, set_of(set_));
  EXPECT_EQ(tree_->inode(kRootIno)->links, 3u);
  EXPECT_EQ(names(set_), std::vector<std::string>{"file"});
}

TEST_F(LiveTreeTest, RowsThatOthersChangeInsideExclusivelyAreSeen) {
  ASSERT_TRUE(tree_
                  ->exclusively([&]() -> Result<void> {
                    SetRow row = VARVE_TRY(decode_set(*VARVE_TRY(kv_.get(key::set(set_of(set_))))));
                    row.links = ref_of(9);
                    KvBatch batch;
                    batch.emplace(key::set(set_of(set_)), encode(row));
                    kv_.apply(std::move(batch));
                    return {};
                  })
                  .ok());
  EXPECT_TRUE(tree_->set(set_of(set_))->row.links);
}

TEST_F(LiveTreeTest, StubUnfoldsOneLevelWhenAskedFor) {
  auto directory = FakeUnfolder::child("sub", 7, FileType::kDirectory);
  directory.below = ref_of(2);
  auto linked = FakeUnfolder::child("linked", 8, FileType::kFile);
  linked.linked = true;
  linked.inode.links = 2;
  auto big = FakeUnfolder::child("big", 9, FileType::kFile);
  big.below = ref_of(3);
  big.inode.size = 300;
  auto link = FakeUnfolder::child("symlink", 10, FileType::kSymlink);
  link.target = "there";
  unfolder_.directories[ref_of(1).id] = {big, linked, directory, link};
  unfolder_.directories[ref_of(2).id] = {linked,
                                         FakeUnfolder::child("deeper", 11, FileType::kDirectory)};
  unfolder_.files[ref_of(3).id] = {
      Extent{.offset = 100, .length = 50, .chunk = ref_of(5).id, .chunk_offset = 0}};
  make(set_, "old");
  uint32_t old_tree = tree_number(set_);
  ASSERT_TRUE(
      tree_->replace_tree(set_of(set_), Inode(), {{"user.top", "1"}}, ref_of(1), ref_of(4), 5000)
          .ok());
  next_generation();
  EXPECT_NE(tree_number(set_), old_tree);
  EXPECT_EQ(tree_->xattr(set_, "user.top").value(), "1");
  EXPECT_EQ(unfolder_.calls, 0);

  EXPECT_EQ(failure(tree_->lookup(set_, "old")), Errc::kNotFound);
  EXPECT_EQ(unfolder_.calls, 1);
  EXPECT_EQ(names(set_), (std::vector<std::string>{"big", "linked", "sub", "symlink"}));
  EXPECT_EQ(tree_->inode(set_)->links, 3u);
  EXPECT_EQ(tree_->read_link(make_ino(set_of(set_), 10)).value(), "there");
  EXPECT_EQ(kv_.get(key::clean(tree_number(set_), kTopNumber)).value(), encode(ref_of(1)));

  Ino shared = make_ino(set_of(set_), 8);
  AttributeChange change;
  change.permissions = 0600;
  ASSERT_TRUE(tree_->change(shared, change).ok());
  Ino sub = make_ino(set_of(set_), 7);
  EXPECT_EQ(tree_->inode(sub)->links, 1u);  // not known yet
  EXPECT_EQ(failure(tree_->remove_directory(set_, "sub")), Errc::kNotEmpty);
  EXPECT_EQ(unfolder_.calls, 1);
  EXPECT_EQ(tree_->lookup(sub, "linked")->inode.permissions, 0600)
      << "a change of a linked file was undone";
  EXPECT_EQ(tree_->inode(sub)->links, 3u);
  EXPECT_EQ(tree_->parent(sub).value(), set_);
  EXPECT_FALSE(is_marked(sub)) << "unfolding is no change";

  Ino file = make_ino(set_of(set_), 9);
  EXPECT_EQ(tree_->extents(file, 0, 300)->size(), 1u);
  EXPECT_EQ(tree_->inode(file)->allocated, 50u);
  EXPECT_TRUE(kv_.get(key::clean(tree_number(set_), 9)).value());
  next_generation();
  LiveTree::ContentChange content;
  content.size = 120;
  ASSERT_TRUE(tree_->change_content(file, content).ok());
  EXPECT_FALSE(kv_.get(key::clean(tree_number(set_), 9)).value());
  EXPECT_EQ(tree_->extents(file, 0, 300)->front().length, 20u);
  EXPECT_GE(number_of(make(sub, "new")), 5000u);
  while (tree_->erase_garbage(2).value()) {
  }
  EXPECT_EQ(rows('g'), 0u);
}

TEST_F(LiveTreeTest, StubThatCannotBeReadChangesNothing) {
  ASSERT_TRUE(tree_->replace_tree(set_of(set_), Inode(), {}, ref_of(77), std::nullopt, 2).ok());
  EXPECT_EQ(failure(tree_->create(set_, "file", NewFile())), Errc::kIo);
  EXPECT_EQ(failure(tree_->list(set_, 0, [](const LiveTree::Listed&) { return true; })), Errc::kIo);
  EXPECT_TRUE(kv_.get(key::stub(tree_number(set_), kTopNumber)).value());
}

TEST_F(LiveTreeTest, SetComesFromHistory) {
  unfolder_.directories[ref_of(1).id] = {FakeUnfolder::child("file", 20, FileType::kFile)};
  SetId id;
  id.bytes.fill(3);
  uint32_t number =
      tree_->adopt_set(id, "adopted", Inode(), {}, ref_of(1), std::nullopt, 21).value();
  EXPECT_EQ(tree_->set(number)->row.id, id);
  EXPECT_EQ(failure(tree_->adopt_set(id, "again", Inode(), {}, {}, {}, 2)), Errc::kExists);
  Ino top = tree_->lookup(kRootIno, "adopted")->ino;
  EXPECT_EQ(tree_->lookup(top, "file")->ino, make_ino(number, 20));
}

TEST_F(LiveTreeTest, RevertOfTheRootKeepsTheSets) {
  make(kRootIno, "old");
  unfolder_.directories[ref_of(1).id] = {FakeUnfolder::child("file", 20, FileType::kFile)};
  ASSERT_TRUE(
      tree_->replace_tree(kRootSet, tree_->inode(kRootIno).value(), {}, ref_of(1), std::nullopt, 21)
          .ok());
  EXPECT_EQ(tree_->lookup(kRootIno, "set")->ino, set_);
  EXPECT_EQ(names(kRootIno), (std::vector<std::string>{"set", "file"}));
  EXPECT_EQ(tree_->inode(kRootIno)->links, 3u);
}

}  // namespace
}  // namespace varve
