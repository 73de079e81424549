// Goal: figures of snapshots on a real disk, by hand: --gtest_also_run_disabled_tests
// --gtest_filter='*Figures*'.
#include <chrono>
#include <cstdio>
#include <ctime>

#include "dedup/base/lmdb_kv.h"
#include "tests/catalog/catalog_world.h"
#include "tests/support/temporary_directory.h"

namespace varve {
namespace {

class Stopwatch {
 public:
  double lap() {
    auto now = std::chrono::steady_clock::now();
    double seconds = std::chrono::duration<double>(now - start_).count();
    std::clock_t used = std::clock();
    std::printf("[%.3f s of processor time] ", static_cast<double>(used - used_) / CLOCKS_PER_SEC);
    start_ = now;
    used_ = used;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::clock_t used_ = std::clock();
};

TEST(Figures, DISABLED_SnapshotOfManyFiles) {
  constexpr int kDirectories = 1000, kFiles = 100;
  TemporaryDirectory directory;
  CatalogWorld world(must(open_lmdb_kv(directory.path())));
  Ino top = world.make_directory(kRootIno, "web");
  Stopwatch watch;
  for (int i = 0; i < kDirectories; i++) {
    Ino below = world.make_directory(top, "directory" + std::to_string(i));
    for (int j = 0; j < kFiles; j++) {
      Ino file = world.make(below, "some file " + std::to_string(j)).ino;
      world.write(file, 0, std::to_string(i) + " " + std::to_string(j));
    }
  }
  must(world.committer.commit());
  std::printf("made and committed %d files: %.2f s\n", kDirectories * kFiles, watch.lap());
  uint64_t stored = world.stored();
  SnapshotInfo info = world.take(top, "first");
  std::printf("first snapshot: %.3f s\n", watch.lap());
  std::printf("objects: %llu\n", static_cast<unsigned long long>(world.stored() - stored));
  watch.lap();
  world.take(top, "second");
  std::printf("unchanged snapshot: %.4f s\n", watch.lap());
  Ino below = must(world.tree->lookup(top, "directory7")).ino;
  world.write(must(world.tree->lookup(below, "some file 7")).ino, 0, "changed");
  world.take(top, "third");
  std::printf("snapshot of one changed file: %.4f s\n", watch.lap());
  SnapshotReader reader = world.reader(info);
  int seen = 0;
  must(reader.list(reader.top(), "", true, [&](TreeEntry& entry) -> Result<bool> {
    VARVE_TRY(reader.list(entry, "", true, [&](TreeEntry&) -> Result<bool> { return ++seen > 0; }));
    return true;
  }));
  std::printf("listed %d files: %.3f s\n", seen, watch.lap());
}

}  // namespace
}  // namespace varve
