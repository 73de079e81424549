// Goal: a store that is only read shows every snapshot and the live trees with nothing written to
// it, by hints, by indexes where hints lead nowhere, and again after a storage that failed for a
// while.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>

#include "catalog/snapshot_reader.h"
#include "tests/catalog/store_world.h"

namespace varve {
namespace {

/// Gives nothing while it fails; notes what was opened, and that nothing was changed.
class WatchedStorage final : public Storage {
 public:
  struct Notes {
    std::atomic<bool> fails = false, changed = false;
    std::mutex mutex;
    std::set<std::string> opened;  // under mutex
  };
  WatchedStorage(std::unique_ptr<Storage> below, Notes& notes)
      : below_(std::move(below)), notes_(notes) {}

  Result<std::unique_ptr<StorageFile>> open_read(const std::string& path) override {
    if (notes_.fails) return Errc::kIo;
    {
      std::lock_guard lock(notes_.mutex);
      notes_.opened.insert(path);
    }
    return below_->open_read(path);
  }
  Result<std::vector<StorageEntry>> list(const std::string& path) override {
    if (notes_.fails) return Errc::kIo;
    return below_->list(path);
  }
  Result<bool> exists(const std::string& path) override {
    if (notes_.fails) return Errc::kIo;
    return below_->exists(path);
  }
  Result<StorageSpace> space() override { return below_->space(); }
  Result<std::unique_ptr<StorageFile>> open_write(const std::string&) override { return change(); }
  Result<std::unique_ptr<StorageFile>> create(const std::string&) override { return change(); }
  Result<void> rename(const std::string&, const std::string&) override { return change(); }
  Result<void> unlink(const std::string&) override { return change(); }
  Result<void> make_directories(const std::string&) override { return change(); }
  Result<void> sync_dir(const std::string&) override { return change(); }

 private:
  Error change() {
    notes_.changed = true;
    return Error(Errc::kReadOnly);
  }

  const std::unique_ptr<Storage> below_;
  Notes& notes_;
};

struct ReadingTest : ::testing::Test {
  StoreWorld site;
  std::string local = site.directory / "local";
  WatchedStorage::Notes notes;
  Metrics metrics;
  std::unique_ptr<WorkingCopy> reading;
  Bytes early = StoreWorld::content(1, 300'000), late = StoreWorld::content(2, 200'000);

  ReadingTest() {
    std::filesystem::create_directory(local);
    site.open();
    const Ino set = site.set("set");
    site.file(set, "early", early);
    site.commit();
    EXPECT_TRUE(site.snapshot("set", "one").ok());
    site.file(set, "late", late);
    site.commit();
    EXPECT_TRUE(site.snapshot("set", "two").ok());
    site.close();
    // What a remote does not have.
    std::filesystem::remove_all(site.root + "/local");
    std::filesystem::remove_all(site.root + "/replica");
  }
  Result<std::unique_ptr<WorkingCopy>> try_open() {
    auto place = std::make_unique<WatchedStorage>(open_posix_storage(site.root).value(), notes);
    WorkingCopy::Options options;
    options.read_only = true;
    options.threads = 1;
    options.cache_bytes = 0;  // every read is one of the storage
    return WorkingCopy::open(VARVE_TRY(open_reading_world(site.root, std::move(place), local)),
                             StoreWorld::secret(), options, metrics);
  }
  void open() {
    reading.reset();
    auto opened = try_open();
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    reading = std::move(opened).value();
  }
  void close() {
    ASSERT_TRUE(reading->finish(StoreWorld::at_once).ok());
    reading.reset();
  }
  Result<Bytes> in_snapshot(const std::string& snapshot, const std::string& name) {
    for (const SnapshotInfo& info : reading->history().snapshots()) {
      if (info.name != snapshot) continue;
      SnapshotBody body = VARVE_TRY(reading->look_into(info));
      SnapshotReader reader(reading->fetch(), body.trees[0]);
      const TreeEntry entry = VARVE_TRY(reader.lookup(reader.top(), name));
      Bytes bytes(entry.node.inode.size);
      bytes.resize(VARVE_TRY(reader.read(entry, 0, bytes)));
      return bytes;
    }
    return Errc::kNotFound;
  }
  Result<Bytes> live(const std::string& name) {
    const LiveEntry set = VARVE_TRY(reading->tree().lookup(kRootIno, "set"));
    const LiveEntry file = VARVE_TRY(reading->tree().lookup(set.ino, name));
    Bytes bytes(file.inode.size);
    for (const Extent& extent : VARVE_TRY(reading->tree().extents(file.ino, 0, bytes.size()))) {
      const ChunkBytes chunk = VARVE_TRY(reading->fetch().chunk(extent.chunk));
      std::memcpy(bytes.data() + extent.offset, chunk.bytes.data() + extent.chunk_offset,
                  extent.length);
    }
    return bytes;
  }
  uint64_t chunks_indexed() {
    const ChunkIndex::Figures figures = reading->index().figures();
    return figures.chunks_in_memory + figures.chunks_in_runs;
  }
  size_t packs_opened() {
    std::lock_guard lock(notes.mutex);
    return static_cast<size_t>(
        std::count_if(notes.opened.begin(), notes.opened.end(), [](const std::string& path) {
          return path.starts_with("packs/") || path.starts_with("catalog/");
        }));
  }
};

TEST_F(ReadingTest, HintsLeadToEverythingAndOpeningReadsNoPack) {
  open();
  EXPECT_EQ(packs_opened(), 0u);
  EXPECT_EQ(in_snapshot("one", "early").value(), early);
  EXPECT_EQ(in_snapshot("two", "late").value(), late);
  EXPECT_EQ(in_snapshot("one", "late").error().code(), Errc::kNotFound);
  EXPECT_EQ(live("early").value(), early);
  EXPECT_EQ(live("late").value(), late);
  EXPECT_EQ(chunks_indexed(), 0u);
  close();
  EXPECT_FALSE(notes.changed);
}

TEST_F(ReadingTest, ChunksAreFoundWithoutHints) {
  open();
  for (const std::string name : {"early", "late"}) {
    const LiveEntry set = reading->tree().lookup(kRootIno, "set").value();
    const LiveEntry file = reading->tree().lookup(set.ino, name).value();
    for (const Extent& extent : *reading->tree().extents(file.ino, 0, file.inode.size)) {
      // As where a pack was collected: hints are stale.
      const auto noted = reading->index().find(extent.chunk).value();
      ASSERT_TRUE(noted);
      reading->index().disappointed(extent.chunk, *noted);
      const ChunkPlace stale{PackId{}, 0};
      EXPECT_TRUE(reading->fetch().chunk(extent.chunk, {.hint = stale}).ok());
    }
  }
  EXPECT_FALSE(reading->fetch().chunk(ChunkId{}).ok());
  EXPECT_GT(chunks_indexed(), 0u);
  close();
}

TEST_F(ReadingTest, WhatADamagedPackHadIsReadFromAnotherThatHasItToo) {
  namespace fs = std::filesystem;
  const fs::path packs = fs::path(site.root) / "packs", aside = site.directory / "aside";
  fs::rename(packs, aside);
  site.open();
  EXPECT_FALSE(site.read("set/early"));
  site.file(site.set("other"), "again", early);
  site.commit();
  EXPECT_TRUE(site.snapshot("other", "again").ok());
  site.close();
  fs::remove_all(site.root + "/local");
  fs::remove_all(site.root + "/replica");
  for (const auto& entry : fs::recursive_directory_iterator(aside)) {
    if (!entry.is_regular_file()) continue;
    std::fstream pack(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    const auto length = static_cast<std::streamoff>(entry.file_size());
    for (std::streamoff at = length / 10; at < length / 2; at += 1000) {
      pack.seekp(at);
      pack.write("damaged", 7);
    }
  }
  fs::copy(aside, packs, fs::copy_options::recursive);
  open();
  EXPECT_EQ(in_snapshot("one", "early").value(), early);
  EXPECT_EQ(live("early").value(), early);
  EXPECT_FALSE(in_snapshot("two", "late").ok());
  close();
}

TEST_F(ReadingTest, AStorageThatFailsForAWhileIsAskedAgain) {
  open();
  notes.fails = true;
  EXPECT_EQ(in_snapshot("one", "early").error().code(), Errc::kIo);
  EXPECT_EQ(live("late").error().code(), Errc::kIo);
  EXPECT_EQ(reading->fetch().chunk(ChunkId{}).error().code(), Errc::kIo);
  EXPECT_FALSE(reading->history().refresh().ok());
  EXPECT_EQ(reading->history().snapshots().size(), 2u) << "what is known stays";
  notes.fails = false;
  EXPECT_EQ(in_snapshot("one", "early").value(), early);
  EXPECT_EQ(live("late").value(), late);
  EXPECT_EQ(reading->fetch().chunk(ChunkId{}).error().code(), Errc::kCorrupt);
  close();
}

TEST_F(ReadingTest, ALongHistoryIsReadManyFilesAtATime) {
  site.open();
  const Ino set = site.set("set");
  for (int i = 0; i < 100; i++) {
    site.file(set, "file " + std::to_string(i), StoreWorld::content(100 + i, 1000));
    site.commit();
    ASSERT_TRUE(site.snapshot("set", "s" + std::to_string(i)).ok());
  }
  site.close();
  std::filesystem::remove_all(site.root + "/local");
  std::filesystem::remove_all(site.root + "/replica");
  open();
  EXPECT_EQ(reading->history().snapshots().size(), 102u);
  // Lists are found over a chain that is longer than what is read at once.
  EXPECT_EQ(in_snapshot("s99", "early").value(), early);
  EXPECT_EQ(in_snapshot("s0", "file 0").value(), StoreWorld::content(100, 1000));
  EXPECT_EQ(live("file 99").value(), StoreWorld::content(199, 1000));
  EXPECT_EQ(chunks_indexed(), 0u);
  EXPECT_TRUE(reading->history().refresh().ok());
  close();
}

TEST_F(ReadingTest, ItOpensAgainInTheSamePlaceAndShowsWhatIsThereNow) {
  open();
  EXPECT_EQ(in_snapshot("two", "late").value(), late);
  close();
  site.open();  // the site has lost its local/, and goes on
  site.file(site.set("set"), "newest", early);
  site.commit();
  site.close();
  open();
  EXPECT_EQ(live("newest").value(), early);
  close();
}

TEST_F(ReadingTest, ADirectoryInUseForSomethingElseIsRefused) {
  std::filesystem::create_directory(local + "/db");
  EXPECT_EQ(try_open().error().code(), Errc::kInvalid);
  std::filesystem::remove(local + "/db");
  open();
  EXPECT_EQ(try_open().error().code(), Errc::kBusy);
  close();
}

}  // namespace
}  // namespace varve
