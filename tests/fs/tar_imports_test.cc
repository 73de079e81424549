// Goal: what is written to import.tar is in the set, durable, when the close after the archive's
// end returns; one import at a time; closes before that end nothing.
#include "fs/tar_imports.h"

#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "tests/fs/volume_world.h"
#include "tests/support/tar_bytes.h"

namespace varve {
namespace {

struct TarImportsTest : testing::Test, VolumeWorld {
  void SetUp() override {
    mount();
    set_ = directory_of(kRootIno, "web");
  }
  void TearDown() override {
    if (volume) unmount();
  }
  Result<OpenFile> open_door(const std::string& name = "import.tar") {
    return volume->open(find(set_, ".varve/" + name), O_WRONLY | O_TRUNC, false, root_user);
  }
  Result<size_t> write_at(const OpenFile& file, uint64_t offset, std::string_view bytes) {
    return volume->write(find(set_, ".varve/import.tar"), file.handle, offset, as_bytes(bytes), {});
  }
  Result<void> close(const OpenFile& file) {
    return volume->flush(find(set_, ".varve/import.tar"), file.handle);
  }
  void release(const OpenFile& file) {
    volume->release(find(set_, ".varve/import.tar"), file.handle);
  }
  Ino set_ = 0;
  const std::string archive_ = tar_of({{.path = "d/a", .content = "content of a"}});
};

TEST_F(TarImportsTest, IsDurableWhenCloseReturns) {
  OpenFile file = open_door().value();
  EXPECT_TRUE(close(file).ok()) << "a copy of the descriptor, before the first byte";
  ASSERT_TRUE(write_at(file, 0, archive_).ok());
  ASSERT_TRUE(close(file).ok());
  kill();
  mount();
  EXPECT_EQ(as_text(read_all(find(kRootIno, "web/d/a"))), "content of a");
}

TEST_F(TarImportsTest, TheArchivesEndIsTheEnd) {
  OpenFile file = open_door().value();
  for (size_t at = 0; at < archive_.size(); at += 512) {
    if (at > 0) {
      EXPECT_EQ(close(file).error().code(), Errc::kIo) << at;
    }
    ASSERT_TRUE(write_at(file, at, std::string_view(archive_).substr(at, 512)).ok()) << at;
  }
  EXPECT_TRUE(close(file).ok());
  EXPECT_TRUE(write_at(file, archive_.size(), std::string(512, '\0')).ok());
  EXPECT_EQ(write_at(file, archive_.size() + 512, "more").error().code(), Errc::kIo);
  release(file);
  EXPECT_NE(find(set_, "d/a"), 0u);
}

TEST_F(TarImportsTest, OneAtATimeInASet) {
  const Ino other = directory_of(kRootIno, "other");
  OpenFile file = open_door().value();
  EXPECT_EQ(open_door().error().code(), Errc::kBusy);
  EXPECT_EQ(open_door("import-replace.tar").error().code(), Errc::kBusy);
  auto elsewhere = volume->open(find(other, ".varve/import.tar"), O_WRONLY, false, root_user);
  ASSERT_TRUE(elsewhere.ok());
  ASSERT_TRUE(write_at(file, 0, archive_.substr(0, 700)).ok());
  ASSERT_EQ(volume->imports().size(), 2u);
  release(file);
  ASSERT_TRUE(open_door().ok());
  EXPECT_EQ(find(set_, "d/a"), 0u) << "it was broken before it was whole";
}

// The kernel releases a file some time after the close(2) that a script goes on from.
TEST_F(TarImportsTest, OneThatWasClosedIsWaitedFor) {
  OpenFile first = open_door().value();
  ASSERT_TRUE(write_at(first, 0, archive_.substr(0, 700)).ok());
  ASSERT_FALSE(close(first).ok());
  std::thread releases([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    release(first);
  });
  Result<OpenFile> second = open_door();
  releases.join();
  ASSERT_TRUE(second.ok()) << second.error().message();
  ASSERT_TRUE(write_at(*second, 0, archive_).ok());
  EXPECT_TRUE(close(*second).ok());
  release(*second);
}

TEST_F(TarImportsTest, SeekingIsRefused) {
  OpenFile file = open_door().value();
  EXPECT_EQ(write_at(file, 512, archive_).error().code(), Errc::kInvalid);
  ASSERT_TRUE(write_at(file, 0, archive_).ok());
  EXPECT_EQ(write_at(file, 0, archive_).error().code(), Errc::kInvalid);
  EXPECT_TRUE(close(file).ok());
  release(file);
}

TEST_F(TarImportsTest, ReplacesFilesThatAreOpenAndUnflushed) {
  const Ino d = directory_of(set_, "d");
  Filesystem::Created made = create(d, "a");
  write_all(made.entry.attributes.ino, made.file.handle, 0, as_bytes("old"));
  OpenFile file = open_door().value();
  ASSERT_TRUE(write_at(file, 0, archive_).ok());
  ASSERT_TRUE(close(file).ok());
  release(file);
  EXPECT_EQ(as_text(read_all(find(set_, "d/a"))), "content of a");
  EXPECT_EQ(as_text(read_range(made.entry.attributes.ino, made.file.handle, 0, 100)), "old");
  volume->release(made.entry.attributes.ino, made.file.handle);
}

TEST_F(TarImportsTest, AnUnmountInterruptsIt) {
  OpenFile file = open_door().value();
  ASSERT_TRUE(write_at(file, 0, archive_.substr(0, 512)).ok());
  volume->end_imports();
  EXPECT_FALSE(write_at(file, 512, archive_.substr(512)).ok());
  EXPECT_EQ(open_door().error().code(), Errc::kBusy);
}

}  // namespace
}  // namespace varve
