// Goal: a restore gives every file back as it was, resumes, names what it cannot give, and touches
// nothing outside its target.
#include "catalog/restore.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

#include <fstream>

#include "catalog/restore_target.h"
#include "tests/catalog/store_world.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
namespace fs = std::filesystem;

struct RestoreTest : testing::Test, StoreWorld {
  std::string target = directory / "target";
  std::vector<std::string> failed;

  void SetUp() override { open(); }

  Result<RestoreFigures> run(const std::string& name) {
    const SetId id = set_id_;
    auto reader = StoreReader::open(root, secret(), 16 << 20);
    EXPECT_TRUE(reader.ok()) << (reader.ok() ? "" : reader.error().message());
    const auto info = (*reader)->history().find(id, name);
    if (!info) return Errc::kNotFound;
    RestoreCallbacks callbacks;
    callbacks.failed = [&](std::string_view path, const Error&) { failed.emplace_back(path); };
    return restore(**reader, *info, id, target, callbacks);
  }
  void take(const std::string& name) {
    set_id_ = set_id("web");
    auto taken = snapshot("web", name);
    ASSERT_TRUE(taken.ok()) << taken.error().message();
  }
  Bytes bytes_of(const std::string& path) const {
    std::ifstream in(target + "/" + path, std::ios::binary);
    return Bytes(std::istreambuf_iterator<char>(in), {});
  }
  struct stat status(const std::string& path) const {
    struct stat found {};
    EXPECT_EQ(::lstat((target + "/" + path).c_str(), &found), 0) << path;
    return found;
  }
  void set_times(Ino ino, Nanoseconds time) {
    AttributeChange change;
    change.atime = change.mtime = time;
    ASSERT_TRUE(copy->tree().change(ino, change).ok());
  }

  SetId set_id_;
};

TEST_F(RestoreTest, EveryKindOfFileComesBack) {
  const Ino web = set("web");
  const Ino dir = make(web, "dir", FileType::kDirectory);
  const Bytes big = content(1, 3'000'000);
  const Ino file_ino = file(dir, "big", big);
  ASSERT_TRUE(copy->tree().link(file_ino, web, "other name").ok());
  file(web, "empty", {});
  make(web, "symlink", FileType::kSymlink, "/etc/hostname");
  make(web, "fifo", FileType::kFifo);
  const Ino sparse = make(web, "sparse", FileType::kFile);
  write(sparse, content(2, 5000), 10'000'000);
  AttributeChange mode;
  mode.permissions = 0451;
  ASSERT_TRUE(copy->tree().change(dir, mode).ok());
  set_times(file_ino, 1'234'567'890'123'456'789);
  set_times(dir, -5'000'000'001);
  take("monday");

  auto figures = run("monday");
  ASSERT_TRUE(figures.ok()) << figures.error().message();
  EXPECT_THAT(failed, IsEmpty());
  EXPECT_EQ(figures->failures, 0u);
  EXPECT_EQ(figures->kept, 0u);
  EXPECT_EQ(bytes_of("dir/big"), big);
  EXPECT_EQ(status("dir/big").st_ino, status("other name").st_ino);
  EXPECT_EQ(status("dir/big").st_mtim.tv_sec, 1'234'567'890);
  EXPECT_EQ(status("dir/big").st_mtim.tv_nsec, 123'456'789);
  EXPECT_EQ(status("dir").st_mtim.tv_sec, -6);
  EXPECT_EQ(status("dir").st_mode & 07777, 0451u);
  EXPECT_EQ(fs::read_symlink(target + "/symlink"), "/etc/hostname");
  EXPECT_TRUE(S_ISFIFO(status("fifo").st_mode));
  EXPECT_EQ(status("empty").st_size, 0);
  EXPECT_EQ(status("sparse").st_size, 10'005'000);
  EXPECT_LT(status("sparse").st_blocks * 512, 1'000'000);
  Bytes expected(10'005'000);
  const Bytes tail = content(2, 5000);
  std::copy(tail.begin(), tail.end(), expected.begin() + 10'000'000);
  EXPECT_EQ(bytes_of("sparse"), expected);
}

TEST_F(RestoreTest, HolesOfExabytesTakeNoTime) {
  const std::string memory = "/dev/shm";  // other filesystems have no files of that size
  struct statfs found {};
  if (::statfs(memory.c_str(), &found) != 0 || found.f_type != TMPFS_MAGIC)
    GTEST_SKIP() << "there is no tmpfs at " << memory;
  std::string pattern = memory + "/varve-restore.XXXXXX";
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  target = pattern;
  const Ino web = set("web");
  const Ino sparse = make(web, "sparse", FileType::kFile);
  constexpr uint64_t kFar = uint64_t{1} << 61;
  write(sparse, content(2, 5000), 10);
  write(sparse, content(1, 5000), kFar);
  take("one");
  auto figures = run("one");
  EXPECT_TRUE(figures.ok()) << (figures.ok() ? "" : figures.error().message());
  EXPECT_THAT(failed, IsEmpty());
  EXPECT_EQ(static_cast<uint64_t>(status("sparse").st_size), kFar + 5000);
  std::ifstream in(target + "/sparse", std::ios::binary);
  in.seekg(static_cast<std::streamoff>(kFar));
  EXPECT_EQ(Bytes(std::istreambuf_iterator<char>(in), {}), content(1, 5000));
  fs::remove_all(target);
}

TEST_F(RestoreTest, ASecondRunKeepsWhatIsEqualAndMendsWhatIsNot) {
  const Ino web = set("web");
  for (const char* name : {"a", "b", "c", "d"}) {
    const Ino ino = file(web, name, content(static_cast<uint64_t>(name[0]), 100'000));
    set_times(ino, 1'000'000'000'000'000'000);
  }
  take("monday");
  ASSERT_TRUE(run("monday").ok());
  const auto before = fs::last_write_time(target + "/b");
  std::fstream(target + "/b", std::ios::in | std::ios::out) << "changed";
  fs::last_write_time(target + "/b", before);  // size and time say nothing
  fs::remove(target + "/c");
  fs::resize_file(target + "/d", 5);
  std::ofstream(target + "/not of the snapshot") << "stays";
  auto figures = run("monday");
  ASSERT_TRUE(figures.ok());
  EXPECT_EQ(figures->kept, 1u);
  for (const char* name : {"a", "b", "c", "d"}) {
    EXPECT_EQ(bytes_of(name), content(static_cast<uint64_t>(name[0]), 100'000)) << name;
  }
  EXPECT_TRUE(fs::exists(target + "/not of the snapshot"));
}

TEST_F(RestoreTest, NothingOutsideTheTargetIsTouched) {
  const Ino web = set("web");
  file(make(web, "dir", FileType::kDirectory), "a", content(1, 1000));
  file(web, "file", content(2, 1000));
  take("monday");
  const std::string outside = directory / "outside";
  fs::create_directory(outside);
  std::ofstream(outside + "/a") << "precious";
  fs::permissions(outside + "/a", fs::perms::owner_read);
  fs::create_directory(target);
  fs::create_directory_symlink(outside, target + "/dir");
  fs::create_symlink(outside + "/a", target + "/file");
  auto figures = run("monday");
  ASSERT_TRUE(figures.ok());
  EXPECT_EQ(figures->failures, 0u);
  EXPECT_EQ(bytes_of("dir/a"), content(1, 1000));
  EXPECT_EQ(bytes_of("file"), content(2, 1000));
  EXPECT_FALSE(fs::is_symlink(target + "/dir"));
  std::ifstream in(outside + "/a");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "precious");
  EXPECT_EQ(fs::status(outside + "/a").permissions(), fs::perms::owner_read);
}

TEST_F(RestoreTest, WhatIsDamagedIsNamedAndTheRestGoesOn) {
  const Ino web = set("web");
  file(web, "first", content(1, 100'000));
  take("sunday");
  file(web, "second", content(2, 100'000));
  take("monday");
  crash();
  // The newest data pack goes.
  std::vector<fs::path> packs;
  for (const auto& entry : fs::recursive_directory_iterator(root + "/packs")) {
    if (entry.is_regular_file()) packs.push_back(entry.path());
  }
  std::sort(packs.begin(), packs.end(), [](const fs::path& a, const fs::path& b) {
    return fs::last_write_time(a) < fs::last_write_time(b);
  });
  ASSERT_EQ(packs.size(), 2u);
  fs::remove(packs.back());
  auto figures = run("monday");
  ASSERT_TRUE(figures.ok());
  EXPECT_EQ(figures->failures, 1u);
  EXPECT_THAT(failed, ElementsAre("second"));
  EXPECT_EQ(bytes_of("first"), content(1, 100'000));
  EXPECT_FALSE(fs::exists(target + "/second"));
  for (const auto& entry : fs::directory_iterator(target)) {
    EXPECT_FALSE(entry.path().filename().string().starts_with(".varve")) << entry.path();
  }
}

TEST_F(RestoreTest, DeepTreesNeedFewOpenDirectories) {
  Ino at = set("web");
  for (int i = 0; i < 300; i++) at = make(at, "d", FileType::kDirectory);
  file(at, "deep", content(1, 1000));
  take("monday");
  auto figures = run("monday");
  ASSERT_TRUE(figures.ok());
  EXPECT_EQ(figures->failures, 0u) << testing::PrintToString(failed);
  std::string path;
  for (int i = 0; i < 300; i++) path += "d/";
  EXPECT_EQ(bytes_of(path + "deep"), content(1, 1000));
}

TEST_F(RestoreTest, ADifferentSnapshotsLinksAreNotMistaken) {
  const Ino web = set("web");
  const Ino a = file(web, "a", content(1, 1000));
  ASSERT_TRUE(copy->tree().link(a, web, "b").ok());
  set_times(a, 1'000'000'000'000'000'000);
  take("linked");
  ASSERT_TRUE(run("linked").ok());
  auto lost = copy->tree().unlink(web, "b");
  ASSERT_TRUE(lost.ok());
  set_times(file(web, "b", content(1, 1000)), 1'000'000'000'000'000'000);
  take("apart");
  ASSERT_TRUE(run("apart").ok());
  EXPECT_NE(status("a").st_ino, status("b").st_ino);
  EXPECT_EQ(bytes_of("b"), content(1, 1000));
}

TEST_F(RestoreTest, AttributesComeBack) {
  const Ino web = set("web");
  const Ino ino = file(web, "a", content(1, 10));
  ASSERT_TRUE(copy->tree().set_xattr(ino, "user.colour", "blue", LiveTree::XattrMode::kAny).ok());
  take("monday");
  fs::create_directory(target);
  if (::setxattr(target.c_str(), "user.old", "1", 1, 0) != 0) GTEST_SKIP() << "no xattrs here";
  auto figures = run("monday");
  ASSERT_TRUE(figures.ok());
  EXPECT_EQ(figures->failures, 0u);
  char value[16];
  EXPECT_EQ(::getxattr((target + "/a").c_str(), "user.colour", value, sizeof value), 4);
  EXPECT_EQ(::getxattr(target.c_str(), "user.old", value, sizeof value), -1);
}

TEST_F(RestoreTest, WhatRanAsItsOwnerDoesNotRunAsWhoRestoresIt) {
  constexpr uid_t kSomebody = 65534;
  fs::create_directory(target);
  const RestoreDirectory in = RestoreDirectory::open_root(target).value();
  ASSERT_TRUE(in.create_file("a").ok());
  const bool privileged = ::geteuid() == 0;
  if (privileged) {
    ASSERT_EQ(::chown((target + "/a").c_str(), kSomebody, kSomebody), 0);
    ASSERT_EQ(::seteuid(kSomebody), 0);
    ::prctl(PR_SET_DUMPABLE, 1);  // else /proc/self is the superuser's
  }
  TreeEntry entry;
  entry.name = "a";
  entry.type = entry.node.inode.type = FileType::kFile;
  entry.node.inode.permissions = 06755;
  entry.node.inode.uid = entry.node.inode.gid = 12345;
  const Result<void> set = in.set_attributes("a", entry);
  if (privileged) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  EXPECT_TRUE(set.ok()) << set.error().message();
  EXPECT_EQ(status("a").st_mode & 07777, 0755u);
}

}  // namespace
}  // namespace varve
