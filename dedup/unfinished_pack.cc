#include "dedup/unfinished_pack.h"

#include "dedup/pack_reader.h"

namespace varve {

Result<void> PackFolders::make(const std::string& parent, const std::string& folder) {
  const std::string path = parent + "/" + folder;
  std::lock_guard lock(mutex_);
  if (durable_.contains(path)) return {};
  // Also a folder that exists may be one that the last crash has left in memory only.
  VARVE_TRY(storage_.make_directories(path));
  VARVE_TRY(storage_.sync_dir(parent));
  durable_.insert(path);
  return {};
}

UnfinishedPack::UnfinishedPack(Storage& storage, PackFolders& folders, PackKeys keys,
                               std::shared_ptr<StorageFile> file)
    : storage_(storage), folders_(folders), keys_(std::move(keys)), file_(std::move(file)) {
  hash_.update(encode_pack_header(keys_.header()));
}

Error UnfinishedPack::latch(Error error) {
  if (error.code() == Errc::kNoSpace) {
    reopen_ = true;  // the descriptor, or the object that owns it, goes on refusing
    return error;
  }
  std::lock_guard lock(mutex_);
  if (!first_error_) first_error_ = std::move(error);
  return *first_error_;
}

Result<void> UnfinishedPack::check() const {
  std::lock_guard lock(mutex_);
  if (first_error_) return *first_error_;
  return {};
}

Result<void> UnfinishedPack::write(uint64_t offset, ByteView bytes) {
  VARVE_TRY(check());
  if (reopen_) {
    // A write without space breaks the descriptor, not the file: nothing that was written before is
    // lost. A writeback error that nobody has seen yet is given to the new descriptor by the
    // kernel.
    auto file = storage_.open_write(open_pack_path(keys_.header().pack));
    if (!file.ok()) return latch(std::move(file).error());
    std::lock_guard lock(mutex_);
    file_ = std::move(file).value();
    reopen_ = false;
  }
  auto written = file_->write_at(offset, bytes);
  if (written.ok()) return {};
  return latch(std::move(written).error());
}

Result<void> UnfinishedPack::append(const IndexedSegment& segment,
                                    const std::vector<IndexedChunk>& chunks, ByteView sealed) {
  VARVE_TRY(write(length_, sealed));
  adopt(segment, chunks, sealed);
  return {};
}

void UnfinishedPack::adopt(IndexedSegment segment, const std::vector<IndexedChunk>& chunks,
                           ByteView sealed) {
  hash_.update(sealed);
  segment.offset = length_;
  segment.length = static_cast<uint32_t>(sealed.size());
  segment.first_chunk = static_cast<uint32_t>(index_.chunks.size());
  segment.chunk_count = static_cast<uint32_t>(chunks.size());
  index_.segments.push_back(segment);
  index_.chunks.insert(index_.chunks.end(), chunks.begin(), chunks.end());
  std::lock_guard lock(mutex_);
  length_ += sealed.size();
}

Result<bool> UnfinishedPack::adopt_end() {
  const uint64_t length = VARVE_TRY(file_->length());
  if (length <= length_ || length > kPackBytes) return false;
  const Result<PackIndex> index = read_pack_index(*file_, keys_);
  if (!index.ok()) {
    if (says_damage(index.error())) return false;
    return index.error();
  }
  if (encode_pack_index(*index) != encode_pack_index(index_)) return false;
  Buffer end(length - length_);
  VARVE_TRY(read_exactly(*file_, length_, end.span()));
  hash_.update(end.view());
  info_ = {keys_.header().pack, hash_.finish(), length, keys_.header().pack_class};
  ended_ = adopted_end_ = true;
  VARVE_TRY(sync());
  synced_ = true;
  return true;
}

Result<uint64_t> UnfinishedPack::sync() {
  std::shared_ptr<StorageFile> file;
  uint64_t length;
  {
    std::lock_guard lock(mutex_);
    if (first_error_) return *first_error_;
    file = file_;
    length = length_;
  }
  auto synced = file->sync();
  if (synced.ok()) return length;
  // A write beside this one found no space and has broken the descriptor: no sync was tried.
  if (synced.error().code() == Errc::kNoSpace) return std::move(synced).error();
  std::lock_guard lock(mutex_);
  if (!first_error_) first_error_ = std::move(synced).error();
  return *first_error_;
}

void UnfinishedPack::make_end(bool full, Random& random) {
  const PackHeader& header = keys_.header();
  const Bytes coded = encode_pack_index(index_);
  const uint64_t index_length = coded.size() + kTagBytes;
  info_.pack = header.pack;
  info_.pack_class = header.pack_class;
  info_.length = padded_pack_length(length_ + index_length + kPackTrailerBytes, full);

  end_ = Buffer(info_.length - length_);
  const ByteSpan out = end_.span();
  const size_t filler = out.size() - index_length - kPackTrailerBytes;
  random.fill(out.first(filler));
  const ByteSpan trailer = out.last(kPackTrailerBytes);
  const ByteSpan fresh = trailer.first(kPackFreshBytes);
  random.fill(fresh);

  const Bytes index =
      seal_once(keys_.index_key(fresh), pack_additional_data(header, "index"), coded);
  std::memcpy(out.data() + filler, index.data(), index.size());
  PackTrailer plain;
  plain.index_offset = length_ + filler;
  plain.index_length = static_cast<uint32_t>(index_length);
  plain.segment_count = segment_count();
  plain.segments_end = length_;
  const Bytes sealed = seal_once(keys_.trailer_key(fresh), pack_additional_data(header, "trailer"),
                                 encode_pack_trailer(plain));
  std::memcpy(trailer.data() + kPackFreshBytes, sealed.data(), sealed.size());

  hash_.update(end_.view());
  info_.hash = hash_.finish();
  ended_ = true;
}

Result<void> UnfinishedPack::write_end() {
  VARVE_TRY(write(length_, end_.view()));
  auto cut = file_->truncate(info_.length);  // gives back what was reserved
  if (!cut.ok()) return latch(std::move(cut).error());
  VARVE_TRY(sync());
  synced_ = true;
  end_ = Buffer();
  return {};
}

Result<void> UnfinishedPack::publish() {
  const std::string path = pack_path(info_.pack_class, info_.hash);
  const std::string parent(pack_folder(info_.pack_class));
  const std::string folder = info_.hash.hex().substr(0, 2);
  VARVE_TRY(folders_.make(parent, folder));
  const std::string open_path = open_pack_path(info_.pack);
  if (!renamed_) VARVE_TRY(storage_.rename(open_path, path));
  renamed_ = true;
  // rename(2) leaves two names of one file as they are.
  if (adopted_end_ && VARVE_TRY(storage_.exists(open_path))) VARVE_TRY(storage_.unlink(open_path));
  VARVE_TRY(storage_.sync_dir(parent + "/" + folder));
  VARVE_TRY(storage_.sync_dir(kOpenPackFolder));
  return {};
}

Result<PackStore::Recovered> UnfinishedPack::finish(bool full, Random& random) {
  VARVE_TRY(check());
  if (!ended_) make_end(full, random);
  if (!synced_) VARVE_TRY(write_end());
  auto published = publish();
  if (!published.ok()) return latch(std::move(published).error());
  return PackStore::Recovered{info_, std::move(index_)};
}

}  // namespace varve
