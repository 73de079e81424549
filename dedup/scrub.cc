#include "dedup/scrub.h"

#include <fmt/format.h>

#include "dedup/base/checksum.h"
#include "dedup/pack_reader.h"

namespace varve {
namespace {

constexpr size_t kHashPiece = 1 * kMiB;

std::string reason_of(const Error& error) {
  if (!error.message().empty()) return error.message();
  if (error.code() == Errc::kAuthentication) return "its seal does not open";
  return "cannot be read";
}

/// One pack on its way through the scrub.
class PackScrub {
 public:
  PackScrub(Storage& storage, const Keyring& keyring, const Hasher& hasher, const StoreFile& name,
            const BytesRead& on_read)
      : storage_(storage), keyring_(keyring), hasher_(hasher), name_(name), on_read_(on_read) {}

  ScrubbedPack run(const std::optional<PackInfo>& expected, ScrubDepth depth) {
    Result<void> opened = open();
    if (opened.ok() && expected) opened = compare(*expected);
    if (!opened.ok()) {
      damaged(std::nullopt, reason_of(opened.error()));
      if (depth == ScrubDepth::kData) hash_all();
      return std::move(found_);
    }
    const bool indexed = read_index();
    if (unfit_) lose_all();
    if (depth == ScrubDepth::kData || !indexed) read_segments(indexed, depth);
    return std::move(found_);
  }

 private:
  void damaged(std::optional<uint32_t> segment, std::string what) {
    if (segment) found_.lost.insert(*segment);
    found_.damage.push_back({segment, std::move(what)});
  }
  void lose_all() {
    for (uint32_t i = 0; i < found_.index.segments.size(); i++) found_.lost.insert(i);
  }

  Result<void> open() {
    file_ = VARVE_TRY(storage_.open_read(path_of(name_)));
    found_.length = VARVE_TRY(file_->length());
    std::array<uint8_t, kPackHeaderBytes> bytes;
    VARVE_TRY(read_exactly(*file_, 0, bytes));
    const PackHeader header = VARVE_TRY(decode_pack_header(bytes));
    const bool is_data = name_.file_class == FileClass::kPack;
    if (header.pack_class != (is_data ? PackClass::kData : PackClass::kCatalog)) {
      return Error(Errc::kCorrupt, "it lies in the wrong folder, or its header is damaged");
    }
    segments_.emplace(VARVE_TRY(PackKeys::derive(keyring_, header)));
    found_.header = header;
    return {};
  }

  /// What readers ask before they read.
  Result<void> compare(const PackInfo& expected) {
    if (found_.header->pack != expected.pack) {
      found_.header.reset();
      return Error(Errc::kCorrupt, "it is another pack, or its header is damaged");
    }
    if (found_.length != expected.length) {
      damaged(std::nullopt,
              fmt::format("it has {} bytes and should have {}", found_.length, expected.length));
      unfit_ = true;
    }
    return {};
  }

  bool read_index() {
    Result<PackIndex> index = read_pack_index(*file_, segments_->keys());
    if (index.ok()) {
      found_.index = std::move(index).value();
      return true;
    }
    damaged(std::nullopt, "its index: " + reason_of(index.error()));
    return false;
  }

  void hash_all() {
    Result<uint64_t> hashed = hash_store_file(storage_, name_, on_read_);
    if (!hashed.ok()) damaged(std::nullopt, reason_of(hashed.error()));
    found_.read_through = true;
  }

  void read_segments(bool indexed, ScrubDepth depth) {
    SegmentTable table{kPackHeaderBytes};
    if (indexed) {
      for (const IndexedSegment& segment : found_.index.segments)
        table.push_back(static_cast<uint32_t>(segment.offset + segment.length));
    } else if (Result<SegmentTable> walked = walk_segments(*file_, *segments_); walked.ok()) {
      table = std::move(walked).value();
    }
    Sha256 hash;
    bool whole = read_range(0, kPackHeaderBytes, hash);
    for (uint32_t i = 0; i + 1 < table.size(); i++) {
      whole = read_segment(i, table[i], table[i + 1], indexed, hash) && whole;
    }
    if (depth != ScrubDepth::kData) return;
    whole = read_range(table.back(), found_.length, hash) && whole;
    found_.read_through = true;
    if (!whole || hash.finish() == name_.hash) return;
    damaged(std::nullopt, "its bytes do not hash to its name");
  }

  /// False if the bytes could not be read, which is noted.
  bool read_range(uint64_t from, uint64_t to, Sha256& hash) {
    Buffer piece(kHashPiece);
    while (from < to) {
      const size_t size = static_cast<size_t>(std::min<uint64_t>(piece.size(), to - from));
      const Result<void> read = read_exactly(*file_, from, piece.span().first(size));
      if (!read.ok()) {
        damaged(std::nullopt, fmt::format("at byte {}: {}", from, reason_of(read.error())));
        return false;
      }
      hash.update(piece.view().first(size));
      if (on_read_) on_read_(size);
      from += size;
    }
    return true;
  }

  bool read_segment(uint32_t ordinal, uint64_t from, uint64_t to, bool indexed, Sha256& hash) {
    Buffer sealed(static_cast<size_t>(to - from));
    const Result<void> read = read_exactly(*file_, from, sealed.span());
    if (!read.ok()) {
      damaged(ordinal, reason_of(read.error()));
      return false;
    }
    hash.update(sealed.view());
    if (on_read_) on_read_(sealed.size());
    auto decoded = segments_->decode(ordinal, sealed.span(), hasher_);
    if (!decoded.ok()) {
      damaged(ordinal, reason_of(decoded.error()));
    } else if (indexed && !is_as_indexed(ordinal, **decoded)) {
      damaged(ordinal, "it holds other chunks than the pack's index says");
    }
    if (!indexed) adopt({.offset = from, .length = static_cast<uint32_t>(to - from)}, decoded);
    return true;
  }

  bool is_as_indexed(uint32_t ordinal, const DecodedSegment& segment) const {
    const IndexedSegment& row = found_.index.segments[ordinal];
    if (row.type != segment.type() || row.chunk_count != segment.chunks().size()) return false;
    for (uint32_t i = 0; i < row.chunk_count; i++) {
      const IndexedChunk& listed = found_.index.chunks[row.first_chunk + i];
      const IndexedChunk& held = segment.chunks()[i];
      if (listed.id != held.id || listed.length != held.length) return false;
    }
    return true;
  }

  /// Puts what a segment holds into the index, which the pack itself does not have.
  void adopt(IndexedSegment row, const Result<std::shared_ptr<const DecodedSegment>>& decoded) {
    row.first_chunk = static_cast<uint32_t>(found_.index.chunks.size());
    if (decoded.ok()) {
      const std::vector<IndexedChunk>& chunks = (*decoded)->chunks();
      row.type = (*decoded)->type();
      row.chunk_count = static_cast<uint32_t>(chunks.size());
      found_.index.chunks.insert(found_.index.chunks.end(), chunks.begin(), chunks.end());
    }
    if (unfit_) found_.lost.insert(static_cast<uint32_t>(found_.index.segments.size()));
    found_.index.segments.push_back(row);
  }

  Storage& storage_;
  const Keyring& keyring_;
  const Hasher& hasher_;
  const StoreFile name_;
  const BytesRead& on_read_;
  std::unique_ptr<StorageFile> file_;
  std::optional<SegmentReader> segments_;
  ScrubbedPack found_;
  bool unfit_ = false;  // of another length than it should be: readers refuse it
};

}  // namespace

Result<uint64_t> hash_store_file(Storage& storage, const StoreFile& file,
                                 const BytesRead& on_read) {
  auto opened = VARVE_TRY(storage.open_read(path_of(file)));
  Sha256 hash;
  Buffer piece(kHashPiece);
  uint64_t at = 0;
  for (;;) {
    const size_t count = VARVE_TRY(opened->read_at(at, piece.span()));
    hash.update(piece.view().first(count));
    at += count;
    if (on_read) on_read(count);
    if (count < piece.size()) break;
  }
  if (hash.finish() == file.hash) return at;
  return Error(Errc::kCorrupt, "its bytes do not hash to its name");
}

ScrubbedPack scrub_pack(Storage& storage, const Keyring& keyring, const Hasher& hasher,
                        const StoreFile& file, const std::optional<PackInfo>& expected,
                        ScrubDepth depth, const BytesRead& on_read) {
  return PackScrub(storage, keyring, hasher, file, on_read).run(expected, depth);
}

Result<PackIndex> scrub_open_pack(Storage& storage, const Keyring& keyring, const Hasher& hasher,
                                  const PackId& pack, uint64_t committed_length) {
  auto file = VARVE_TRY(storage.open_read(open_pack_path(pack)));
  std::array<uint8_t, kPackHeaderBytes> bytes;
  VARVE_TRY(read_exactly(*file, 0, bytes));
  const PackHeader header = VARVE_TRY(decode_pack_header(bytes));
  if (header.pack != pack) return Error(Errc::kCorrupt, "it is another pack");
  const SegmentReader segments(VARVE_TRY(PackKeys::derive(keyring, header)));
  const SegmentTable table = VARVE_TRY(walk_segments(*file, segments));
  PackIndex index;
  uint64_t end = kPackHeaderBytes;
  for (uint32_t i = 0; i + 1 < table.size(); i++) {
    Buffer sealed(table[i + 1] - table[i]);
    VARVE_TRY(read_exactly(*file, table[i], sealed.span()));
    const auto decoded = segments.decode(i, sealed.span(), hasher);
    if (!decoded.ok()) break;
    IndexedSegment row{.offset = table[i], .length = table[i + 1] - table[i]};
    row.type = (*decoded)->type();
    row.first_chunk = static_cast<uint32_t>(index.chunks.size());
    row.chunk_count = static_cast<uint32_t>((*decoded)->chunks().size());
    index.segments.push_back(row);
    index.chunks.insert(index.chunks.end(), (*decoded)->chunks().begin(),
                        (*decoded)->chunks().end());
    end = table[i + 1];
  }
  if (end >= committed_length) return index;
  return Error(Errc::kCorrupt,
               fmt::format("it was committed to {} bytes, and is whole up to {} only",
                           committed_length, end));
}

}  // namespace varve
