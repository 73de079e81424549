// The chunk index's files: their checksums are made right, so that what they protect is parsed.
#include <algorithm>

#include "dedup/base/checksum.h"
#include "dedup/index_merge.h"
#include "dedup/index_runs.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/simulated_storage.h"

namespace varve {
namespace {

constexpr uint64_t kRunRowsMax = 512, kRunPacksMax = 16, kRunBucketsMax = 64;
constexpr const char* kRunFolder = "index";

/// The fields of a run's header, as index_run.cc codes them; small, so that the bytes suffice.
struct RunFields {
  uint64_t first = 0, last = 0, rows = 0, buckets = 0, packs = 0;
};

/// So many bytes of the input; zeros where it is at its end.
Bytes taken(Decoder& in, uint64_t count) {
  const ByteView there = in.raw(static_cast<size_t>(std::min<uint64_t>(in.remaining(), count)));
  Bytes bytes(there.begin(), there.end());
  bytes.resize(static_cast<size_t>(count));
  return bytes;
}

/// The hashes of buckets whose rows lie where their lines say, as far as there are such rows.
void mend_bucket_hashes(const RunFields& fields, ByteView rows, Bytes& table) {
  for (uint64_t bucket = 0; bucket < table.size() / BucketTable::kLineBytes; bucket++) {
    const size_t line = static_cast<size_t>(bucket) * BucketTable::kLineBytes;
    const uint64_t place = Decoder(ByteView(table).subspan(line + 48, 8)).u64();
    const uint64_t begin = (place >> 16) * IndexRun::kRowBytes;
    const uint64_t length = (place & 0xffff) * IndexRun::kRowBytes;
    if (begin > rows.size() || length > rows.size() - begin) continue;
    const uint64_t seed = bucket * 0x9e3779b97f4a7c15U ^ fields.last;
    const Bytes hash = Encoder().u64(xxh3(rows.subspan(begin, length), seed)).take();
    std::copy(hash.begin(), hash.end(), table.begin() + static_cast<ptrdiff_t>(line + 56));
  }
}

/// A whole run: header page, rows, packs and table, every checksum right.
Bytes whole_run(const RunFields& fields, Decoder& in) {
  const Bytes rows = taken(in, std::min(kRunRowsMax, fields.rows) * IndexRun::kRowBytes);
  const Bytes packs = taken(in, std::min(kRunPacksMax, fields.packs) * PackId::kSize);
  Bytes table = taken(in, std::min(kRunBucketsMax, fields.buckets) * BucketTable::kLineBytes);
  mend_bucket_hashes(fields, rows, table);
  Encoder header;
  header.raw(as_bytes("VRVRUN2\n")).u64(fields.first).u64(fields.last).u64(fields.rows);
  header.u64(fields.buckets).u64(fields.packs).u64(xxh3(packs)).u64(xxh3(table)).u64(0).u64(0);
  header.u64(xxh3(header.view()));
  Bytes first = header.take();
  first.resize(IndexRun::kHeaderPageBytes);
  return Encoder().raw(first).raw(rows).raw(packs).raw(table).take();
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
  std::vector<ChunkRow> rows;
  if (!run.read_buckets(0, run.buckets(), rows).ok()) return false;
  for (const ChunkRow& row : rows) {
    expect_that(row.pack < run.packs().size(), "a row of no pack");
    (void)run.find(row.key, [&](const ChunkRow& found) {
      expect_that(found.key == row.key && found.pack < run.packs().size(), "another chunk's row");
      return false;
    });
  }
  return true;
}

/// What is merged from a run that reads as whole, here twice, is whole too.
void check_merge(Storage& storage, const std::shared_ptr<IndexRun>& run) {
  MergedPart part{run, {}};
  for (uint32_t i = 0; i < run->packs().size(); i++) part.packs.push_back(i);
  auto writer =
      IndexRunWriter::create(storage, kRunFolder, run->range(), run->packs(), 2 * run->rows());
  expect_that(writer.ok(), "no run can be written");
  const auto merged = merge_runs({part, part}, **writer, [](size_t, const Error&) {});
  expect_that(merged.ok(), "a whole run is not merged");
  const auto finished = (*writer)->finish();
  expect_that(finished.ok() && (*finished)->rows() == 2 * run->rows(), "rows are lost");
  std::vector<ChunkRow> rows;
  const auto opened = IndexRun::open(storage, run->path());
  expect_that(opened.ok() && (*opened)->read_buckets(0, (*opened)->buckets(), rows).ok() &&
                  rows.size() == 2 * run->rows(),
              "a merged run is not whole");
}

// Input: first, last, rows, buckets, packs: u64 each; rows, packs' ids, table.
bool run_index_run(ByteView input) {
  Decoder in(input);
  RunFields fields;
  fields.first = in.u64();
  fields.last = in.u64();
  fields.rows = in.u64();
  fields.buckets = in.u64();
  fields.packs = in.u64();
  SimulatedStorage storage;
  (void)storage.make_directories(kRunFolder);
  (void)write_whole(storage, run_path(fields), whole_run(fields, in));
  const auto run = IndexRun::open(storage, run_path(fields));
  if (!run.ok() || !check_rows(**run)) return false;
  check_merge(storage, *run);
  return true;
}

/// A run's tables, or rows, of `count` chunks of two packs.
std::vector<Bytes> index_run_seeds() {
  std::vector<Bytes> seeds;
  for (const uint64_t count : {uint64_t{0}, uint64_t{3}, uint64_t{200}}) {
    BucketTable table(BucketTable::buckets_for(count));
    Encoder rows;
    uint64_t bucket = 0, first = 0;
    const auto end_buckets = [&](uint64_t next, uint64_t end) {
      for (; bucket < next; bucket++, first = end) table.set_rows(bucket, {first, end - first, 0});
    };
    for (uint64_t i = 0; i < count; i++) {
      const ChunkKey key{i << 56, i};
      end_buckets(table.bucket_of(key), i);
      table.add(key);
      rows.u64(key.high).u64(key.low).u32(static_cast<uint32_t>(i % 2)).u32(7);
    }
    end_buckets(table.buckets(), count);
    Encoder run;
    run.u64(1).u64(4).u64(count).u64(table.buckets()).u64(2);
    run.raw(rows.view()).id(PackId{{1}}).id(PackId{{2}}).raw(table.bytes());
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
