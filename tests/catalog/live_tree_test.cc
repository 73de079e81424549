// Goal: POSIX's rules, sets, marks, stubs and large files, one by one.
#include "catalog/live_tree.h"

#include <gtest/gtest.h>

#include "catalog/snapshot_body.h"
#include "dedup/base/codec.h"
#include "dedup/base/limits.h"
#include "tests/support/simulated_kv.h"
#include "tests/support/simulation.h"

namespace varve {
namespace {

template <typename T>
std::optional<Errc> failure(const Result<T>& result) {
  return result.ok() ? std::nullopt : std::optional(result.error().code());
}

TreeRef ref_of(uint8_t byte) {
  TreeRef ref;
  ref.id.bytes.fill(byte);
  return ref;
}

class FakeUnfolder final : public Unfolder {
 public:
  std::map<ChunkId, std::vector<Child>> directories;
  std::map<ChunkId, std::vector<Extent>> files;
  int calls = 0;

  Result<std::vector<Child>> unfold_directory(const TreeRef& tree,
                                              const std::optional<TreeRef>&) override {
    calls++;
    if (!directories.contains(tree.id)) return Error(Errc::kIo, "no such object");
    return directories[tree.id];
  }
  Result<std::vector<Extent>> unfold_extents(const TreeRef& tree) override {
    calls++;
    return files[tree.id];
  }
  static Child child(std::string name, uint64_t number, FileType type) {
    Child child;
    child.name = std::move(name);
    child.number = number;
    child.inode.type = type;
    child.inode.permissions = 0644;
    return child;
  }
};

class LiveTreeTest : public testing::Test {
 protected:
  LiveTreeTest() {
    tree_ = LiveTree::open(kv_, &unfolder_, clock_, random_).value();
    set_ = make(kRootIno, "set", FileType::kDirectory);
  }

  Ino make(Ino directory, std::string_view name, FileType type = FileType::kFile,
           uint16_t permissions = 0755) {
    NewFile file;
    file.type = type;
    file.permissions = permissions;
    if (type == FileType::kSymlink) file.target = "target";
    return tree_->create(directory, name, file).value().ino;
  }
  uint32_t tree_number(Ino ino) { return tree_->set(set_of(ino))->row.tree; }
  bool is_marked(Ino directory) {
    auto mark = kv_.get(key::mark(tree_number(directory), number_of(directory))).value();
    return mark == encode_u64(tree_->generation());
  }
  void next_generation() {
    ASSERT_TRUE(tree_
                    ->exclusively([&]() -> Result<void> {
                      tree_->next_generation();
                      return {};
                    })
                    .ok());
  }
  size_t rows(char table) {
    size_t count = 0;
    EXPECT_TRUE(kv_.scan(std::string(1, table), std::string(1, static_cast<char>(table + 1)),
                         [&](std::string_view, std::string_view) { return ++count > 0; })
                    .ok());
    return count;
  }
  std::vector<std::string> names(Ino directory) {
    std::vector<std::string> found;
    EXPECT_TRUE(tree_
                    ->list(directory, 0,
                           [&](const LiveTree::Listed& entry) {
                             found.emplace_back(entry.name);
                             return true;
                           })
                    .ok());
    return found;
  }

  SimulatedKv base_;
  StagedKv kv_{base_};
  SimulatedClock clock_;
  SeededRandom random_{1};
  FakeUnfolder unfolder_;
  std::unique_ptr<LiveTree> tree_;
  Ino set_ = 0;
};

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
