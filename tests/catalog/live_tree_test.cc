// Goal: POSIX's rules of names and attributes in a live tree, one by one.
#include "catalog/live_tree.h"

#include <gtest/gtest.h>

#include "catalog/snapshot_body.h"
#include "dedup/base/limits.h"
#include "tests/catalog/live_tree_world.h"

namespace varve {
namespace {

TEST_F(LiveTreeTest, GivesNoNumberThatNoSnapshotCanHold) {
  const uint32_t number = set_of(set_);
  const Inode top = tree_->inode(set_).value();
  ASSERT_TRUE(
      tree_->replace_tree(number, top, {}, std::nullopt, std::nullopt, kNextNumberMax - 2).ok());
  EXPECT_EQ(number_of(make(set_, "one")), kNextNumberMax - 2);
  EXPECT_EQ(number_of(make(set_, "two")), kNextNumberMax - 1);
  NewFile file;
  EXPECT_EQ(failure(tree_->create(set_, "three", file)), Errc::kNoSpace);
  EXPECT_EQ(failure(tree_->create_orphan(set_, file)), Errc::kNoSpace);
  EXPECT_EQ(failure(tree_->lookup(set_, "three")), Errc::kNotFound);
  EXPECT_EQ(tree_->set(number)->row.next_number, kNextNumberMax);
}

TEST_F(LiveTreeTest, RefusesNames) {
  NewFile file;
  EXPECT_EQ(failure(tree_->create(set_, std::string(256, 'n'), file)), Errc::kNameTooLong);
  EXPECT_EQ(failure(tree_->create(set_, "a/b", file)), Errc::kInvalid);
  EXPECT_EQ(failure(tree_->create(set_, ".varve", file)), Errc::kExists);
  EXPECT_EQ(failure(tree_->lookup(set_, ".varve")), Errc::kNotFound);
  EXPECT_EQ(failure(tree_->lookup(set_, std::string(256, 'n'))), Errc::kNameTooLong);
  Ino below = make(set_, "below", FileType::kDirectory);
  EXPECT_TRUE(tree_->create(below, ".varve", file).ok());
  EXPECT_EQ(failure(tree_->rename(below, ".varve", set_, ".varve", LiveTree::RenameMode::kReplace)),
            Errc::kPermission);
  Ino plain = make(set_, std::string(255, 'n'));
  EXPECT_EQ(failure(tree_->create(plain, "child", file)), Errc::kNotDirectory);
  EXPECT_EQ(failure(tree_->lookup(plain, "child")), Errc::kNotDirectory);
}

TEST_F(LiveTreeTest, NothingGoesIntoARemovedDirectory) {
  Ino directory = make(set_, "directory", FileType::kDirectory);
  ASSERT_TRUE(tree_->remove_directory(set_, "directory").ok());
  EXPECT_EQ(failure(tree_->create(directory, "file", NewFile())), Errc::kNotFound);
  EXPECT_EQ(failure(tree_->create_orphan(directory, NewFile())), Errc::kNotFound);
  EXPECT_TRUE(names(directory).empty());
  ASSERT_TRUE(tree_->release(directory).ok());
  EXPECT_EQ(failure(tree_->inode(directory)), Errc::kStale);
}

TEST_F(LiveTreeTest, DirectoryIntoItself) {
  Ino a = make(set_, "a", FileType::kDirectory);
  Ino b = make(a, "b", FileType::kDirectory);
  make(b, "c", FileType::kDirectory);
  EXPECT_EQ(failure(tree_->rename(set_, "a", b, "x", LiveTree::RenameMode::kReplace)),
            Errc::kInvalid);
  EXPECT_EQ(failure(tree_->rename(set_, "a", a, "x", LiveTree::RenameMode::kReplace)),
            Errc::kInvalid);
  EXPECT_EQ(failure(tree_->rename(set_, "a", b, "c", LiveTree::RenameMode::kExchange)),
            Errc::kInvalid);
  EXPECT_EQ(failure(tree_->rename(a, "b", set_, "a", LiveTree::RenameMode::kReplace)),
            Errc::kNotEmpty);
  EXPECT_EQ(names(a), std::vector<std::string>{"b"});
}

TEST_F(LiveTreeTest, TimesOfARename) {
  Ino a = make(set_, "a", FileType::kDirectory), b = make(set_, "b", FileType::kDirectory);
  Ino file = make(a, "file");
  Nanoseconds made = clock_.now();
  clock_.advance(5);
  ASSERT_TRUE(tree_->rename(a, "file", b, "file", LiveTree::RenameMode::kReplace).ok());
  for (Ino directory : {a, b}) {
    EXPECT_EQ(tree_->inode(directory)->mtime, clock_.now());
    EXPECT_EQ(tree_->inode(directory)->ctime, clock_.now());
  }
  EXPECT_EQ(tree_->inode(file)->ctime, clock_.now());
  EXPECT_EQ(tree_->inode(file)->mtime, made);
  EXPECT_EQ(tree_->inode(set_)->mtime, made);
}

TEST_F(LiveTreeTest, ListingWhileRenamingEnds) {
  for (int i = 0; i < 50; i++) make(set_, "f" + std::to_string(i));
  uint64_t cookie = 0;
  int steps = 0;
  for (bool more = true; more;) {
    std::string name;
    ASSERT_TRUE(tree_
                    ->list(set_, cookie,
                           [&](const LiveTree::Listed& entry) {
                             name = entry.name;
                             cookie = entry.cookie;
                             return false;
                           })
                    .ok());
    more = !name.empty();
    if (more) {
      ASSERT_TRUE(tree_->rename(set_, name, set_, name + "x", LiveTree::RenameMode::kReplace).ok());
    }
    ASSERT_LE(++steps, 51);
  }
  EXPECT_EQ(steps, 51);
}

TEST_F(LiveTreeTest, SetgidDirectoriesGiveTheirGroup) {
  Ino directory = make(set_, "shared", FileType::kDirectory, 02775);
  AttributeChange change;
  change.gid = 77;
  ASSERT_TRUE(tree_->change(directory, change).ok());
  EXPECT_EQ(tree_->inode(make(directory, "file"))->gid, 77u);
  Inode below = tree_->inode(make(directory, "below", FileType::kDirectory)).value();
  EXPECT_EQ(below.gid, 77u);
  EXPECT_EQ(below.permissions, 02755);
}

std::string acl_of(std::initializer_list<std::pair<uint16_t, uint16_t>> rows) {
  Encoder out;
  out.u32(2);
  for (auto [tag, permissions] : rows)
    out.u16(tag).u16(permissions).u32(tag == 2 ? 1000 : UINT32_MAX);
  return std::string(as_text(out.view()));
}

TEST_F(LiveTreeTest, DefaultAclIsInherited) {
  constexpr auto kAny = LiveTree::XattrMode::kAny;
  Ino directory = make(set_, "d", FileType::kDirectory);
  std::string list = acl_of({{1, 7}, {2, 6}, {4, 7}, {16, 7}, {32, 5}});
  ASSERT_TRUE(tree_->set_xattr(directory, "system.posix_acl_default", list, kAny).ok());
  EXPECT_EQ(tree_->inode(directory)->permissions, 0755);
  NewFile file;
  file.permissions = 0666;
  file.umask = 077;  // does not count
  LiveEntry made = tree_->create(directory, "file", file).value();
  EXPECT_EQ(made.inode.permissions, 0664);
  EXPECT_EQ(tree_->xattr(made.ino, "system.posix_acl_access").value(),
            acl_of({{1, 6}, {2, 6}, {4, 7}, {16, 6}, {32, 4}}));
  file.type = FileType::kDirectory;
  file.permissions = 0777;
  LiveEntry below = tree_->create(directory, "below", file).value();
  EXPECT_EQ(tree_->xattr(below.ino, "system.posix_acl_default").value(), list);
  file.type = FileType::kFile;
  EXPECT_EQ(tree_->create(set_, "plain", file)->inode.permissions, 0700);
}

TEST_F(LiveTreeTest, AclAndModeFollowEachOther) {
  constexpr auto kAny = LiveTree::XattrMode::kAny;
  constexpr std::string_view kAccess = "system.posix_acl_access";
  Ino file = make(set_, "file", FileType::kFile, 04644);
  ASSERT_TRUE(
      tree_->set_xattr(file, kAccess, acl_of({{1, 6}, {2, 7}, {4, 4}, {16, 7}, {32, 0}}), kAny)
          .ok());
  EXPECT_EQ(tree_->inode(file)->permissions, 04670);
  AttributeChange change;
  change.permissions = 0604;
  ASSERT_TRUE(tree_->change(file, change).ok());
  EXPECT_EQ(tree_->xattr(file, kAccess).value(),
            acl_of({{1, 6}, {2, 7}, {4, 4}, {16, 0}, {32, 4}}));
  ASSERT_TRUE(tree_->set_xattr(file, kAccess, acl_of({{1, 7}, {4, 5}, {32, 1}}), kAny).ok());
  EXPECT_EQ(tree_->inode(file)->permissions, 0751);
  EXPECT_EQ(failure(tree_->xattr(file, kAccess)), Errc::kNoAttribute);
  EXPECT_EQ(failure(tree_->set_xattr(file, kAccess, "nonsense", kAny)), Errc::kInvalid);
  EXPECT_EQ(failure(tree_->set_xattr(file, "system.posix_acl_default",
                                     acl_of({{1, 7}, {4, 5}, {32, 1}}), kAny)),
            Errc::kAccess);
  EXPECT_TRUE(tree_->remove_xattr(file, kAccess).ok());
}

TEST_F(LiveTreeTest, XattrModesAndLimits) {
  using Mode = LiveTree::XattrMode;
  Ino file = make(set_, "file");
  EXPECT_EQ(failure(tree_->set_xattr(file, "user.a", "1", Mode::kReplace)), Errc::kNoAttribute);
  EXPECT_TRUE(tree_->set_xattr(file, "user.a", "", Mode::kCreate).ok());
  EXPECT_EQ(tree_->xattr(file, "user.a").value(), "");
  EXPECT_EQ(failure(tree_->set_xattr(file, "user.a", "1", Mode::kCreate)), Errc::kExists);
  EXPECT_EQ(failure(tree_->set_xattr(file, std::string(256, 'n'), "1", Mode::kAny)),
            Errc::kNameTooLong);
  std::string large(kXattrValueBytesMax, 'v');
  EXPECT_EQ(failure(tree_->set_xattr(file, "user.b", large + "v", Mode::kAny)), Errc::kTooLarge);
  for (const char* name : {"user.b", "user.c", "user.d"})
    EXPECT_TRUE(tree_->set_xattr(file, name, large, Mode::kAny).ok());
  EXPECT_EQ(failure(tree_->set_xattr(file, "user.e", large, Mode::kAny)), Errc::kNoSpace);
  EXPECT_EQ(tree_->xattrs(file)->size(), 4u);
}

TEST_F(LiveTreeTest, LinksHaveALimit) {
  Ino file = make(set_, "file");
  for (int i = 1; i < 65000; i++) ASSERT_TRUE(tree_->link(file, set_, std::to_string(i)).ok());
  EXPECT_EQ(failure(tree_->link(file, set_, "more")), Errc::kTooManyLinks);
}

TEST_F(LiveTreeTest, OrphanGetsAName) {
  LiveEntry orphan = tree_->create_orphan(set_, NewFile()).value();
  EXPECT_EQ(tree_->orphans().value(), std::vector<Ino>{orphan.ino});
  next_generation();
  LiveEntry named = tree_->link(orphan.ino, set_, "name").value();
  EXPECT_EQ(named.inode.links, 1u);
  EXPECT_FALSE(named.inode.linked);
  EXPECT_EQ(named.inode.parent, set_);
  EXPECT_TRUE(tree_->orphans()->empty());
  EXPECT_TRUE(is_marked(set_));
}

TEST_F(LiveTreeTest, MarksGoUpToTheSet) {
  Ino a = make(set_, "a", FileType::kDirectory), b = make(a, "b", FileType::kDirectory);
  Ino other = make(set_, "other", FileType::kDirectory), file = make(b, "file");
  next_generation();
  EXPECT_FALSE(is_marked(set_));
  ASSERT_TRUE(tree_->change(file, AttributeChange()).ok());
  EXPECT_TRUE(is_marked(b) && is_marked(a) && is_marked(set_));
  EXPECT_FALSE(is_marked(other) || is_marked(kRootIno));
  next_generation();
  ASSERT_TRUE(tree_->change(b, AttributeChange()).ok());
  EXPECT_FALSE(is_marked(b));  // its attributes are in its parent's object
  EXPECT_TRUE(is_marked(a));
  next_generation();
  ASSERT_TRUE(tree_->link(file, other, "link").ok());
  EXPECT_TRUE(is_marked(b) && is_marked(other));
  next_generation();
  ASSERT_TRUE(tree_->change(file, AttributeChange()).ok());
  EXPECT_FALSE(is_marked(b) || is_marked(other));  // it is in the link table now
  EXPECT_TRUE(is_marked(set_));
  EXPECT_EQ(kv_.get(key::linked(tree_number(file), number_of(file))).value(),
            encode_u64(tree_->generation()));
}

}  // namespace
}  // namespace varve
