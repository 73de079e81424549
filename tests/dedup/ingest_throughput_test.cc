// Goal: see by hand how fast the pipeline is (no assertion on time): run with
// --gtest_also_run_disabled_tests --gtest_filter='*Throughput*', VARVE_BENCH_FILE naming a file of
// real data, VARVE_BENCH_DIR a directory for packs.

#include <cstdlib>
#include <ctime>
#include <iostream>

#include "dedup/base/clock.h"
#include "dedup/base/posix_storage.h"
#include "dedup/chunker.h"
#include "tests/dedup/ingest_world.h"
#include "tests/support/temporary_directory.h"

namespace varve {
namespace {

constexpr size_t kThreads = 2;

/// Runs `work` over `bytes` and prints MB/s, and MB per second of all threads together: on a busy
/// machine that figure is the one to trust.
template <typename Work>
void measure(const char* name, size_t bytes, Work work) {
  const Nanoseconds start = system_clock().monotonic();
  const std::clock_t start_processor = std::clock();
  work();
  const double processor = static_cast<double>(std::clock() - start_processor) / CLOCKS_PER_SEC;
  const double seconds = static_cast<double>(system_clock().monotonic() - start) / 1e9;
  std::cout << name << ": " << static_cast<double>(bytes) / 1e6 / seconds << " MB/s, "
            << static_cast<double>(bytes) / 1e6 / processor << " MB per processor second"
            << std::endl;
}

struct Bench {
  TemporaryDirectory directory;
  std::unique_ptr<Storage> storage = open_posix_storage(directory.path()).value();
  Keyring keyring = test_keyring();
  Hasher hasher{keyring};
  Metrics metrics;
  PackStore packs{*storage, keyring, system_random(), id_of<WriterId>(5), metrics};
  std::unique_ptr<ChunkIndex> index = make_memory_chunk_index();
  std::unique_ptr<Executor> executor = make_thread_pool("bench", kThreads, 2 * kThreads);

  void run(const char* name, ByteView data) {
    std::cout << name << ", " << data.size() / 1000000 << " MB" << std::endl;
    Ingest ingest(packs, *index, hasher, *executor, metrics, {});
    std::vector<ChunkId> ids;
    const auto put_all = [&] {
      const Chunker chunker(keyring, ChunkerSizes::of_average(32 * kKiB).value());
      auto stream = ingest.open_stream(SegmentType::kChunks, Ingest::Access::kSequential);
      ids.clear();
      for (ByteView rest = data; !rest.empty();) {
        const size_t length = chunker.cut(rest);
        ids.push_back(ingest.put(*stream, rest.first(length)).value().id);
        rest = rest.subspan(length);
      }
    };
    measure("  new, cut and appended", data.size(), [&] {
      put_all();
      ASSERT_TRUE(ingest.flush().ok());
    });
    measure("  known", data.size(), put_all);
    ASSERT_TRUE(ingest.seal_open(PackClass::kData).ok());
    Fetch fetch(packs, *index, nullptr, nullptr, metrics, 16 * kMiB);
    measure("  fetched by one thread", data.size(), [&] {
      for (const ChunkId& id : ids) ASSERT_TRUE(fetch.chunk(id).ok());
    });
    std::cout << "  compressed so far: "
              << metrics.counter("varve_ingest_compressed_bytes_total", "").value() / 1000000
              << " MB, packs: " << metrics.counter("varve_pack_bytes_total", "").value() / 1000000
              << " MB" << std::endl;
  }
};

TEST(IngestThroughput, DISABLED_OfRealAndRandomData) {
  Bench bench;
  if (const char* path = std::getenv("VARVE_BENCH_FILE")) {
    const std::string whole(path);
    const size_t slash = whole.rfind('/');
    auto storage = open_posix_storage(whole.substr(0, slash)).value();
    bench.run("real", read_whole(*storage, whole.substr(slash + 1), size_t{1} << 30).value());
  }
  SeededRandom random(7);
  Bytes data(256 * kMiB);
  random.fill(ByteSpan(data).first(64 * kMiB));
  for (size_t i = 64 * kMiB; i < data.size(); i++)
    data[i] = static_cast<uint8_t>(data[i - 64 * kMiB] + 1);
  bench.run("random", data);
}

}  // namespace
}  // namespace varve
