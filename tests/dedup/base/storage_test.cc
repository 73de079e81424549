// Goal: real and simulated storage keep one contract; the real one follows no link out and stays
// broken once broken.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "dedup/base/posix_storage.h"
#include "tests/support/simulated_storage.h"
#include "tests/support/temporary_directory.h"

namespace varve {
namespace {

enum class StorageKind { kPosix, kSimulated };

class StorageContract : public testing::TestWithParam<StorageKind> {
 protected:
  void SetUp() override {
    if (GetParam() == StorageKind::kPosix) {
      storage_ = open_posix_storage(directory_.path()).value();
    } else {
      storage_ = std::make_unique<SimulatedStorage>();
    }
  }
  std::vector<std::string> names(const std::string& path) {
    std::vector<std::string> result;
    for (const StorageEntry& entry : storage_->list(path).value()) {
      result.push_back(entry.name + (entry.is_directory ? "/" : ""));
    }
    std::sort(result.begin(), result.end());
    return result;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Storage> storage_;
};

INSTANTIATE_TEST_SUITE_P(, StorageContract,
                         testing::Values(StorageKind::kPosix, StorageKind::kSimulated),
                         [](const auto& which) {
                           return which.param == StorageKind::kPosix ? "Posix" : "Simulated";
                         });

TEST_P(StorageContract, WritesAndReadsAnywhere) {
  auto file = storage_->create("file").value();
  ASSERT_TRUE(file->write_at(5, as_bytes("world")).ok());
  ASSERT_TRUE(file->write_at(0, as_bytes("hello")).ok());
  EXPECT_EQ(*file->length(), 10u);
  Bytes out(20, 0xff);
  EXPECT_EQ(*file->read_at(2, out), 8u);
  EXPECT_EQ(as_text(ByteView(out).first(8)), "lloworld");
  EXPECT_EQ(*file->read_at(10, out), 0u);
  EXPECT_EQ(*file->read_at(1000, out), 0u);
  ASSERT_TRUE(file->truncate(3).ok());
  ASSERT_TRUE(file->write_at(5, as_bytes("x")).ok());
  ASSERT_TRUE(file->sync().ok());
  EXPECT_EQ(as_text(*read_whole(*storage_, "file", 100)), std::string_view("hel\0\0x", 6));
}

TEST_P(StorageContract, NamesTakenAndMissing) {
  ASSERT_TRUE(storage_->create("file").ok());
  EXPECT_EQ(storage_->create("file").error().code(), Errc::kExists);
  EXPECT_EQ(storage_->open_read("none").error().code(), Errc::kNotFound);
  EXPECT_EQ(storage_->open_write("none").error().code(), Errc::kNotFound);
  EXPECT_EQ(storage_->unlink("none").error().code(), Errc::kNotFound);
  EXPECT_EQ(storage_->rename("none", "other").error().code(), Errc::kNotFound);
  EXPECT_EQ(storage_->list("none").error().code(), Errc::kNotFound);
  EXPECT_EQ(storage_->create("none/file").error().code(), Errc::kNotFound);
  EXPECT_EQ(storage_->sync_dir("none").error().code(), Errc::kNotFound);
  EXPECT_FALSE(*storage_->exists("none"));
  EXPECT_FALSE(*storage_->exists("none/none"));
  EXPECT_TRUE(*storage_->exists("file"));
}

TEST_P(StorageContract, DirectoriesAndRename) {
  ASSERT_TRUE(storage_->make_directories("a/b/c").ok());
  ASSERT_TRUE(storage_->make_directories("a/b").ok());
  ASSERT_TRUE(storage_->make_directories("").ok());
  ASSERT_TRUE(write_whole(*storage_, "a/one", as_bytes("1")).ok());
  ASSERT_TRUE(write_whole(*storage_, "a/b/two", as_bytes("2")).ok());
  ASSERT_TRUE(storage_->rename("a/one", "a/b/two").ok());
  ASSERT_TRUE(storage_->sync_dir("a/b").ok());
  ASSERT_TRUE(storage_->sync_dir("").ok());
  EXPECT_EQ(names("a"), std::vector<std::string>{"b/"});
  EXPECT_EQ(names("a/b"), (std::vector<std::string>{"c/", "two"}));
  EXPECT_EQ(names(""), std::vector<std::string>{"a/"});
  EXPECT_EQ(as_text(*read_whole(*storage_, "a/b/two", 9)), "1");
  EXPECT_TRUE(*storage_->exists("a/b"));
}

TEST_P(StorageContract, FilesOutliveTheirNames) {
  ASSERT_TRUE(write_whole(*storage_, "file", as_bytes("kept")).ok());
  auto file = storage_->open_read("file").value();
  ASSERT_TRUE(storage_->unlink("file").ok());
  Bytes out(4);
  EXPECT_EQ(*file->read_at(0, out), 4u);
  EXPECT_EQ(as_text(out), "kept");
}

TEST_P(StorageContract, WholeFiles) {
  ASSERT_TRUE(write_whole(*storage_, "file", as_bytes("first")).ok());
  ASSERT_TRUE(write_whole(*storage_, "file", as_bytes("second")).ok());
  EXPECT_EQ(names(""), std::vector<std::string>{"file"}) << "no temporary name stays";
  EXPECT_EQ(as_text(*read_whole(*storage_, "file", 6)), "second");
  EXPECT_EQ(read_whole(*storage_, "file", 5).error().code(), Errc::kTooLarge);
  ASSERT_TRUE(write_whole(*storage_, "empty", {}).ok());
  EXPECT_TRUE(read_whole(*storage_, "empty", 0)->empty());
  EXPECT_FALSE(write_whole(*storage_, "none/file", as_bytes("x")).ok());
}

TEST_P(StorageContract, ReservingLeavesTheLength) {
  auto file = storage_->create("file").value();
  ASSERT_TRUE(file->reserve(1 << 20).ok());
  ASSERT_TRUE(file->reserve(0).ok());
  EXPECT_EQ(*file->length(), 0u);
  ASSERT_TRUE(file->write_at(0, as_bytes("x")).ok());
  EXPECT_EQ(*file->length(), 1u);
  EXPECT_GT(storage_->space()->total, 0u);
}

class PosixStorage : public testing::Test {
 protected:
  TemporaryDirectory directory_;
  std::unique_ptr<Storage> storage_ = open_posix_storage(directory_.path()).value();
};

TEST_F(PosixStorage, LinksAreNotFollowed) {
  TemporaryDirectory elsewhere;
  ASSERT_TRUE(
      write_whole(*open_posix_storage(elsewhere.path()).value(), "secret", as_bytes("x")).ok());
  ASSERT_EQ(::symlink(elsewhere.path().c_str(), (directory_ / "directory").c_str()), 0);
  ASSERT_EQ(::symlink((elsewhere / "secret").c_str(), (directory_ / "file").c_str()), 0);
  EXPECT_FALSE(storage_->open_read("file").ok());
  EXPECT_FALSE(storage_->open_write("file").ok());
  EXPECT_FALSE(storage_->open_read("directory/secret").ok());
  EXPECT_FALSE(storage_->list("directory").ok());
  EXPECT_FALSE(storage_->make_directories("directory/new").ok());
  EXPECT_EQ(storage_->create("file").error().code(), Errc::kExists);
}

TEST_F(PosixStorage, PathsStayBelowTheRoot) {
  for (const char* path : {"", "/etc/passwd", "../x", "a/../x", "a//b", "a/", ".", "a/./b"}) {
    EXPECT_EQ(storage_->create(path).error().code(), Errc::kInvalid) << path;
    EXPECT_EQ(storage_->open_read(path).error().code(), Errc::kInvalid) << path;
  }
}

TEST_F(PosixStorage, WhatIsNoFileIsNotRead) {
  ASSERT_EQ(::mkfifo((directory_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(storage_->open_read("fifo").error().code(), Errc::kInvalid);
  ASSERT_TRUE(storage_->make_directories("directory").ok());
  EXPECT_EQ(storage_->open_read("directory").error().code(), Errc::kIsDirectory);
}

TEST_F(PosixStorage, RootMustBeADirectory) {
  EXPECT_EQ(open_posix_storage(directory_ / "none").error().code(), Errc::kNotFound);
  ASSERT_TRUE(write_whole(*storage_, "file", {}).ok());
  EXPECT_EQ(open_posix_storage(directory_ / "file").error().code(), Errc::kNotDirectory);
}

/// Files can grow to 4 KiB for as long as this lives.
class FileSizeLimit {
 public:
  FileSizeLimit() {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit{4096, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(PosixStorage, BrokenStaysBroken) {
  auto file = storage_->create("file").value();
  {
    FileSizeLimit limit;
    Bytes bytes(8192, 1);
    EXPECT_EQ(file->write_at(0, bytes).error().code(), Errc::kTooLarge);
  }
  EXPECT_EQ(file->write_at(0, as_bytes("x")).error().code(), Errc::kTooLarge);
  EXPECT_EQ(file->sync().error().code(), Errc::kTooLarge);
  EXPECT_EQ(file->truncate(0).error().code(), Errc::kTooLarge);
  EXPECT_TRUE(storage_->open_write("file").value()->sync().ok())
      << "another descriptor is another object";
}

}  // namespace
}  // namespace varve
