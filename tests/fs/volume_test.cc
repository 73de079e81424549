// Goal: the volume over a real store does what a filesystem must: what is written is read, after
// flushes, crashes and in snapshots too.
#include "fs/volume.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/fs/volume_world.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

using testing::ElementsAre;

struct VolumeTest : testing::Test, VolumeWorld {
  void SetUp() override {
    mount();
    set_ = directory_of(kRootIno, "web");
  }
  void TearDown() override {
    if (volume) unmount();
  }
  Ino set_ = 0;
};

TEST_F(VolumeTest, WhatWasSyncedSurvivesACrash) {
  Filesystem::Created made = create(set_, "f");
  Bytes bytes = content(1, 700'000);
  write_all(made.entry.attributes.ino, made.file.handle, 0, bytes);
  ASSERT_TRUE(volume->sync(made.entry.attributes.ino, made.file.handle, false).ok());
  volume->release(made.entry.attributes.ino, made.file.handle);
  kill();
  mount();
  EXPECT_EQ(read_all(find(kRootIno, "web/f")), bytes);
}

TEST_F(VolumeTest, WhatOnlyMemoryHasSurvivesUnmounting) {
  put(set_, "f", content(1, 1'000));
  unmount();
  mount();
  Ino ino = find(kRootIno, "web/f");
  auto opened = volume->open(ino, O_RDWR, false, Caller{});
  ASSERT_TRUE(opened.ok());
  write_all(ino, opened->handle, 0, content(2, 1'000));
  unmount();
  mount();
  EXPECT_EQ(read_all(find(kRootIno, "web/f")), content(2, 1'000));
}

TEST_F(VolumeTest, ARenameOverAFileShowsOldOrNewAfterACrash) {
  put(set_, "f", content(1, 9'000));
  ASSERT_TRUE(volume->sync_all().ok());
  Filesystem::Created made = create(set_, "new");
  write_all(made.entry.attributes.ino, made.file.handle, 0, content(2, 8'000));
  ASSERT_TRUE(volume->rename(set_, "new", set_, "f", 0).ok());
  commit();
  volume->release(made.entry.attributes.ino, made.file.handle);
  kill();
  mount();
  EXPECT_EQ(read_all(find(kRootIno, "web/f")), content(2, 8'000));
}

TEST_F(VolumeTest, AnOpenFileOfARemovedSetKeepsNoSnapshotFromBeingTaken) {
  Ino other = directory_of(kRootIno, "other");
  Filesystem::Created made = create(other, "f");
  ASSERT_TRUE(volume->unlink(other, "f").ok());
  write_all(made.entry.attributes.ino, made.file.handle, 0, content(1, 1'000));
  ASSERT_TRUE(volume->remove_directory(kRootIno, "other", root_user).ok());
  EXPECT_TRUE(volume->take_snapshot("web", "one").ok());
  EXPECT_TRUE(volume->checkpoint().ok());
  volume->release(made.entry.attributes.ino, made.file.handle);
}

TEST_F(VolumeTest, SnapshotsShowTheirMomentAndAreReadOnly) {
  Bytes before = content(1, 200'000), after = content(2, 100'000);
  put(set_, "f", before);
  Ino snapshots = find(set_, ".varve/snapshots");
  ASSERT_NE(snapshots, 0u);
  ASSERT_TRUE(volume->make_node(snapshots, "one", S_IFDIR | 0755, 0, "", root_user).ok());
  EXPECT_EQ(volume->make_node(snapshots, "one", S_IFDIR | 0755, 0, "", root_user).error().code(),
            Errc::kExists);
  EXPECT_EQ(volume->make_node(snapshots, "x.tar", S_IFDIR | 0755, 0, "", root_user).error().code(),
            Errc::kInvalid);
  EXPECT_EQ(volume->make_node(snapshots, "two", S_IFDIR | 0755, 0, "", Caller{1000, 1000, 1, 022})
                .error()
                .code(),
            Errc::kPermission);
  ASSERT_TRUE(volume->unlink(set_, "f").ok());
  put(set_, "g", after);
  Ino top = find(snapshots, "one");
  EXPECT_THAT(names(snapshots), ElementsAre("one"));
  EXPECT_THAT(names(top), ElementsAre("f"));
  EXPECT_THAT(names(top, true), ElementsAre("f"));
  Ino file = find(top, "f");
  EXPECT_EQ(read_all(file), before);
  EXPECT_EQ(volume->open(file, O_RDWR, false, Caller{}).error().code(), Errc::kReadOnly);
  EXPECT_EQ(volume->unlink(top, "f").error().code(), Errc::kReadOnly);
  EXPECT_EQ(volume->set_attributes(file, {}, std::nullopt, root_user).error().code(),
            Errc::kReadOnly);
  EXPECT_EQ(volume->make_node(top, "d", S_IFDIR | 0755, 0, "", root_user).error().code(),
            Errc::kReadOnly);
  EXPECT_THAT(names(set_), ElementsAre("g"));  // .varve is never listed
  ASSERT_TRUE(volume->remove_directory(snapshots, "one", root_user).ok());
  EXPECT_EQ(find(snapshots, "one"), 0u);
}

TEST_F(VolumeTest, TheWayIntoASnapshotIsNotAskedForAtEveryStep) {
  put(set_, "f", content(1, 1'000));
  ASSERT_TRUE(volume->take_snapshot("web", "one").ok());
  Ino at = set_;
  for (const char* name : {".varve", "snapshots", "one", "f"}) {
    Result<Entry> entry = volume->lookup(at, name);
    ASSERT_TRUE(entry.ok()) << name;
    EXPECT_GT(entry->timeout_seconds, 0) << name;
    at = entry->attributes.ino;
  }
  EXPECT_EQ(volume->lookup(find(kRootIno, ".varve"), "status.json")->timeout_seconds, 0);
  EXPECT_EQ(volume->lookup(find(set_, ".varve/snapshots"), "two")->timeout_seconds, 0);
}

TEST_F(VolumeTest, AWholeMountsSnapshotHoldsTheSetsBesideTheRootsFiles) {
  put(kRootIno, "readme", content(1, 100));
  put(set_, "f", content(2, 1000));
  directory_of(kRootIno, "db");
  ASSERT_TRUE(volume->take_snapshot("", "all").ok());
  Ino top = find(kRootIno, ".varve/snapshots/all");
  ASSERT_NE(top, 0u);
  EXPECT_THAT(names(top), ElementsAre("db", "readme", "web"));
  EXPECT_THAT(names(top, true), ElementsAre("db", "readme", "web"));
  EXPECT_EQ(read_all(find(top, "web/f")), content(2, 1000));
}

TEST_F(VolumeTest, AnUnlinkedFileLivesUntilItIsForgotten) {
  Filesystem::Created made = create(set_, "f");
  Ino ino = made.entry.attributes.ino;
  write_all(ino, made.file.handle, 0, content(1, 50'000));
  ASSERT_TRUE(volume->unlink(set_, "f").ok());
  EXPECT_EQ(find(set_, "f"), 0u);
  EXPECT_EQ(volume->get_attributes(ino, std::nullopt)->attributes.links, 0u);
  write_all(ino, made.file.handle, 50'000, content(2, 50'000));
  EXPECT_EQ(read_range(ino, made.file.handle, 0, 50'000), content(1, 50'000));
  volume->release(ino, made.file.handle);
  volume->forget(ino, 1);
  EXPECT_EQ(volume->get_attributes(ino, std::nullopt).error().code(), Errc::kStale);
}

TEST_F(VolumeTest, ARenameOverAnOpenFileKeepsItReadable) {
  Filesystem::Created old = create(set_, "f");
  write_all(old.entry.attributes.ino, old.file.handle, 0, content(1, 9'000));
  put(set_, "new", content(2, 8'000));
  ASSERT_TRUE(volume->rename(set_, "new", set_, "f", 0).ok());
  EXPECT_EQ(read_range(old.entry.attributes.ino, old.file.handle, 0, 9'000), content(1, 9'000));
  EXPECT_EQ(read_all(find(set_, "f")), content(2, 8'000));
  volume->release(old.entry.attributes.ino, old.file.handle);
  volume->forget(old.entry.attributes.ino, 1);
}

TEST_F(VolumeTest, TimesThatAreSetCountOverThoseOfWritesBefore) {
  Filesystem::Created made = create(set_, "f");
  Ino ino = made.entry.attributes.ino;
  write_all(ino, made.file.handle, 0, content(1, 5'000));
  SetAttributes change;
  change.mtime = change.atime = Nanoseconds{1'000'000'007};
  ASSERT_TRUE(volume->set_attributes(ino, change, made.file.handle, root_user).ok());
  volume->release(ino, made.file.handle);
  ASSERT_TRUE(volume->sync_all().ok());
  EXPECT_EQ(volume->get_attributes(ino, std::nullopt)->attributes.mtime, 1'000'000'007);
  auto opened = volume->open(ino, O_WRONLY, false, Caller{});
  write_all(ino, opened->handle, 0, content(2, 10));
  EXPECT_GT(volume->get_attributes(ino, std::nullopt)->attributes.mtime, 1'000'000'007);
  volume->release(ino, opened->handle);
}

TEST_F(VolumeTest, CloningStoresNothing) {
  put(set_, "f", content(1, 2'000'000));
  ASSERT_TRUE(volume->sync_all().ok());
  uint64_t before = metrics.counter("varve_ingest_raw_bytes_total", "").value();
  Ino from = find(set_, "f");
  auto source = volume->open(from, O_RDONLY, false, Caller{});
  Filesystem::Created target = create(set_, "g");
  Ino to = target.entry.attributes.ino;
  EXPECT_EQ(*volume->copy_range(from, source->handle, 0, to, target.file.handle, 0, 3'000'000),
            2'000'000u);
  volume->release(from, source->handle);
  volume->release(to, target.file.handle);
  EXPECT_EQ(read_all(to), content(1, 2'000'000));
  EXPECT_EQ(metrics.counter("varve_ingest_raw_bytes_total", "").value(), before);
}

TEST_F(VolumeTest, HolesAreFound) {
  Filesystem::Created made = create(set_, "f");
  Ino ino = made.entry.attributes.ino;
  write_all(ino, made.file.handle, 1'000'000, content(1, 1'000));
  for (int flushed = 0; flushed < 2; flushed++) {
    EXPECT_EQ(*volume->seek(ino, made.file.handle, 0, SEEK_DATA), 1'000'000u);
    EXPECT_EQ(*volume->seek(ino, made.file.handle, 0, SEEK_HOLE), 0u);
    EXPECT_EQ(*volume->seek(ino, made.file.handle, 1'000'500, SEEK_HOLE), 1'001'000u);
    EXPECT_EQ(volume->seek(ino, made.file.handle, 1'001'000, SEEK_DATA).error().code(),
              Errc::kNoDevice);
    ASSERT_TRUE(volume->sync_all().ok());
  }
  EXPECT_LE(volume->get_attributes(ino, std::nullopt)->attributes.allocated, 4096u);
  volume->release(ino, made.file.handle);
}

TEST_F(VolumeTest, HolesOfExabytesAreCrossedAtOnce) {
  constexpr uint64_t kFar = uint64_t{1} << 62;
  Filesystem::Created made = create(set_, "f");
  Ino ino = made.entry.attributes.ino;
  write_all(ino, made.file.handle, kFar, content(1, 1'000));
  SetAttributes change;
  change.size = kFileBytesMax;
  ASSERT_TRUE(volume->set_attributes(ino, change, made.file.handle, root_user).ok());
  EXPECT_EQ(*volume->seek(ino, made.file.handle, 5, SEEK_DATA), kFar);
  ASSERT_TRUE(volume->take_snapshot("web", "one").ok());
  Ino saved = find(set_, ".varve/snapshots/one/f");
  auto opened = volume->open(saved, O_RDONLY, false, Caller{});
  ASSERT_TRUE(opened.ok());
  for (auto [node, handle] : {std::pair(ino, made.file.handle), std::pair(saved, opened->handle)}) {
    EXPECT_EQ(*volume->seek(node, handle, 5, SEEK_DATA), kFar);
    EXPECT_EQ(*volume->seek(node, handle, kFar + 1, SEEK_HOLE), kFar + 1'000);
    EXPECT_EQ(volume->seek(node, handle, kFar + 1'000, SEEK_DATA).error().code(), Errc::kNoDevice);
  }
  EXPECT_EQ(read_range(saved, opened->handle, kFar, 1'000), content(1, 1'000));
  volume->release(saved, opened->handle);
  volume->release(ino, made.file.handle);
}

TEST_F(VolumeTest, RevertsToASnapshotAndBack) {
  put(set_, "f", content(1, 100'000));
  ASSERT_TRUE(volume->take_snapshot("web", "one").ok());
  put(set_, "g", content(2, 100'000));
  ASSERT_TRUE(volume->unlink(set_, "f").ok());
  auto saved = volume->revert("web", "one");
  ASSERT_TRUE(saved.ok()) << saved.error().message();
  EXPECT_THAT(names(find(kRootIno, "web")), ElementsAre("f"));
  EXPECT_EQ(read_all(find(kRootIno, "web/f")), content(1, 100'000));
  ASSERT_TRUE(volume->revert("web", *saved).ok());
  EXPECT_EQ(read_all(find(kRootIno, "web/g")), content(2, 100'000));
  EXPECT_EQ(volume->revert("web", "none").error().code(), Errc::kNotFound);
}

TEST_F(VolumeTest, AFileThatARevertBringsBackIsNotWithoutANameAnyMore) {
  Filesystem::Created made = create(set_, "f");
  const Ino ino = made.entry.attributes.ino;
  write_all(ino, made.file.handle, 0, content(1, 10'000));
  ASSERT_TRUE(volume->take_snapshot("web", "one").ok());
  ASSERT_TRUE(volume->unlink(set_, "f").ok());  // still open, and known to the kernel
  ASSERT_TRUE(volume->revert("web", "one").ok());
  ASSERT_EQ(find(set_, "f"), ino);
  volume->release(ino, made.file.handle);
  SetAttributes longer;
  longer.size = 20'000;
  ASSERT_TRUE(volume->set_attributes(ino, longer, std::nullopt, root_user).ok());
  volume->forget(ino, 2);  // the kernel wants its memory back
  EXPECT_EQ(volume->get_attributes(ino, std::nullopt)->attributes.size, 20'000u);
}

TEST_F(VolumeTest, ARebuildGoesOnFromTheCheckpointOfAWriterThatWasRenewed) {
  put(set_, "f", content(1, 1000));
  unmount();
  const std::string local = root + "/local", image = directory / "image";
  std::filesystem::copy(local, image, std::filesystem::copy_options::recursive);
  mount();
  ASSERT_TRUE(volume->take_snapshot("web", "one").ok());
  unmount();
  lose_local();
  std::filesystem::copy(image, local, std::filesystem::copy_options::recursive);
  mount();  // which meets its own id, and goes on as another writer
  put(find(kRootIno, "web"), "g", content(2, 1000));
  auto taken = volume->checkpoint();
  ASSERT_TRUE(taken.ok() && *taken);
  kill();
  lose_local();
  mount();
  EXPECT_EQ(read_all(find(kRootIno, "web/g")), content(2, 1000));
}

TEST_F(VolumeTest, PrivilegesGoWithWrites) {
  Filesystem::Created made = create(set_, "f");
  Ino ino = made.entry.attributes.ino;
  SetAttributes change;
  change.permissions = 06755;
  ASSERT_TRUE(volume->set_attributes(ino, change, std::nullopt, root_user).ok());
  ASSERT_TRUE(volume->set_xattr(ino, "security.capability", "cap", {}, root_user).ok());
  ASSERT_TRUE(volume->write(ino, made.file.handle, 0, as_bytes("x"), {false, true}).ok());
  EXPECT_EQ(volume->get_attributes(ino, std::nullopt)->attributes.permissions, 0755);
  EXPECT_EQ(volume->get_xattr(ino, "security.capability").error().code(), Errc::kNoAttribute);
  volume->release(ino, made.file.handle);
}

TEST_F(VolumeTest, TheSetOfARemovedDirectoryKeepsItsSnapshots) {
  put(set_, "f", content(1, 1'000));
  ASSERT_TRUE(volume->take_snapshot("web", "one").ok());
  ASSERT_TRUE(volume->unlink(set_, "f").ok());
  ASSERT_TRUE(volume->remove_directory(kRootIno, "web", root_user).ok());
  EXPECT_EQ(read_all(find(kRootIno, ".varve/sets/web/snapshots/one/f")), content(1, 1'000));
  directory_of(kRootIno, "web");
  EXPECT_EQ(find(kRootIno, ".varve/sets/web"), 0u);
  EXPECT_EQ(read_all(find(kRootIno, "web/.varve/snapshots/one/f")), content(1, 1'000));
}

TEST_F(VolumeTest, ManyThreadsWriteTheirOwnFilesWhileSnapshotsAreTaken) {
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 40; i++) {
        std::string name = std::to_string(t) + "-" + std::to_string(i);
        put(set_, name,
            content(static_cast<uint64_t>(1000 * t + i),
                    static_cast<size_t>(5'000 * (i % 40) + 1)));
      }
    });
  }
  for (int i = 0; i < 3; i++)
    EXPECT_TRUE(volume->take_snapshot("web", "s" + std::to_string(i)).ok());
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < kThreads; t++) {
    for (int i = 0; i < 40; i++) {
      Ino ino = find(set_, std::to_string(t) + "-" + std::to_string(i));
      EXPECT_EQ(read_all(ino), content(static_cast<uint64_t>(1000 * t + i),
                                       static_cast<size_t>(5'000 * (i % 40) + 1)));
    }
  }
}

}  // namespace
}  // namespace varve
