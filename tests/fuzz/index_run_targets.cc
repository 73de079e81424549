// The chunk index's files: their checksums are made right, so that what they protect is parsed.
#include <algorithm>

#include "dedup/base/checksum.h"
#include "dedup/index_runs.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/simulated_storage.h"

namespace varve {
namespace {

constexpr size_t kRunHeaderBytes = 64;
constexpr size_t kRunRowBytes = 24;
constexpr uint64_t kPagesMax = 4;
constexpr const char* kRunFolder = "index";

/// The fields of a run's header, as index_run.cc codes them.
struct RunFields {
  uint64_t first = 0, last = 0, rows = 0;
  uint32_t packs = 0, filter_blocks = 0;

  uint64_t pages() const {
    return std::min(kPagesMax,
                    rows / IndexRun::kRowsPerPage + (rows % IndexRun::kRowsPerPage != 0));
  }
};

uint64_t run_page_hash(ByteView page, uint64_t number, uint64_t last) {
  return xxh3(page.subspan(8), number * 0x9e3779b97f4a7c15U ^ last);
}

/// A whole run: header page, pages of `rows` (padded), and the tables, every checksum right.
Bytes whole_run(const RunFields& fields, Decoder& in) {
  Encoder pages;
  for (uint64_t i = 0; i < fields.pages(); i++) {
    const uint64_t count =
        std::min<uint64_t>(IndexRun::kRowsPerPage, fields.rows - i * IndexRun::kRowsPerPage);
    const ByteView rows = in.raw(std::min<size_t>(in.remaining(), count * kRunRowBytes));
    Bytes page = Encoder().u64(0).raw(rows).take();
    page.resize(IndexRun::kPageBytes);
    const Bytes hash = Encoder().u64(run_page_hash(page, i, fields.last)).take();
    std::copy(hash.begin(), hash.end(), page.begin());
    pages.raw(page);
  }
  const ByteView tail = in.raw(in.remaining());
  Encoder header;
  header.raw(as_bytes("VRVRUN1\n")).u64(fields.first).u64(fields.last).u64(fields.rows);
  header.u32(fields.packs).u32(fields.filter_blocks).u64(xxh3(tail)).u64(0).u64(0);
  header.u64(xxh3(header.view()));
  Bytes first = header.take();
  first.resize(IndexRun::kPageBytes);
  return Encoder().raw(first).raw(pages.view()).raw(tail).take();
}

std::string run_path(const RunFields& fields) {
  Bytes name;
  for (const uint64_t number : {fields.last, fields.first}) {
    for (int shift = 56; shift >= 0; shift -= 8)
      name.push_back(static_cast<uint8_t>(number >> shift));
  }
  return std::string(kRunFolder) + "/run-" + to_hex(name);
}

bool check_rows(const IndexRun& run) {
  const Result<std::vector<ChunkRow>> rows = run.read_pages(0, run.pages());
  if (!rows.ok()) return false;
  for (const ChunkRow& row : *rows) {
    expect_that(row.pack < run.packs().size(), "a row of no pack");
    (void)run.find(row.key, [&](const ChunkRow& found) {
      expect_that(found.key == row.key && found.pack < run.packs().size(), "another chunk's row");
      return false;
    });
  }
  return true;
}

// Input: first u64, last u64, rows u64, packs u32, filter's blocks u32, pages' rows, tables.
bool run_index_run(ByteView input) {
  Decoder in(input);
  RunFields fields;
  fields.first = in.u64();
  fields.last = in.u64();
  fields.rows = in.u64();
  fields.packs = in.u32();
  fields.filter_blocks = in.u32();
  SimulatedStorage storage;
  (void)storage.make_directories(kRunFolder);
  (void)write_whole(storage, run_path(fields), whole_run(fields, in));
  const auto run = IndexRun::open(storage, run_path(fields));
  return run.ok() && check_rows(**run);
}

/// A run's tables, or rows, of `count` chunks of two packs.
std::vector<Bytes> index_run_seeds() {
  std::vector<Bytes> seeds;
  for (const uint64_t count : {uint64_t{0}, uint64_t{3}, uint64_t{200}}) {
    ChunkFilter filter(count);
    Encoder rows, keys;
    for (uint64_t i = 0; i < count; i++) {
      const ChunkKey key{i << 56, i};
      filter.add(key);
      rows.u64(key.high).u64(key.low).u32(static_cast<uint32_t>(i % 2)).u32(7);
      if (i % IndexRun::kRowsPerPage == 0) keys.u64(key.high);
    }
    Encoder run;
    run.u64(1).u64(4).u64(count).u32(2).u32(static_cast<uint32_t>(filter.blocks()));
    run.raw(rows.view()).id(PackId{{1}}).id(PackId{{2}}).raw(keys.view()).raw(filter.to_bytes());
    seeds.push_back(run.take());
  }
  return seeds;
}

// Input: the content of `removed`, without its hash.
bool run_index_removed(ByteView input) {
  SimulatedStorage storage;
  (void)storage.make_directories(kRunFolder);
  (void)write_whole(storage, std::string(kRunFolder) + "/removed",
                    Encoder().raw(input).u64(xxh3(input)).take());
  PackNumbers numbers;
  const auto runs = IndexRuns::open(storage, kRunFolder, numbers);
  expect_that(runs.ok(), "an index of which nothing is left does not open");
  return storage.exists(std::string(kRunFolder) + "/removed").value();
}

std::vector<Bytes> index_removed_seeds() {
  return {Encoder().u64(4).id(PackId{{1}}).u64(5).id(PackId{{2}}).take()};
}

}  // namespace

std::vector<FuzzTarget> index_run_targets() {
  return {{"index_run", run_index_run, index_run_seeds},
          {"index_removed", run_index_removed, index_removed_seeds}};
}

}  // namespace varve
