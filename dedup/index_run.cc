#include "dedup/index_run.h"

#include <algorithm>

#include "dedup/base/checksum.h"
#include "dedup/base/codec.h"
#include "dedup/base/random.h"

namespace varve {
namespace {

constexpr std::string_view kRunMagic = "VRVRUN1\n";
constexpr size_t kHeaderBytes = 64;  // without its hash
constexpr size_t kHashBytes = 8;
constexpr size_t kRowBytes = 24;
constexpr size_t kWriteBytes = 1 << 20;
static_assert(kHashBytes + IndexRun::kRowsPerPage * kRowBytes <= IndexRun::kPageBytes);

Error damaged(const std::string& path, std::string_view what) {
  return Error(Errc::kCorrupt, "index run " + path + " is damaged: " + std::string(what));
}

/// A page that was written elsewhere, or for another run, does not pass.
uint64_t page_hash(ByteView page, uint64_t number, const RunRange& range) {
  return xxh3(page.subspan(kHashBytes), number * 0x9e3779b97f4a7c15U ^ range.last);
}

uint64_t load_u64(const uint8_t* bytes) {
  return Decoder({bytes, 8}).u64();
}

ChunkRow load_row(ByteView page, size_t index) {
  Decoder decoder(page.subspan(kHashBytes + index * kRowBytes, kRowBytes));
  ChunkRow row;
  row.key.high = decoder.u64();
  row.key.low = decoder.u64();
  row.pack = decoder.u32();
  row.segment = decoder.u32();
  return row;
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
  uint64_t rows = 0, tail_hash = 0;
  uint32_t packs = 0, filter_blocks = 0;

  Bytes encode() const {
    Encoder encoder;
    encoder.raw(as_bytes(kRunMagic))
        .u64(range.first)
        .u64(range.last)
        .u64(rows)
        .u32(packs)
        .u32(filter_blocks);
    encoder.u64(tail_hash).u64(0).u64(0);
    encoder.u64(xxh3(encoder.view()));
    return encoder.take();
  }
  uint64_t pages() const { return (rows + IndexRun::kRowsPerPage - 1) / IndexRun::kRowsPerPage; }
  uint64_t tail_bytes() const {
    return packs * PackId::kSize + pages() * sizeof(uint64_t) +
           filter_blocks * ChunkFilter::kBlockBytes;
  }
};

Result<Header> decode_header(ByteView bytes, const std::string& path) {
  Decoder decoder(bytes);
  ByteView magic = decoder.raw(kRunMagic.size());
  Header header;
  header.range.first = decoder.u64();
  header.range.last = decoder.u64();
  header.rows = decoder.u64();
  header.packs = decoder.u32();
  header.filter_blocks = decoder.u32();
  header.tail_hash = decoder.u64();
  decoder.raw(16);
  uint64_t hash = decoder.u64();
  if (decoder.failed() || as_text(magic) != kRunMagic || hash != xxh3(bytes.first(kHeaderBytes)) ||
      header.filter_blocks == 0 || header.range.first > header.range.last) {
    return damaged(path, "its header does not fit");
  }
  return header;
}

}  // namespace

Result<std::shared_ptr<IndexRun>> IndexRun::open(Storage& storage, const std::string& path) {
  std::shared_ptr<IndexRun> run(new IndexRun());
  run->path_ = path;
  run->file_ = VARVE_TRY(storage.open_read(path));
  uint64_t length = VARVE_TRY(run->file_->length());
  VARVE_TRY(run->read_header(length));
  if (!path.ends_with("/" + run_name(run->range_))) return damaged(path, "its name does not fit");
  return run;
}

Result<void> IndexRun::read_header(uint64_t length) {
  Bytes bytes(kHeaderBytes + kHashBytes);
  bytes.resize(VARVE_TRY(file_->read_at(0, bytes)));
  Header header = VARVE_TRY(decode_header(bytes, path_));
  uint64_t pages = header.pages();
  // Checked piece by piece: no length is allocated that the file does not have.
  if (header.rows > length / kRowBytes ||
      (pages + 1) * kPageBytes + header.tail_bytes() != length) {
    return damaged(path_, "its length does not fit");
  }
  Bytes tail(static_cast<size_t>(header.tail_bytes()));
  size_t count = VARVE_TRY(file_->read_at((pages + 1) * kPageBytes, tail));
  if (count != tail.size() || xxh3(tail) != header.tail_hash)
    return damaged(path_, "its tables do not fit");
  range_ = header.range;
  rows_ = header.rows;
  Decoder decoder(tail);
  for (uint32_t i = 0; i < header.packs; i++) packs_.push_back(decoder.id<PackId>());
  for (uint64_t i = 0; i < pages; i++) first_keys_.push_back(decoder.u64());
  filter_ = ChunkFilter::from_bytes(decoder.raw(decoder.remaining()));
  return {};
}

size_t IndexRun::rows_of_page(uint64_t page) const {
  return static_cast<size_t>(std::min<uint64_t>(kRowsPerPage, rows_ - page * kRowsPerPage));
}

Result<void> IndexRun::check_page(uint64_t page, ByteView bytes) const {
  if (load_u64(bytes.data()) == page_hash(bytes, page, range_)) return {};
  return damaged(path_, "page " + std::to_string(page) + " does not fit its hash");
}

Result<void> IndexRun::find(const ChunkKey& key,
                            const std::function<bool(const ChunkRow&)>& visit) const {
  if (rows_ == 0 || !filter_.may_hold(key)) return {};
  // Equal keys may begin in the page before the first one whose first key is as great.
  auto at = std::lower_bound(first_keys_.begin(), first_keys_.end(), key.high);
  auto page = static_cast<uint64_t>(at - first_keys_.begin());
  if (page > 0) page--;
  for (; page < pages() && first_keys_[page] <= key.high; page++) {
    std::array<uint8_t, kPageBytes> bytes;
    if (VARVE_TRY(file_->read_at((page + 1) * kPageBytes, bytes)) != bytes.size())
      return damaged(path_, "it is short");
    VARVE_TRY(check_page(page, bytes));
    size_t low = 0, high = rows_of_page(page), count = high;
    while (low < high) {
      size_t middle = (low + high) / 2;
      if (load_row(bytes, middle).key < key) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    for (; low < count; low++) {
      ChunkRow row = load_row(bytes, low);
      if (row.key != key) return {};
      if (row.pack >= packs_.size()) return damaged(path_, "a row names no pack");
      if (visit(row)) return {};
    }
  }
  return {};
}

Result<std::vector<ChunkRow>> IndexRun::read_pages(uint64_t page, uint64_t count) const {
  count = std::min(count, pages() - page);
  Bytes bytes(static_cast<size_t>(count) * kPageBytes);
  if (VARVE_TRY(file_->read_at((page + 1) * kPageBytes, bytes)) != bytes.size())
    return damaged(path_, "it is short");
  std::vector<ChunkRow> rows;
  rows.reserve(static_cast<size_t>(count) * kRowsPerPage);
  for (uint64_t i = 0; i < count; i++) {
    ByteView one = ByteView(bytes).subspan(static_cast<size_t>(i) * kPageBytes, kPageBytes);
    VARVE_TRY(check_page(page + i, one));
    for (size_t row = 0; row < rows_of_page(page + i); row++) {
      rows.push_back(load_row(one, row));
      if (rows.back().pack >= packs_.size()) return damaged(path_, "a row names no pack");
    }
  }
  return rows;
}

uint64_t IndexRun::memory_bytes() const {
  return filter_.memory_bytes() + first_keys_.size() * sizeof(uint64_t) +
         packs_.size() * sizeof(PackId);
}

Result<std::unique_ptr<IndexRunWriter>> IndexRunWriter::create(Storage& storage,
                                                               const std::string& directory,
                                                               RunRange range,
                                                               std::vector<PackId> packs,
                                                               uint64_t rows_max) {
  std::shared_ptr<IndexRun> run(new IndexRun());
  run->path_ = directory + "/" + run_name(range);
  run->range_ = range;
  run->packs_ = std::move(packs);
  std::unique_ptr<IndexRunWriter> writer(
      new IndexRunWriter(storage, directory, std::move(run), rows_max));
  writer->run_->file_ = VARVE_TRY(storage.create(writer->temporary_path_));
  return writer;
}

IndexRunWriter::IndexRunWriter(Storage& storage, std::string directory,
                               std::shared_ptr<IndexRun> run, uint64_t rows_max)
    : storage_(storage),
      directory_(std::move(directory)),
      temporary_path_(directory_ + "/.tmp-" +
                      to_hex(ByteView(system_random().id<PackId>().bytes).first(8))),
      run_(std::move(run)) {
  run_->filter_ = ChunkFilter(rows_max);
}

IndexRunWriter::~IndexRunWriter() {
  if (!finished_) (void)storage_.unlink(temporary_path_);
}

Result<void> IndexRunWriter::add(const ChunkRow& row) {
  if (page_.size() == IndexRun::kRowsPerPage) VARVE_TRY(end_page());
  if (page_.empty()) run_->first_keys_.push_back(row.key.high);
  page_.push_back(row);
  run_->filter_.add(row.key);
  run_->rows_++;
  return {};
}

Result<void> IndexRunWriter::end_page() {
  if (page_.empty()) return {};
  Encoder encoder;
  encoder.u64(0);
  for (const ChunkRow& row : page_)
    encoder.u64(row.key.high).u64(row.key.low).u32(row.pack).u32(row.segment);
  Bytes page = encoder.take();
  page.resize(IndexRun::kPageBytes);
  Encoder hash;
  hash.u64(page_hash(page, run_->first_keys_.size() - 1, run_->range_));
  std::copy(hash.view().begin(), hash.view().end(), page.begin());
  buffer_.insert(buffer_.end(), page.begin(), page.end());
  page_.clear();
  return buffer_.size() >= kWriteBytes ? write_out() : Result<void>();
}

Result<void> IndexRunWriter::write_out() {
  VARVE_TRY(run_->file_->write_at(written_, buffer_));
  written_ += buffer_.size();
  buffer_.clear();
  return {};
}

Result<void> IndexRunWriter::write_tail_and_header() {
  Encoder tail;
  for (const PackId& pack : run_->packs_) tail.id(pack);
  for (uint64_t key : run_->first_keys_) tail.u64(key);
  tail.raw(run_->filter_.to_bytes());
  Header header;
  header.range = run_->range_;
  header.rows = run_->rows_;
  header.tail_hash = xxh3(tail.view());
  header.packs = static_cast<uint32_t>(run_->packs_.size());
  header.filter_blocks = static_cast<uint32_t>(run_->filter_.blocks());
  buffer_.insert(buffer_.end(), tail.view().begin(), tail.view().end());
  VARVE_TRY(write_out());
  return run_->file_->write_at(0, header.encode());
}

Result<std::shared_ptr<IndexRun>> IndexRunWriter::finish() {
  VARVE_TRY(end_page());
  VARVE_TRY(write_tail_and_header());
  VARVE_TRY(run_->file_->sync());
  VARVE_TRY(storage_.rename(temporary_path_, run_->path_));
  finished_ = true;
  VARVE_TRY(storage_.sync_dir(directory_));
  return std::move(run_);
}

}  // namespace varve
