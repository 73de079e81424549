// Goal: what programs ask of a mount by system calls reaches the Filesystem through the real
// kernel, and its answers come back.
#include "fs/fuse_session.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <set>
#include <thread>

#include "dedup/base/limits.h"
#include "dedup/base/unique_fd.h"
#include "tests/fs/fuse_session_world.h"

namespace varve {
namespace {

using FuseSessionTest = FuseSessionWorld;

TEST_F(FuseSessionTest, WritesAndReadsBack) {
  mount();
  UniqueFd file = open("file", O_CREAT | O_EXCL | O_RDWR, 0640);
  ASSERT_TRUE(file.valid());
  std::vector<char> data(3 * kMiB + 17, 'x');
  ASSERT_EQ(::write(file.get(), data.data(), data.size()), static_cast<ssize_t>(data.size()));
  EXPECT_EQ(stat_path("file").st_size, static_cast<off_t>(data.size()));
  EXPECT_EQ(stat_path("file").st_mode, S_IFREG | 0640u);
  file = open("file", O_RDONLY);
  std::vector<char> back(4 * kMiB, 'y');
  size_t total = 0;
  for (ssize_t got; (got = ::read(file.get(), back.data() + total, back.size() - total)) > 0;) {
    total += static_cast<size_t>(got);
  }
  EXPECT_EQ(total, data.size());
  EXPECT_EQ(::ftruncate(open("file", O_WRONLY).get(), 5), 0);
  EXPECT_EQ(stat_path("file").st_size, 5);
  file = open("file", O_WRONLY | O_TRUNC);
  EXPECT_EQ(stat_path("file").st_size, 0);
}

TEST_F(FuseSessionTest, ReadsThroughAMapping) {
  for (bool direct : {false, true}) {
    mount({.direct_io = direct});
    UniqueFd file = open("file", O_CREAT | O_RDWR);
    ASSERT_EQ(::ftruncate(file.get(), 2 * kMiB), 0);
    void* memory = ::mmap(nullptr, 2 * kMiB, PROT_READ, MAP_PRIVATE, file.get(), 0);
    ASSERT_NE(memory, MAP_FAILED);
    EXPECT_EQ(static_cast<char*>(memory)[2 * kMiB - 1], 0);
    ::munmap(memory, 2 * kMiB);
    // Shared mappings of files opened for direct I/O need Linux 6.6.
    memory = ::mmap(nullptr, kMiB, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (memory == MAP_FAILED) {
      EXPECT_TRUE(direct) << errno;
      EXPECT_EQ(errno, ENODEV);
    } else {
      static_cast<char*>(memory)[5] = 'x';
      EXPECT_EQ(::msync(memory, kMiB, MS_SYNC), 0);
      ::munmap(memory, kMiB);
    }
    file.reset();
    session_.reset();
  }
}

TEST_F(FuseSessionTest, AppendsAtTheEnd) {
  mount();
  UniqueFd file = open("file", O_CREAT | O_WRONLY | O_APPEND);
  ASSERT_EQ(::write(file.get(), "abc", 3), 3);
  EXPECT_TRUE(filesystem_->last_write_options().append);
  UniqueFd other = open("file", O_WRONLY | O_APPEND);
  ASSERT_EQ(::write(other.get(), "defg", 4), 4);
  ASSERT_EQ(::write(file.get(), "h", 1), 1);
  EXPECT_EQ(stat_path("file").st_size, 8);
  other = open("file", O_WRONLY);
  ASSERT_EQ(::write(other.get(), "h", 1), 1);
  EXPECT_FALSE(filesystem_->last_write_options().append);
}

// Runs `action` in a child without the right to keep setuid bits. In a thread capabilities are the
// thread's own.
void without_fsetid(const std::function<void()>& action) {
  std::thread([&] {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2];
    ASSERT_EQ(::syscall(SYS_capget, &header, data), 0);
    data[0].effective &= ~(1u << CAP_FSETID);
    ASSERT_EQ(::syscall(SYS_capset, &header, data), 0);
    action();
  }).join();
}

TEST_F(FuseSessionTest, TellsWhenPrivilegesGo) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root";
  for (bool direct : {false, true}) {
    mount({.direct_io = direct});
    UniqueFd file = open("file", O_CREAT | O_WRONLY, 0644);
    ASSERT_EQ(::fchmod(file.get(), 06755), 0);
    ASSERT_EQ(::write(file.get(), "abc", 3), 3);
    EXPECT_FALSE(filesystem_->last_write_options().kill_privileges);
    without_fsetid([&] { EXPECT_EQ(::write(file.get(), "abc", 3), 3); });
    EXPECT_TRUE(filesystem_->last_write_options().kill_privileges);
    file.reset();
    session_.reset();
  }
}

TEST_F(FuseSessionTest, WritesWithoutAskingForCapabilitiesEachTime) {
  mount();
  UniqueFd file = open("file", O_CREAT | O_WRONLY);
  for (int i = 0; i < 100; i++) ASSERT_EQ(::write(file.get(), "abc", 3), 3);
  // Once, because the kernel does not know yet that a new file has none.
  EXPECT_LE(filesystem_->xattr_reads(), 2u);
}

TEST_F(FuseSessionTest, RenamesWithAllFlags) {
  mount();
  open("a", O_CREAT | O_WRONLY);
  open("b", O_CREAT | O_WRONLY);
  const ino_t a = stat_path("a").st_ino, b = stat_path("b").st_ino;
  EXPECT_EQ(::renameat2(AT_FDCWD, at("a").c_str(), AT_FDCWD, at("b").c_str(), RENAME_NOREPLACE),
            -1);
  EXPECT_EQ(errno, EEXIST);
  EXPECT_EQ(::renameat2(AT_FDCWD, at("a").c_str(), AT_FDCWD, at("b").c_str(), RENAME_EXCHANGE), 0);
  EXPECT_EQ(stat_path("a").st_ino, b);
  EXPECT_EQ(stat_path("b").st_ino, a);
  EXPECT_EQ(::rename(at("a").c_str(), at("b").c_str()), 0);
  EXPECT_EQ(stat_path("b").st_ino, b);
  EXPECT_EQ(::access(at("a").c_str(), F_OK), -1);
  EXPECT_EQ(::mkdir(at("directory").c_str(), 0755), 0);
  EXPECT_EQ(::rename(at("b").c_str(), at("directory/c").c_str()), 0);
  EXPECT_EQ(stat_path("directory/c").st_ino, b);
  EXPECT_EQ(::rmdir(at("directory").c_str()), -1);
  EXPECT_EQ(errno, ENOTEMPTY);
}

TEST_F(FuseSessionTest, LinksAndKeepsUnlinkedFilesThatAreOpen) {
  mount();
  const size_t before = filesystem_->nodes();
  UniqueFd file = open("a", O_CREAT | O_RDWR);
  ASSERT_EQ(::link(at("a").c_str(), at("b").c_str()), 0);
  EXPECT_EQ(stat_path("b").st_nlink, 2u);
  EXPECT_EQ(stat_path("a").st_ino, stat_path("b").st_ino);
  EXPECT_EQ(::unlink(at("a").c_str()), 0);
  EXPECT_EQ(::unlink(at("b").c_str()), 0);
  ASSERT_EQ(::write(file.get(), "abc", 3), 3);
  struct stat st {};
  ASSERT_EQ(::fstat(file.get(), &st), 0);
  EXPECT_EQ(st.st_size, 3);
  EXPECT_EQ(st.st_nlink, 0u);
  file.reset();
  // RELEASE and FORGET come without anybody waiting for them; a request behind them does not
  // overtake for ever.
  for (int i = 0; i < 1000 && filesystem_->nodes() != before; i++) ::usleep(10'000);
  EXPECT_EQ(filesystem_->nodes(), before);
}

TEST_F(FuseSessionTest, MakesUnnamedFiles) {
  mount();
  UniqueFd file(::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file.valid() && errno == EOPNOTSUPP)
    GTEST_SKIP() << "this kernel has no O_TMPFILE over FUSE";
  ASSERT_TRUE(file.valid()) << errno;
  ASSERT_EQ(::write(file.get(), "abc", 3), 3);
  const std::string own = "/proc/self/fd/" + std::to_string(file.get());
  ASSERT_EQ(::linkat(AT_FDCWD, own.c_str(), AT_FDCWD, at("named").c_str(), AT_SYMLINK_FOLLOW), 0);
  EXPECT_EQ(stat_path("named").st_size, 3);
  EXPECT_EQ(stat_path("named").st_nlink, 1u);
}

TEST_F(FuseSessionTest, MakesEveryKindOfNode) {
  mount();
  ASSERT_EQ(::symlink("a/target", at("symlink").c_str()), 0);
  char target[64];
  ASSERT_EQ(::readlink(at("symlink").c_str(), target, sizeof target), 8);
  EXPECT_EQ(std::string(target, 8), "a/target");
  EXPECT_EQ(stat_path("symlink").st_mode, S_IFLNK | 0777u);
  ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
  EXPECT_EQ(stat_path("fifo").st_mode, S_IFIFO | 0600u);
  if (::getuid() == 0) {
    ASSERT_EQ(::mknod(at("device").c_str(), S_IFCHR | 0600, makedev(300, 70000)), 0);
    EXPECT_EQ(stat_path("device").st_rdev, makedev(300, 70000));
  }
  const mode_t before = ::umask(027);
  ASSERT_EQ(::mkdir(at("directory").c_str(), 0777), 0);
  ::umask(before);
  EXPECT_EQ(stat_path("directory").st_mode, S_IFDIR | 0750u);
}

TEST_F(FuseSessionTest, KeepsAttributes) {
  mount();
  open("file", O_CREAT | O_WRONLY);
  const timespec times[2] = {{-5, 999'999'999}, {4'000'000'000, 123'456'789}};
  ASSERT_EQ(::utimensat(AT_FDCWD, at("file").c_str(), times, 0), 0);
  const struct stat st = stat_path("file");
  EXPECT_EQ(st.st_atim.tv_sec, -5);
  EXPECT_EQ(st.st_atim.tv_nsec, 999'999'999);
  EXPECT_EQ(st.st_mtim.tv_sec, 4'000'000'000);
  EXPECT_EQ(st.st_mtim.tv_nsec, 123'456'789);
  ASSERT_EQ(::chmod(at("file").c_str(), 01604), 0);
  EXPECT_EQ(stat_path("file").st_mode, S_IFREG | 01604u);
  if (::getuid() == 0) {
    ASSERT_EQ(::chown(at("file").c_str(), 12345, 4'000'000'000u), 0);
    EXPECT_EQ(stat_path("file").st_uid, 12345u);
    EXPECT_EQ(stat_path("file").st_gid, 4'000'000'000u);
  }
}

TEST_F(FuseSessionTest, KeepsExtendedAttributes) {
  mount();
  open("file", O_CREAT | O_WRONLY);
  const std::string path = at("file"), value(10'000, 'v');
  ASSERT_EQ(::setxattr(path.c_str(), "user.a", value.data(), value.size(), XATTR_CREATE), 0);
  EXPECT_EQ(::setxattr(path.c_str(), "user.a", "", 0, XATTR_CREATE), -1);
  EXPECT_EQ(errno, EEXIST);
  ASSERT_EQ(::setxattr(path.c_str(), "user.empty", "", 0, 0), 0);
  EXPECT_EQ(::getxattr(path.c_str(), "user.a", nullptr, 0), 10'000);
  char room[16];
  EXPECT_EQ(::getxattr(path.c_str(), "user.a", room, sizeof room), -1);
  EXPECT_EQ(errno, ERANGE);
  EXPECT_EQ(::getxattr(path.c_str(), "user.empty", room, sizeof room), 0);
  EXPECT_EQ(::getxattr(path.c_str(), "user.none", room, sizeof room), -1);
  EXPECT_EQ(errno, ENODATA);
  char names[64];
  const ssize_t length = ::listxattr(path.c_str(), names, sizeof names);
  ASSERT_EQ(length, 18);
  EXPECT_EQ(std::string(names, 18), std::string("user.a\0user.empty\0", 18));
  EXPECT_EQ(::removexattr(path.c_str(), "user.a"), 0);
  EXPECT_EQ(::getxattr(path.c_str(), "user.a", nullptr, 0), -1);
}

TEST_F(FuseSessionTest, ListsLargeDirectoriesAndGoesBack) {
  mount();
  constexpr int kEntries = 10'000;
  std::set<std::string> expected{".", ".."};
  for (int i = 0; i < kEntries; i++) {
    const std::string name = "entry" + std::to_string(i);
    ASSERT_EQ(::mknod(at(name).c_str(), S_IFREG | 0600, 0), 0);
    expected.insert(name);
  }
  DIR* directory = ::opendir(directory_.c_str());
  ASSERT_NE(directory, nullptr);
  std::set<std::string> listed;
  long middle = 0;
  std::string behind_middle;
  int count = 0;
  while (dirent* entry = ::readdir(directory)) {
    if (count == kEntries / 2 + 1) behind_middle = entry->d_name;
    if (++count == kEntries / 2 + 1) middle = ::telldir(directory);
    EXPECT_TRUE(listed.insert(entry->d_name).second) << entry->d_name << " twice";
    if (entry->d_name[0] != '.') {
      EXPECT_EQ(entry->d_type, DT_REG);
    }
  }
  EXPECT_EQ(listed, expected);
  ::seekdir(directory, middle);
  dirent* again = ::readdir(directory);
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(std::string(again->d_name), behind_middle);
  // Everything that was listed can go while the listing is under way.
  ::rewinddir(directory);
  while (dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] != '.') {
      EXPECT_EQ(::unlink(at(entry->d_name).c_str()), 0);
    }
  }
  ::closedir(directory);
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(FuseSessionTest, GivesFiguresOfSpace) {
  mount();
  struct statvfs figures {};
  ASSERT_EQ(::statvfs(directory_.c_str(), &figures), 0);
  EXPECT_EQ(figures.f_namemax, 255u);
  EXPECT_EQ(figures.f_frsize, 4096u);
  EXPECT_EQ(figures.f_blocks * figures.f_frsize, uint64_t{1} << 40);
  EXPECT_EQ(figures.f_bavail * figures.f_frsize, uint64_t{1} << 39);
}

TEST_F(FuseSessionTest, PassesOnTheRarerCalls) {
  mount();
  UniqueFd file = open("file", O_CREAT | O_RDWR);
  ASSERT_EQ(::fallocate(file.get(), 0, 0, 100'000), 0);
  EXPECT_EQ(stat_path("file").st_size, 100'000);
  EXPECT_EQ(::lseek(file.get(), 10, SEEK_DATA), 10);
  EXPECT_EQ(::lseek(file.get(), 10, SEEK_HOLE), 100'000);
  EXPECT_EQ(::lseek(file.get(), 200'000, SEEK_DATA), -1);
  EXPECT_EQ(errno, ENXIO);
  UniqueFd other = open("other", O_CREAT | O_RDWR);
  off_t from = 0, to = 10;
  EXPECT_EQ(::copy_file_range(file.get(), &from, other.get(), &to, 1000, 0), 1000);
  EXPECT_EQ(stat_path("other").st_size, 1010);
  EXPECT_EQ(::fsync(file.get()), 0);
  EXPECT_EQ(::fdatasync(file.get()), 0);
  UniqueFd directory(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY));
  EXPECT_EQ(::fsync(directory.get()), 0);
  const std::string too_long(256, 'n');
  EXPECT_EQ(::mkdir(at(too_long).c_str(), 0755), -1);
  EXPECT_EQ(errno, ENAMETOOLONG);
}

TEST_F(FuseSessionTest, ServesManyProgramsAtOnce) {
  mount();
  std::vector<std::thread> programs;
  for (int t = 0; t < 8; t++) {
    programs.emplace_back([&, t] {
      const std::string own = "directory" + std::to_string(t);
      ASSERT_EQ(::mkdir(at(own).c_str(), 0755), 0);
      for (int i = 0; i < 200; i++) {
        const std::string name = own + "/" + std::to_string(i);
        UniqueFd file = open(name, O_CREAT | O_WRONLY);
        ASSERT_EQ(::write(file.get(), "abc", 3), 3);
        ASSERT_EQ(::rename(at(name).c_str(), at(name + "x").c_str()), 0);
      }
    });
  }
  for (std::thread& program : programs) program.join();
  EXPECT_EQ(filesystem_->nodes(), 1u + 8 * 201);
}

TEST_F(FuseSessionTest, ShowsWhatItInvalidates) {
  mount();
  EXPECT_EQ(::access(at("late").c_str(), F_OK), -1);
  // The kernel believes for an hour that the name is not there; make it behind its back.
  const Caller caller;
  ASSERT_TRUE(filesystem_->make_node(kRootIno, "late", S_IFREG | 0644, 0, "", caller).ok());
  EXPECT_EQ(::access(at("late").c_str(), F_OK), -1);
  session_->invalidate_entry(kRootIno, "late");
  EXPECT_EQ(::access(at("late").c_str(), F_OK), 0);
  const Ino node = stat_path("late").st_ino;
  SetAttributes change;
  change.permissions = 0600;
  ASSERT_TRUE(filesystem_->set_attributes(node, change, std::nullopt, caller).ok());
  EXPECT_EQ(stat_path("late").st_mode, S_IFREG | 0644u);
  session_->invalidate_node(node);
  EXPECT_EQ(stat_path("late").st_mode, S_IFREG | 0600u);
}

TEST_F(FuseSessionTest, IsReadOnlyWhenAskedTo) {
  mount({}, true);
  EXPECT_EQ(::mkdir(at("directory").c_str(), 0755), -1);
  EXPECT_EQ(errno, EROFS);
}

/// Keeps the memory of what is written, for as long as it is told to.
class KeepingFilesystem : public NullFilesystem {
 public:
  KeepingFilesystem() : NullFilesystem(Options()) {}
  Result<size_t> write(Ino, uint64_t, uint64_t, ByteView data, WriteOptions options) override {
    std::lock_guard lock(mutex);
    given += options.memory ? 1 : 0;
    kept.emplace_back(data, std::move(options.memory));
    return data.size();
  }
  std::mutex mutex;
  size_t given = 0;
  std::vector<std::pair<ByteView, std::shared_ptr<const void>>> kept;
};

TEST_F(FuseSessionTest, WhatIsKeptOfALargeWriteStaysAsItWas) {
  auto keeping = std::make_unique<KeepingFilesystem>();
  KeepingFilesystem& filesystem = *keeping;
  filesystem_ = std::move(keeping);
  SessionOptions chosen = options();
  chosen.io_uring = false;  // a ring's memory stays with the ring
  session_ = std::make_unique<FuseSession>(filesystem, chosen);
  ASSERT_TRUE(session_->mount().ok());
  UniqueFd file = open("file", O_CREAT | O_WRONLY);
  constexpr size_t kWrites = 20, kSize = 1 << 20;
  for (size_t i = 0; i < kWrites; i++) {
    const Bytes data(kSize, static_cast<uint8_t>(i + 1));
    ASSERT_EQ(::pwrite(file.get(), data.data(), kSize, static_cast<off_t>(i * kSize)), kSize);
  }
  ASSERT_EQ(::pwrite(file.get(), "small", 5, 0), 5);
  std::lock_guard lock(filesystem.mutex);
  EXPECT_EQ(filesystem.given, kWrites) << "but not of the small one";
  for (size_t i = 0; i < kWrites; i++) {
    const Bytes expected(kSize, static_cast<uint8_t>(i + 1));
    EXPECT_TRUE(std::equal(filesystem.kept[i].first.begin(), filesystem.kept[i].first.end(),
                           expected.begin(), expected.end()));
  }
}

}  // namespace
}  // namespace varve
