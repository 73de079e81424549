// Bringing packs to their end that a crash has left in local/open/.
//
// Such a pack is never appended to: what the storage has kept beyond the committed length is
// unknown, so that an ordinal might seal a second message. What authenticates from the front is
// kept; the rest is cut off where nothing was committed, and else kept in its place, so that what
// lies behind damage has the ordinal that it was sealed with.

#include <fmt/format.h>

#include "dedup/base/log.h"
#include "dedup/pack_store_state.h"

namespace varve {
namespace {

/// The pack that is taken over, segment by segment.
class Takeover {
 public:
  Takeover(PackStore::State& state, StorageFile& file, const SegmentReader& reader,
           UnfinishedPack& unfinished, uint64_t committed_length)
      : state_(state),
        file_(file),
        reader_(reader),
        unfinished_(unfinished),
        committed_length_(committed_length) {}

  /// All of it. kCorrupt, and nothing is changed, if nothing opens though something was committed.
  Result<void> run();

 private:
  struct Frame {
    uint64_t offset = 0;
    uint32_t ordinal = 0;
  };
  Error adopt_whole();
  Result<std::shared_ptr<const DecodedSegment>> read_next(Buffer& sealed, SegmentHeader& header);
  Result<std::optional<Frame>> find_frame();
  Result<std::optional<Frame>> frame_behind_header(uint64_t offset, uint32_t ordinal);
  Result<std::optional<Frame>> search(ByteView bytes, uint64_t from, uint32_t ordinal);
  Result<void> keep_damaged(uint64_t end, size_t pieces);

  PackStore::State& state_;
  StorageFile& file_;
  const SegmentReader& reader_;
  UnfinishedPack& unfinished_;
  const uint64_t committed_length_;
};

/// The segment at the end of what was taken over, or an error if there is no whole one.
Result<std::shared_ptr<const DecodedSegment>> Takeover::read_next(Buffer& sealed,
                                                                  SegmentHeader& header) {
  const uint64_t offset = unfinished_.length();
  const uint32_t ordinal = unfinished_.segment_count();
  std::array<uint8_t, kSealedSegmentHeaderBytes> sealed_header;
  VARVE_TRY(read_exactly(file_, offset, sealed_header));
  header = VARVE_TRY(reader_.open_header(ordinal, sealed_header));
  sealed = Buffer(kSealedSegmentHeaderBytes + header.body_length + kTagBytes);
  VARVE_TRY(read_exactly(file_, offset, sealed.span()));
  // Decoding uses its input up, and the bytes are still to be hashed.
  Buffer scratch(sealed.size());
  std::memcpy(scratch.data(), sealed.data(), scratch.size());
  return reader_.decode(ordinal, scratch.span(), state_.hasher);
}

/// Whether one more segment leaves room for index and trailer; a writer of ours has seen to it.
bool leaves_room(const UnfinishedPack& unfinished, size_t sealed_bytes, size_t chunks) {
  return unfinished.length() + sealed_bytes +
             pack_index_bytes(unfinished.segment_count() + uint64_t{1},
                              unfinished.chunk_count() + chunks) +
             kTagBytes + kPackTrailerBytes <=
         kPackBytes;
}

/// All whole segments that come next; the error is why the one after the last is none.
Error Takeover::adopt_whole() {
  for (;;) {
    Buffer sealed;
    SegmentHeader header;
    auto segment = read_next(sealed, header);
    if (!segment.ok()) return std::move(segment).error();
    const std::vector<IndexedChunk>& chunks = (*segment)->chunks();
    if (!leaves_room(unfinished_, sealed.size(), chunks.size())) {
      return Error(Errc::kCorrupt, "more segments than a pack can hold");
    }
    IndexedSegment indexed;
    indexed.raw_length = header.raw_length;
    indexed.type = header.type;
    indexed.codec = header.codec;
    unfinished_.adopt(indexed, chunks, sealed.view());
  }
}

/// What a segment of one stored chunk has besides it.
constexpr uint64_t kOpaqueOverheadBytes = sealed_segment_bytes(0, 1);
/// The longest segment, and the shortest.
constexpr uint64_t kPieceBytesMax = kOpaqueOverheadBytes + kSegmentRawBytesMax;
constexpr uint64_t kPieceBytesMin = kOpaqueOverheadBytes + 1;
/// So many segments in a row may have lost their headers; a longer gap is not searched.
constexpr uint32_t kLostHeadersMax = 4;

/// Looks in `bytes`, which lie at `from`, for the header of that segment.
Result<std::optional<Takeover::Frame>> Takeover::search(ByteView bytes, uint64_t from,
                                                        uint32_t ordinal) {
  for (size_t at = 0; at + kSealedSegmentHeaderBytes <= bytes.size(); at++) {
    const auto header = reader_.open_header(ordinal, bytes.subspan(at, kSealedSegmentHeaderBytes));
    if (header.ok()) return std::optional<Frame>(Frame{from + at, ordinal});
    if (!says_damage(header.error())) return header.error();
  }
  return std::optional<Frame>();
}

/// What follows a segment whose header opens, though its body does not.
Result<std::optional<Takeover::Frame>> Takeover::frame_behind_header(uint64_t offset,
                                                                     uint32_t ordinal) {
  std::array<uint8_t, kSealedSegmentHeaderBytes> sealed;
  const size_t count = VARVE_TRY(file_.read_at(offset, sealed));
  const auto header = reader_.open_header(ordinal, ByteView(sealed).first(count));
  if (!header.ok()) return std::optional<Frame>();
  const uint64_t end = offset + kSealedSegmentHeaderBytes + header->body_length + kTagBytes;
  return std::optional<Frame>(Frame{end, ordinal + 1});
}

/// Where segments go on behind the damage, below the committed length.
Result<std::optional<Takeover::Frame>> Takeover::find_frame() {
  const uint64_t offset = unfinished_.length();
  const uint32_t ordinal = unfinished_.segment_count();
  std::optional<Frame> next = VARVE_TRY(frame_behind_header(offset, ordinal));
  if (next && next->offset <= committed_length_) return next;
  const uint64_t span = std::min(committed_length_ - offset, kLostHeadersMax * kPieceBytesMax);
  Buffer bytes(span);
  const size_t count = VARVE_TRY(file_.read_at(offset, bytes.span()));
  const ByteView there = bytes.view().first(count);
  for (uint32_t lost = 1; lost <= kLostHeadersMax; lost++) {
    const uint64_t skip = lost * kPieceBytesMin;
    if (skip >= there.size()) break;
    const size_t window = std::min<uint64_t>(there.size() - skip, lost * kPieceBytesMax);
    const auto found =
        VARVE_TRY(search(there.subspan(skip, window), offset + skip, ordinal + lost));
    if (found) return found;
  }
  return std::optional<Frame>();
}

/// Bytes up to `end` become that many segments that do not open.
Result<void> Takeover::keep_damaged(uint64_t end, size_t pieces) {
  for (size_t left = pieces; left > 0; left--) {
    const uint64_t offset = unfinished_.length();
    Buffer bytes((end - offset) / left);
    // What is not there was cut off by the disk; it is written as zeros, which do not open either.
    const size_t count = VARVE_TRY(file_.read_at(offset, bytes.span()));
    std::memset(bytes.data() + count, 0, bytes.size() - count);
    if (count < bytes.size()) VARVE_TRY(file_.write_at(offset, bytes.view()));
    const uint64_t raw_length = bytes.size() - kOpaqueOverheadBytes;
    if (bytes.size() < kPieceBytesMin || raw_length > kSegmentRawBytesMax ||
        !leaves_room(unfinished_, bytes.size(), 1)) {
      return Error(Errc::kCorrupt, "no segments can have been where it is damaged");
    }
    const auto raw = static_cast<uint32_t>(raw_length);
    IndexedSegment indexed;
    indexed.raw_length = raw;
    indexed.type = unfinished_.keys().header().pack_class == PackClass::kData ? SegmentType::kChunks
                                                                              : SegmentType::kTree;
    unfinished_.adopt(indexed, {{state_.random.id<ChunkId>(), raw}}, bytes.view());
  }
  return {};
}

Result<void> Takeover::run() {
  for (;;) {
    const Error end = adopt_whole();
    if (!says_damage(end)) return end;
    const uint64_t from = unfinished_.length();
    if (from >= committed_length_) return {};
    const std::optional<Frame> next = VARVE_TRY(find_frame());
    if (!next && unfinished_.segment_count() == 0) return end;  // not even its keys are sure
    const uint64_t to = next ? next->offset : committed_length_;
    const size_t pieces = next ? next->ordinal - unfinished_.segment_count()
                               : (to - from + kPieceBytesMax - 1) / kPieceBytesMax;
    log_error(fmt::format(
        "pack {}: segment {} at {} is damaged ({}), though it was committed to {} bytes: the disk "
        "lost what it had synced; {} bytes cannot be read",
        unfinished_.keys().header().pack.hex(), unfinished_.segment_count(), from, end.message(),
        committed_length_, to - from));
    VARVE_TRY(keep_damaged(to, pieces));
  }
}

}  // namespace

Result<std::optional<PackStore::Recovered>> PackStore::recover(const PackId& pack,
                                                               uint64_t committed_length) {
  const std::string path = open_pack_path(pack);
  std::shared_ptr<StorageFile> file = VARVE_TRY(state_->storage.open_write(path));
  std::array<uint8_t, kPackHeaderBytes> bytes;
  const size_t count = VARVE_TRY(file->read_at(0, bytes));
  auto header = decode_pack_header(ByteView(bytes).first(count));
  if (!header.ok() || header->pack != pack) {
    if (header.ok() || header.error().code() == Errc::kUnsupported || committed_length > 0) {
      return Error(Errc::kCorrupt,
                   fmt::format("pack {} ({}): {}; it was committed to {} bytes and stays as it is",
                               pack.hex(), path,
                               header.ok() ? "it is another pack" : header.error().message(),
                               committed_length));
    }
    VARVE_TRY(remove_open(pack));  // the header was not durable yet, so nothing refers to it
    return std::optional<Recovered>();
  }
  SegmentReader reader(VARVE_TRY(PackKeys::derive(state_->keyring, *header)));
  auto unfinished =
      std::make_shared<UnfinishedPack>(state_->storage, state_->folders,
                                       VARVE_TRY(PackKeys::derive(state_->keyring, *header)), file);
  VARVE_TRY(
      in_context(Takeover(*state_, *file, reader, *unfinished, committed_length).run(),
                 fmt::format("recovering {} (committed to {} bytes)", path, committed_length)));
  if (unfinished->segment_count() == 0) {
    VARVE_TRY(remove_open(pack));
    return std::optional<Recovered>();
  }
  VARVE_TRY(unfinished->adopt_end());
  auto finished = unfinished->finish(false, state_->random);
  if (!finished.ok()) {
    if (finished.error().code() == Errc::kNoSpace) VARVE_TRY(state_->wait_for_space(unfinished));
    return std::move(finished).error();
  }
  state_->sealed_now(*finished, nullptr);
  log_info(fmt::format("pack {} was recovered after a crash: {} segments", pack.hex(),
                       finished->index.segments.size()));
  return std::optional<Recovered>(std::move(finished).value());
}

Result<void> PackStore::State::wait_for_space(std::shared_ptr<UnfinishedPack> pack) {
  const PackId id = pack->keys().header().pack;
  auto reader = std::make_shared<PackReader>(
      VARVE_TRY(PackKeys::derive(keyring, pack->keys().header())), pack->file());
  for (const IndexedSegment& segment : pack->index().segments)
    reader->add_segment(segment.offset + segment.length);
  std::lock_guard lock(mutex);
  writing[id] = std::move(reader);
  waiting[id] = std::move(pack);
  return {};
}

std::optional<PackIndex> PackStore::waiting_index(const PackId& pack) const {
  std::lock_guard lock(state_->mutex);
  const auto found = state_->waiting.find(pack);
  if (found == state_->waiting.end()) return std::nullopt;
  return found->second->index();
}

Result<void> PackStore::finish_waiting(const std::function<void(Recovered)>& sealed) {
  for (;;) {
    std::shared_ptr<UnfinishedPack> pack;
    {
      std::lock_guard lock(state_->mutex);
      if (state_->waiting.empty()) return {};
      pack = state_->waiting.begin()->second;
    }
    Recovered recovered = VARVE_TRY(pack->finish(false, state_->random));
    state_->sealed_now(recovered, nullptr);
    {
      std::lock_guard lock(state_->mutex);
      state_->waiting.erase(recovered.info.pack);
    }
    sealed(std::move(recovered));
  }
}

Result<std::vector<PackId>> PackStore::list_open() {
  std::vector<PackId> packs;
  auto entries = state_->storage.list(kOpenPackFolder);
  if (!entries.ok() && entries.error().code() == Errc::kNotFound) return packs;
  if (!entries.ok()) return std::move(entries).error();
  for (const StorageEntry& entry : *entries) {
    auto pack = PackId::from_hex(entry.name);
    if (pack && !entry.is_directory) packs.push_back(*pack);
  }
  return packs;
}

Result<void> PackStore::remove_open(const PackId& pack) {
  VARVE_TRY(state_->storage.unlink(open_pack_path(pack)));
  return state_->storage.sync_dir(kOpenPackFolder);
}

}  // namespace varve
