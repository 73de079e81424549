// Bringing packs to their end that a crash has left in local/open/.
//
// Such a pack is never appended to: what the storage has kept beyond the committed length is
// unknown, so that an ordinal might seal a second message. What authenticates from the front is
// kept, the rest is cut off.

#include <fmt/format.h>

#include "dedup/base/log.h"
#include "dedup/pack_store_state.h"

namespace varve {
namespace {

/// The segment at `offset`, or an error if there is no whole one.
Result<std::shared_ptr<const DecodedSegment>> read_next(StorageFile& file,
                                                        const SegmentReader& reader,
                                                        const UnfinishedPack& unfinished,
                                                        const Hasher& hasher,
                                                        std::pair<Buffer&, SegmentHeader&> out) {
  const uint64_t offset = unfinished.length();
  const uint32_t ordinal = unfinished.segment_count();
  std::array<uint8_t, kSealedSegmentHeaderBytes> sealed_header;
  VARVE_TRY(read_exactly(file, offset, sealed_header));
  out.second = VARVE_TRY(reader.open_header(ordinal, sealed_header));
  out.first = Buffer(kSealedSegmentHeaderBytes + out.second.body_length + kTagBytes);
  VARVE_TRY(read_exactly(file, offset, out.first.span()));
  Buffer scratch(
      out.first.size());  // decoding uses its input up, and the file's bytes are still to be hashed
  std::memcpy(scratch.data(), out.first.data(), scratch.size());
  return reader.decode(ordinal, scratch.span(), hasher);
}

/// Whether one more segment leaves room for index and trailer; a writer of ours has seen to it.
bool leaves_room(const UnfinishedPack& unfinished, size_t sealed_bytes, size_t chunks) {
  return unfinished.length() + sealed_bytes +
             pack_index_bytes(unfinished.segment_count() + uint64_t{1},
                              unfinished.chunk_count() + chunks) +
             kTagBytes + kPackTrailerBytes <=
         kPackBytes;
}

/// Takes over all whole segments from the front; the error is why the one after the last is none.
Error adopt_segments(StorageFile& file, const SegmentReader& reader, UnfinishedPack& unfinished,
                     const Hasher& hasher) {
  for (;;) {
    Buffer sealed;
    SegmentHeader header;
    auto segment = read_next(file, reader, unfinished, hasher, {sealed, header});
    if (!segment.ok()) return std::move(segment).error();
    const std::vector<IndexedChunk>& chunks = (*segment)->chunks();
    if (!leaves_room(unfinished, sealed.size(), chunks.size())) {
      return Error(Errc::kCorrupt, "more segments than a pack can hold");
    }
    IndexedSegment indexed;
    indexed.raw_length = header.raw_length;
    indexed.type = header.type;
    indexed.codec = header.codec;
    unfinished.adopt(indexed, chunks, sealed.view());
  }
}

/// A failure of the storage says nothing about the pack's bytes.
bool is_end(const Error& error) {
  return error.code() == Errc::kCorrupt || error.code() == Errc::kAuthentication;
}

}  // namespace

Result<std::optional<PackStore::Recovered>> PackStore::recover(const PackId& pack,
                                                               uint64_t committed_length) {
  const std::string path = open_pack_path(pack);
  const auto damaged = [&](std::string_view reason) {
    return Error(Errc::kCorrupt,
                 fmt::format("pack {} ({}): {}; it was committed to {} bytes and stays as it is",
                             pack.hex(), path, reason, committed_length));
  };
  std::shared_ptr<StorageFile> file = VARVE_TRY(state_->storage.open_write(path));
  std::array<uint8_t, kPackHeaderBytes> bytes;
  const size_t count = VARVE_TRY(file->read_at(0, bytes));
  auto header = decode_pack_header(ByteView(bytes).first(count));
  if (!header.ok() || header->pack != pack) {
    if (header.ok() || header.error().code() == Errc::kUnsupported || committed_length > 0) {
      return damaged(header.ok() ? "it is another pack" : header.error().message());
    }
    VARVE_TRY(remove_open(pack));  // the header was not durable yet, so nothing refers to it
    return std::optional<Recovered>();
  }
  SegmentReader reader(VARVE_TRY(PackKeys::derive(state_->keyring, *header)));
  UnfinishedPack unfinished(state_->storage, state_->folders,
                            VARVE_TRY(PackKeys::derive(state_->keyring, *header)), file);
  const Error end = adopt_segments(*file, reader, unfinished, state_->hasher);
  if (!is_end(end)) return Error(end).with_context("recovering " + path);
  if (unfinished.length() < committed_length) {
    return damaged(fmt::format("segment {} at {} is damaged: {}", unfinished.segment_count(),
                               unfinished.length(), end.message()));
  }
  if (unfinished.segment_count() == 0) {
    VARVE_TRY(remove_open(pack));
    return std::optional<Recovered>();
  }
  Recovered recovered = VARVE_TRY(unfinished.finish(false, state_->random));
  state_->sealed_now(recovered, nullptr);
  log_info(fmt::format("pack {} was recovered after a crash: {} segments", pack.hex(),
                       recovered.index.segments.size()));
  return std::optional<Recovered>(std::move(recovered));
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
