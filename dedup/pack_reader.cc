#include "dedup/pack_reader.h"

#include <fmt/format.h>

#include "dedup/base/log.h"

namespace varve {

Result<void> read_exactly(StorageFile& file, uint64_t offset, ByteSpan out) {
  const size_t count = VARVE_TRY(file.read_at(offset, out));
  if (count != out.size()) return Error(Errc::kCorrupt, "the file is cut off");
  return {};
}

bool says_damage(const Error& error) {
  return error.code() == Errc::kCorrupt || error.code() == Errc::kAuthentication;
}

PackReader::PackReader(PackKeys keys, std::shared_ptr<StorageFile> file)
    : segments_(std::move(keys)), file_(std::move(file)), table_{kPackHeaderBytes} {}

Result<std::shared_ptr<PackReader>> PackReader::open(Storage& storage, const Keyring& keyring,
                                                     const PackInfo& info,
                                                     const SegmentTable* table) {
  std::shared_ptr<StorageFile> file =
      VARVE_TRY(storage.open_read(pack_path(info.pack_class, info.hash)));
  const uint64_t length = VARVE_TRY(file->length());
  if (length != info.length || length > kPackBytes) {
    return Error(Errc::kCorrupt,
                 fmt::format("it has {} bytes and should have {}", length, info.length));
  }
  Bytes bytes(kPackHeaderBytes);
  VARVE_TRY(read_exactly(*file, 0, bytes));
  const PackHeader header = VARVE_TRY(decode_pack_header(bytes));
  if (header.pack != info.pack || header.pack_class != info.pack_class) {
    return Error(Errc::kCorrupt, "it is another pack, " + header.pack.hex());
  }
  PackKeys keys = VARVE_TRY(PackKeys::derive(keyring, header));
  auto reader = std::make_shared<PackReader>(std::move(keys), std::move(file));
  if (table != nullptr) {
    reader->table_ = *table;
    return reader;
  }
  const Result<PackIndex> index = reader->read_index();
  if (index.ok()) {
    for (const IndexedSegment& segment : index->segments)
      reader->add_segment(segment.offset + segment.length);
    return reader;
  }
  if (!says_damage(index.error())) return index.error();
  reader->table_ = VARVE_TRY(walk_segments(*reader->file_, reader->segments_));
  if (reader->table_.size() == 1) return index.error();
  reader->was_walked_ = true;
  log_warning(fmt::format("{}: its index is damaged; segments are found by their own headers",
                          pack_path(info.pack_class, info.hash)));
  return reader;
}

void PackReader::add_segment(uint64_t end) {
  std::lock_guard lock(mutex_);
  table_.push_back(static_cast<uint32_t>(end));
}

std::shared_ptr<const SegmentTable> PackReader::table() const {
  std::lock_guard lock(mutex_);
  return std::make_shared<const SegmentTable>(table_);
}

Result<std::shared_ptr<const DecodedSegment>> PackReader::read(uint32_t ordinal,
                                                               const Hasher& hasher,
                                                               Naming naming) const {
  uint32_t begin, end;
  {
    std::lock_guard lock(mutex_);
    if (ordinal + size_t{1} >= table_.size()) {
      const Errc code = was_walked_ ? Errc::kCorrupt : Errc::kNotFound;
      return Error(code, fmt::format("there is no segment {}", ordinal));
    }
    begin = table_[ordinal];
    end = table_[ordinal + size_t{1}];
  }
  Buffer sealed(end - begin);
  VARVE_TRY(read_exactly(*file_, begin, sealed.span()));
  return segments_.decode(ordinal, sealed.span(), hasher, naming);
}

Result<PackIndex> PackReader::read_index() const {
  return read_pack_index(*file_, segments_.keys());
}

Result<PackIndex> PackReader::readable_index(const Hasher& hasher) const {
  Result<PackIndex> index = read_index();
  if (index.ok() || !says_damage(index.error())) return index;
  const std::shared_ptr<const SegmentTable> ends = table();
  PackIndex found;
  for (uint32_t i = 0; i + 1 < ends->size(); i++) {
    IndexedSegment row{.offset = (*ends)[i], .length = (*ends)[i + 1] - (*ends)[i]};
    row.first_chunk = static_cast<uint32_t>(found.chunks.size());
    if (const auto segment = read(i, hasher); segment.ok()) {
      row.type = (*segment)->type();
      row.chunk_count = static_cast<uint32_t>((*segment)->chunks().size());
      found.chunks.insert(found.chunks.end(), (*segment)->chunks().begin(),
                          (*segment)->chunks().end());
    }
    found.segments.push_back(row);
  }
  if (found.chunks.empty()) return index;
  return found;
}

Result<SegmentTable> walk_segments(StorageFile& file, const SegmentReader& segments) {
  SegmentTable table{kPackHeaderBytes};
  const uint64_t length = std::min<uint64_t>(VARVE_TRY(file.length()), kPackBytes);
  std::array<uint8_t, kSealedSegmentHeaderBytes> sealed;
  for (uint64_t at = kPackHeaderBytes; at + sealed.size() <= length;) {
    VARVE_TRY(read_exactly(file, at, sealed));
    const Result<SegmentHeader> header = segments.open_header(table.size() - 1, sealed);
    if (!header.ok()) break;
    at += sealed.size() + header->body_length + kTagBytes;
    if (at > length) break;
    table.push_back(static_cast<uint32_t>(at));
  }
  return table;
}

Result<PackIndex> read_pack_index(StorageFile& file, const PackKeys& keys) {
  const uint64_t length = VARVE_TRY(file.length());
  if (length < kPackHeaderBytes + kPackTrailerBytes)
    return Error(Errc::kCorrupt, "the file is cut off");
  Bytes end(kPackTrailerBytes);
  VARVE_TRY(read_exactly(file, length - end.size(), end));
  const ByteView fresh = ByteView(end).first(kPackFreshBytes);
  const Bytes plain =
      VARVE_TRY(open_once(keys.trailer_key(fresh), pack_additional_data(keys.header(), "trailer"),
                          ByteView(end).subspan(kPackFreshBytes)));
  const PackTrailer trailer = VARVE_TRY(decode_pack_trailer(plain, length));
  // The trailer's place says how long the index is, and the file is that long: so much may be
  // allocated.
  Bytes sealed(trailer.index_length);
  VARVE_TRY(read_exactly(file, trailer.index_offset, sealed));
  const Bytes coded = VARVE_TRY(
      open_once(keys.index_key(fresh), pack_additional_data(keys.header(), "index"), sealed));
  PackIndex index = VARVE_TRY(decode_pack_index(coded));
  const uint64_t segments_end = index.segments.empty()
                                    ? kPackHeaderBytes
                                    : index.segments.back().offset + index.segments.back().length;
  if (index.segments.size() != trailer.segment_count || segments_end != trailer.segments_end) {
    return Error(Errc::kCorrupt, "its index and its trailer differ");
  }
  return index;
}

}  // namespace varve
