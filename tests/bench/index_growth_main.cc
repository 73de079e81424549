// index_growth DIRECTORY CHUNKS...: grows a chunk index in DIRECTORY, which is made and removed, to
// each of the ascending counts, by packs without payload; prints what an insert and a lookup cost
// at each, and what is resident.
//
// An insert is all that a new chunk costs the index from its pack's sealing on: table, flush, and
// merges, from the first chunk on. Lookups: "hit" of chunks at random, "stream" of chunks in the
// order in which they were added, "miss" of chunks that are nowhere. Times are processor time, so
// that a neighbour on the machine is not counted; wall time stands behind.
#include <fmt/core.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "dedup/base/posix_storage.h"
#include "dedup/chunk_index.h"
#include "tests/bench/synthetic_packs.h"

namespace varve {
namespace {

constexpr uint64_t kPacksPerSettle = 32;  // what a fast machine stores between two settles
constexpr uint64_t kLookups = 1'000'000;
constexpr uint64_t kStreamChunks = 50'000;
constexpr uint64_t kAbsentChunks = uint64_t{1} << 55;  // numbers of chunks that are never added

struct Spent {
  double processor = 0, wall = 0;  // seconds
  Spent& operator+=(const Spent& other) {
    processor += other.processor;
    wall += other.wall;
    return *this;
  }
  std::string per(uint64_t count) const {
    const double each = 1e9 / static_cast<double>(count);
    return fmt::format("{:6.0f} ns ({:6.0f})", processor * each, wall * each);
  }
};

template <typename Work>
Spent timed(Work work) {
  timespec before, after;
  const auto start = std::chrono::steady_clock::now();
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
  work();
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  return {static_cast<double>(after.tv_sec - before.tv_sec) +
              1e-9 * static_cast<double>(after.tv_nsec - before.tv_nsec),
          wall.count()};
}

/// Of /proc/self/status, in MiB.
uint64_t resident_mib(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return std::stoull(line.substr(field.size() + 1)) / 1024;
  }
  return 0;
}

class Growth {
 public:
  explicit Growth(const std::string& directory)
      : storage_(open_posix_storage(directory).value()),
        index_(open_chunk_index(*storage_, "index").value()) {}

  bool grow_to(uint64_t chunks) {
    for (; packs_ * kSyntheticChunksPerPack < chunks; packs_++) {
      const PackIndex content = synthetic_index(packs_);
      const PackId pack = synthetic_pack(packs_);
      bool good = true;
      inserting_ += timed([&] {
        index_->add_pack(pack, content);
        if (packs_ % kPacksPerSettle == kPacksPerSettle - 1) good = index_->settle().ok();
      });
      if (!good) return false;
    }
    bool good = false;
    inserting_ += timed([&] { good = index_->settle().ok(); });
    return good;
  }

  /// False if an answer was wrong.
  bool report() {
    const uint64_t count = packs_ * kSyntheticChunksPerPack;
    bool right = true;
    const auto lookups = [&](bool present, auto number_of) {
      std::vector<ChunkId> ids(kLookups);
      for (uint64_t i = 0; i < kLookups; i++) ids[i] = synthetic_chunk(number_of(i));
      return timed([&] {
        for (const ChunkId& id : ids) {
          const Result<std::optional<ChunkPlace>> place = index_->find(id);
          right = right && place.ok() && place->has_value() == present;
        }
      });
    };
    const auto at_random = [&](uint64_t i) { return i * 0x9e3779b97f4a7c15U % count; };
    const auto in_stream = [&](uint64_t i) {
      return (at_random(i / kStreamChunks) + i % kStreamChunks) % count;
    };
    lookups(true, at_random);  // so that runs come from the page cache
    const Spent hits = lookups(true, at_random);
    const Spent stream = lookups(true, in_stream);
    const Spent misses = lookups(false, [](uint64_t i) { return kAbsentChunks + i; });
    const ChunkIndex::Figures figures = index_->figures();
    fmt::print(
        "{:>11} chunks  insert {}  hit {}  stream {}  miss {}  runs {:>2}  index {} MiB  "
        "resident {} MiB, at most {} MiB\n",
        count, inserting_.per(count), hits.per(kLookups), stream.per(kLookups),
        misses.per(kLookups), figures.runs, figures.resident_bytes >> 20, resident_mib("VmRSS"),
        resident_mib("VmHWM"));
    std::fflush(stdout);
    return right;
  }

 private:
  std::unique_ptr<Storage> storage_;
  std::unique_ptr<ChunkIndex> index_;
  uint64_t packs_ = 0;
  Spent inserting_;
};

int run(const std::string& directory, const std::vector<uint64_t>& counts) {
  std::filesystem::create_directories(directory);
  int status = 0;
  {
    Growth growth(directory);
    for (const uint64_t count : counts) {
      if (growth.grow_to(count) && growth.report()) continue;
      fmt::print(stderr, "index_growth: the index failed, or gave a wrong answer\n");
      status = 1;
      break;
    }
  }
  std::filesystem::remove_all(directory);
  return status;
}

}  // namespace
}  // namespace varve

int main(int argc, char** argv) {
  std::vector<uint64_t> counts;
  for (int i = 2; i < argc; i++) counts.push_back(std::strtoull(argv[i], nullptr, 10));
  const bool ascend = std::is_sorted(counts.begin(), counts.end());
  if (counts.empty() || counts.front() == 0 || !ascend || std::filesystem::exists(argv[1])) {
    fmt::print(stderr, "usage: index_growth NEW-DIRECTORY CHUNKS... (in ascending order)\n");
    return 1;
  }
  return varve::run(argv[1], counts);
}
