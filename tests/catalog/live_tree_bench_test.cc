// Goal: a directory of very many entries is made and listed without cost growing with its size.
// Times are printed, never asserted.
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "catalog/live_tree.h"
#include "dedup/base/lmdb_kv.h"
#include "tests/support/temporary_directory.h"

namespace varve {
namespace {

/// Of the processor's time: the machine may have others to serve.
class Stopwatch {
 public:
  void print(const char* what, size_t count) {
    double spent = static_cast<double>(std::clock() - begin_) * 1e6 / CLOCKS_PER_SEC;
    std::printf("%-10s %8zu: %7.2f us each\n", what, count, spent / static_cast<double>(count));
    begin_ = std::clock();
  }

 private:
  std::clock_t begin_ = std::clock();
};

size_t entry_count() {
  const char* given = std::getenv("VARVE_ENTRIES");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 100'000;
}

TEST(LiveTreeBench, OneDirectoryOfManyEntries) {
  const size_t count = entry_count();
  constexpr size_t kStagedBytesMax = 48u << 20;
  TemporaryDirectory directory;
  auto base = open_lmdb_kv(directory.path()).value();
  StagedKv kv(*base);
  auto tree = LiveTree::open(kv, nullptr, system_clock(), system_random()).value();
  auto commit = [&] {
    bool froze = false;
    ASSERT_TRUE(tree->exclusively([&]() -> Result<void> {
                      froze = kv.freeze();
                      return {};
                    })
                    .ok());
    if (froze) {
      ASSERT_TRUE(kv.commit_frozen({}).ok());
    }
  };
  NewFile file;
  file.type = FileType::kDirectory;
  Ino set = tree->create(kRootIno, "set", file).value().ino;
  file.type = FileType::kFile;

  std::vector<Ino> made(count);
  Stopwatch watch;
  for (size_t i = 0; i < count; i++) {
    auto entry = tree->create(set, "file number " + std::to_string(i), file);
    ASSERT_TRUE(entry.ok());
    made[i] = entry->ino;
    if (kv.staged_bytes() > kStagedBytesMax) commit();
  }
  watch.print("create", count);
  commit();
  watch.print("commit", count);
  AttributeChange change;
  for (size_t i = 0; i < count; i++) {
    change.mtime = static_cast<Nanoseconds>(i);
    ASSERT_TRUE(tree->change(made[i], change).ok());
    if (kv.staged_bytes() > kStagedBytesMax) commit();
  }
  watch.print("change", count);
  for (size_t i = 0; i < count; i++) {
    ASSERT_EQ(tree->lookup(set, "file number " + std::to_string(i)).value().ino, made[i]);
  }
  watch.print("lookup", count);
  for (size_t i = 0; i < count; i++)
    ASSERT_FALSE(tree->lookup(set, "none " + std::to_string(i)).ok());
  watch.print("miss", count);
  size_t listed = 0;
  uint64_t last = 0;
  for (bool more = true; more;) {
    size_t piece = 0;
    ASSERT_TRUE(tree->list(set, last,
                           [&](const LiveTree::Listed& entry) {
                             last = entry.cookie;
                             listed++;
                             return ++piece < 1000;
                           })
                    .ok());
    more = piece == 1000;
  }
  EXPECT_EQ(listed, count);
  watch.print("list", count);
  LiveTree::ContentChange content;
  content.extents.resize(1);
  content.extents[0].length = content.to = 10'000;
  for (size_t i = 0; i < count; i++) {
    ASSERT_TRUE(tree->change_content(made[i], content).ok());
    if (kv.staged_bytes() > kStagedBytesMax) commit();
  }
  watch.print("content", count);
  for (size_t i = 0; i < count; i++) {
    ASSERT_TRUE(tree->unlink(set, "file number " + std::to_string(i)).ok());
    ASSERT_TRUE(tree->release(made[i]).ok());
    if (kv.staged_bytes() > kStagedBytesMax) commit();
  }
  watch.print("unlink", count);
  commit();
  watch.print("commit", count);
  EXPECT_EQ(tree->figures().files, 2u);
}

}  // namespace
}  // namespace varve
