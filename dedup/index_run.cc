#include "dedup/index_run.h"

#include <endian.h>

#include <algorithm>

#include "dedup/base/checksum.h"
#include "dedup/base/codec.h"
#include "dedup/base/random.h"

namespace varve {
namespace {

constexpr std::string_view kRunMagic = "VRVRUN2\n";
constexpr size_t kHeaderBytes = 80;  // without its hash
constexpr size_t kHashBytes = 8;
constexpr size_t kWriteBytes = 1 << 20;
static_assert(sizeof(ChunkRow) == IndexRun::kRowBytes);

Error damaged_run(const std::string& path, std::string_view what) {
  return Error(Errc::kCorrupt, "index run " + path + " is damaged: " + std::string(what));
}

/// A bucket that was written elsewhere, or for another run, does not pass.
uint64_t bucket_hash(ByteView rows, uint64_t bucket, const RunRange& range) {
  return xxh3(rows, bucket * 0x9e3779b97f4a7c15U ^ range.last);
}

/// Rows are little-endian: key's halves, pack, segment.
void store_row(const ChunkRow& row, uint8_t* to) {
  const uint64_t words[] = {htole64(row.key.high), htole64(row.key.low),
                            htole64(uint64_t{row.segment} << 32 | row.pack)};
  std::memcpy(to, words, sizeof words);
}

ChunkRow load_row(const uint8_t* from) {
  uint64_t words[3];
  std::memcpy(words, from, sizeof words);
  const uint64_t place = le64toh(words[2]);
  return {{le64toh(words[0]), le64toh(words[1])},
          static_cast<uint32_t>(place),
          static_cast<uint32_t>(place >> 32)};
}

std::string run_name(const RunRange& range) {
  Bytes bytes;
  for (uint64_t number : {range.last, range.first}) {
    for (int shift = 56; shift >= 0; shift -= 8)
      bytes.push_back(static_cast<uint8_t>(number >> shift));
  }
  return "run-" + to_hex(bytes);
}

struct Header {
  RunRange range;
  uint64_t rows = 0, buckets = 0, packs = 0;
  uint64_t packs_hash = 0, table_hash = 0;

  Bytes encode() const {
    Encoder encoder;
    encoder.raw(as_bytes(kRunMagic)).u64(range.first).u64(range.last).u64(rows).u64(buckets);
    encoder.u64(packs).u64(packs_hash).u64(table_hash).u64(0).u64(0);
    encoder.u64(xxh3(encoder.view()));
    return encoder.take();
  }
  uint64_t rows_end() const { return IndexRun::kHeaderPageBytes + rows * IndexRun::kRowBytes; }
  uint64_t packs_end() const { return rows_end() + packs * PackId::kSize; }
  /// Whether a file of that length has place for all of it: checked before anything is allocated.
  bool fits(uint64_t length) const {
    return rows < BucketTable::kRowsMax && rows <= length / IndexRun::kRowBytes &&
           packs <= length / PackId::kSize && buckets >= 1 &&
           buckets <= length / BucketTable::kLineBytes &&
           packs_end() + buckets * BucketTable::kLineBytes == length;
  }
};

Result<Header> decode_header(ByteView bytes, const std::string& path) {
  Decoder decoder(bytes);
  ByteView magic = decoder.raw(kRunMagic.size());
  Header header;
  header.range.first = decoder.u64();
  header.range.last = decoder.u64();
  header.rows = decoder.u64();
  header.buckets = decoder.u64();
  header.packs = decoder.u64();
  header.packs_hash = decoder.u64();
  header.table_hash = decoder.u64();
  decoder.raw(16);
  uint64_t hash = decoder.u64();
  if (decoder.failed() || as_text(magic) != kRunMagic || hash != xxh3(bytes.first(kHeaderBytes)) ||
      header.range.first > header.range.last) {
    return damaged_run(path, "its header does not fit");
  }
  return header;
}

Result<Header> read_header(StorageFile& file, const std::string& path) {
  Bytes bytes(kHeaderBytes + kHashBytes);
  bytes.resize(VARVE_TRY(file.read_at(0, bytes)));
  Header header = VARVE_TRY(decode_header(bytes, path));
  if (!header.fits(VARVE_TRY(file.length()))) {
    return damaged_run(path, "its length does not fit");
  }
  if (!path.ends_with("/" + run_name(header.range))) {
    return damaged_run(path, "its name does not fit");
  }
  return header;
}

Result<void> read_tail(StorageFile& file, uint64_t at, uint64_t hash, ByteSpan out,
                       const std::string& path) {
  const size_t count = VARVE_TRY(file.read_at(at, out));
  if (count == out.size() && xxh3(out) == hash) return {};
  return damaged_run(path, "its tables do not fit");
}

}  // namespace

Result<std::shared_ptr<IndexRun>> IndexRun::open(Storage& storage, const std::string& path) {
  auto file = VARVE_TRY(storage.open_read(path));
  const Header header = VARVE_TRY(read_header(*file, path));
  std::shared_ptr<IndexRun> run(new IndexRun(header.buckets));
  run->path_ = path;
  run->range_ = header.range;
  run->rows_ = header.rows;
  Bytes packs(static_cast<size_t>(header.packs) * PackId::kSize);
  VARVE_TRY(read_tail(*file, header.rows_end(), header.packs_hash, packs, path));
  Decoder decoder(packs);
  for (uint64_t i = 0; i < header.packs; i++) run->packs_.push_back(decoder.id<PackId>());
  VARVE_TRY(read_tail(*file, header.packs_end(), header.table_hash, run->table_.bytes(), path));
  if (!run->table_.accept(header.rows)) return damaged_run(path, "its buckets do not fit");
  run->file_ = std::move(file);
  return run;
}

Error IndexRun::damaged(std::string_view what) const {
  return damaged_run(path_, what);
}

Result<void> IndexRun::check_bucket(uint64_t bucket, ByteView rows) const {
  if (table_.rows_of(bucket).hash == bucket_hash(rows, bucket, range_)) return {};
  return damaged("bucket " + std::to_string(bucket) + " does not fit its hash");
}

Result<void> IndexRun::BucketRows::read(const IndexRun& run, uint64_t bucket) {
  const BucketTable::Rows rows = run.table_.rows_of(bucket);
  const size_t size = static_cast<size_t>(rows.count) * kRowBytes;
  if (size > usual_.size()) great_.resize(size);
  const ByteSpan out = size > usual_.size() ? ByteSpan(great_) : ByteSpan(usual_).first(size);
  if (VARVE_TRY(run.file_->read_at(kHeaderPageBytes + rows.first * kRowBytes, out)) != size)
    return run.damaged("it is short");
  VARVE_TRY(run.check_bucket(bucket, out));
  bytes_ = out;
  return {};
}

ChunkRow IndexRun::BucketRows::at(size_t index) const {
  return load_row(bytes_.data() + index * kRowBytes);
}

size_t IndexRun::BucketRows::lower_bound(const ChunkKey& key) const {
  size_t low = 0, high = size();
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (at(middle).key < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

Result<void> IndexRun::read_buckets(uint64_t bucket, uint64_t count,
                                    std::vector<ChunkRow>& rows) const {
  const uint64_t end = std::min(buckets(), bucket + count);
  const uint64_t first = table_.rows_of(bucket).first;
  const BucketTable::Rows last = table_.rows_of(end - 1);
  rows.resize(static_cast<size_t>(last.first + last.count - first));
  Buffer bytes(rows.size() * kRowBytes);
  if (VARVE_TRY(file_->read_at(kHeaderPageBytes + first * kRowBytes, bytes.span())) != bytes.size())
    return damaged("it is short");
  for (; bucket < end; bucket++) {
    const BucketTable::Rows own = table_.rows_of(bucket);
    const uint64_t place = own.first - first;
    const ByteView stored = bytes.view().subspan(place * kRowBytes, own.count * kRowBytes);
    VARVE_TRY(check_bucket(bucket, stored));
    VARVE_TRY(load_bucket(bucket, stored, rows.data() + place));
  }
  return {};
}

/// Its hash has no key: whoever merges relies on the order, so it is looked at too.
Result<void> IndexRun::load_bucket(uint64_t bucket, ByteView stored, ChunkRow* out) const {
  for (size_t i = 0; i < stored.size() / kRowBytes; i++) {
    out[i] = load_row(stored.data() + i * kRowBytes);
    if (out[i].pack >= packs_.size()) return damaged("a row names no pack");
    if (table_.bucket_of(out[i].key) != bucket || (i > 0 && out[i].key < out[i - 1].key))
      return damaged("a row is not in its place");
  }
  return {};
}

// Writing.

Result<std::unique_ptr<IndexRunWriter>> IndexRunWriter::create(Storage& storage,
                                                               const std::string& directory,
                                                               RunRange range,
                                                               std::vector<PackId> packs,
                                                               uint64_t rows_max) {
  std::shared_ptr<IndexRun> run(new IndexRun(BucketTable::buckets_for(rows_max)));
  run->path_ = directory + "/" + run_name(range);
  run->range_ = range;
  run->packs_ = std::move(packs);
  std::unique_ptr<IndexRunWriter> writer(new IndexRunWriter(storage, directory, std::move(run)));
  writer->run_->file_ = VARVE_TRY(storage.create(writer->temporary_path_));
  return writer;
}

IndexRunWriter::IndexRunWriter(Storage& storage, std::string directory,
                               std::shared_ptr<IndexRun> run)
    : storage_(storage),
      directory_(std::move(directory)),
      temporary_path_(directory_ + "/.tmp-" +
                      to_hex(ByteView(system_random().id<PackId>().bytes).first(8))),
      run_(std::move(run)) {}

IndexRunWriter::~IndexRunWriter() {
  if (!finished_) (void)storage_.unlink(temporary_path_);
}

Result<void> IndexRunWriter::add(const ChunkRow& row) {
  const uint64_t bucket = run_->table_.bucket_of(row.key);
  if (bucket != bucket_) {
    end_buckets(bucket);
    if (buffer_.size() >= kWriteBytes) VARVE_TRY(write_out());
  }
  buffer_.resize(buffer_.size() + IndexRun::kRowBytes);
  store_row(row, buffer_.data() + buffer_.size() - IndexRun::kRowBytes);
  run_->table_.add(row.key);
  run_->rows_++;
  return {};
}

/// The buckets up to `next`, that one not: the first has what was added, the others nothing.
void IndexRunWriter::end_buckets(uint64_t next) {
  for (; bucket_ < next; bucket_++) {
    const uint64_t count = run_->rows_ - bucket_first_;
    const ByteView rows = ByteView(buffer_).last(static_cast<size_t>(count) * IndexRun::kRowBytes);
    run_->table_.set_rows(bucket_,
                          {bucket_first_, count, bucket_hash(rows, bucket_, run_->range_)});
    bucket_first_ = run_->rows_;
  }
}

Result<void> IndexRunWriter::write_out() {
  VARVE_TRY(run_->file_->write_at(written_, buffer_));
  written_ += buffer_.size();
  buffer_.clear();
  return {};
}

Result<void> IndexRunWriter::write_tail_and_header() {
  Encoder packs;
  for (const PackId& pack : run_->packs_) packs.id(pack);
  buffer_.insert(buffer_.end(), packs.view().begin(), packs.view().end());
  VARVE_TRY(write_out());
  const ByteView table = run_->table_.bytes();
  VARVE_TRY(run_->file_->write_at(written_, table));
  Header header;
  header.range = run_->range_;
  header.rows = run_->rows_;
  header.buckets = run_->table_.buckets();
  header.packs = run_->packs_.size();
  header.packs_hash = xxh3(packs.view());
  header.table_hash = xxh3(table);
  return run_->file_->write_at(0, header.encode());
}

Result<std::shared_ptr<IndexRun>> IndexRunWriter::finish() {
  end_buckets(run_->table_.buckets());
  VARVE_TRY(write_tail_and_header());
  VARVE_TRY(run_->file_->sync());
  VARVE_TRY(storage_.rename(temporary_path_, run_->path_));
  finished_ = true;
  VARVE_TRY(storage_.sync_dir(directory_));
  return std::move(run_);
}

}  // namespace varve
