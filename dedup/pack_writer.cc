// PackStore::Writer: seals segments one after the other into a new pack.
//
// No (key, nonce) pair may seal two messages, ever. The nonce is the ordinal, so an ordinal is used
// up by sealing, not by writing: where the disk had no space for a sealed segment, the sealed bytes
// are kept, and the next append writes these or nothing.

#include <fmt/format.h>

#include <algorithm>

#include "dedup/base/disk_reserve.h"
#include "dedup/base/log.h"
#include "dedup/pack_store_state.h"

namespace varve {
namespace {

/// What a segment is known by when its append is tried again.
bool same_segment(const std::vector<IndexedChunk>& a, const std::vector<IndexedChunk>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const IndexedChunk& x, const IndexedChunk& y) {
                      return x.id == y.id && x.length == y.length;
                    });
}

}  // namespace

class PackWriter final : public PackStore::Writer {
 public:
  PackWriter(PackStore::State& state, PackKeys keys, std::shared_ptr<StorageFile> file,
             std::shared_ptr<PackReader> reader)
      : state_(state),
        header_sealer_(keys.segment_header_sealer()),
        body_sealer_(keys.segment_body_sealer()),
        reader_(std::move(reader)),
        unfinished_(state.storage, state.folders, std::move(keys), std::move(file)) {}

  const PackId& pack() const override { return unfinished_.keys().header().pack; }
  PackClass pack_class() const override { return unfinished_.keys().header().pack_class; }

  bool fits(size_t payload_bytes, size_t chunks) const override {
    const uint64_t segments = unfinished_.segment_count() + uint64_t{1};
    return unfinished_.length() + sealed_segment_bytes(payload_bytes, chunks) +
               pack_index_bytes(segments, unfinished_.chunk_count() + chunks) + kTagBytes +
               kPackTrailerBytes <=
           kPackBytes;
  }

  Result<uint32_t> append(const PreparedSegment& segment) override {
    VARVE_TRY(unfinished_.check());
    if (finishing_ || !fits(segment.payload.size(), segment.chunks.size())) {
      return Error(Errc::kInvalid, "segment appended to a pack that is full");
    }
    const uint32_t ordinal = unfinished_.segment_count();
    if (sealed_.size() == 0) {
      sealed_ = seal_segment(unfinished_.keys(), header_sealer_, body_sealer_, ordinal, segment);
      sealed_chunks_ = segment.chunks;
    } else if (!same_segment(sealed_chunks_, segment.chunks)) {
      return Error(Errc::kInvalid, "another segment appended where one waits for space");
    }
    IndexedSegment indexed;
    indexed.raw_length = segment.raw_length;
    indexed.type = segment.type;
    indexed.codec = segment.codec;
    VARVE_TRY(unfinished_.append(indexed, segment.chunks, sealed_.view()));
    sealed_ = Buffer();
    sealed_chunks_.clear();
    reader_->add_segment(unfinished_.length());
    return ordinal;
  }

  Result<uint64_t> sync() override { return unfinished_.sync(); }

  Result<PackStore::Recovered> finish(bool full) override {
    VARVE_TRY(unfinished_.check());
    if (sealed_.size() != 0)
      return Error(Errc::kInvalid, "pack finished while a segment waits for space");
    finishing_ = true;
    PackStore::Recovered recovered = VARVE_TRY(unfinished_.finish(full, state_.random));
    state_.sealed_now(recovered, reader_);
    return recovered;
  }

 private:
  PackStore::State& state_;
  Sealer header_sealer_, body_sealer_;
  std::shared_ptr<PackReader> reader_;
  UnfinishedPack unfinished_;
  Buffer sealed_;  // a segment that found no space
  std::vector<IndexedChunk> sealed_chunks_;
  bool finishing_ = false;
};

namespace {

/// As much of a full pack as there is space for; a small store must not be unusable for want of 64
/// MiB in one piece.
Result<void> reserve(Storage& storage, StorageFile& file) {
  const StorageSpace space = VARVE_TRY(storage.space());
  const uint64_t smallest = kPackBytes / 16;
  for (uint64_t length = kPackBytes; length >= smallest; length /= 4) {
    // What was accepted goes before what is kept free: the smallest is tried in any case.
    if (length > smallest && length + disk_reserve_bytes(space.total) > space.available) continue;
    auto reserved = file.reserve(length);
    if (reserved.ok() || reserved.error().code() == Errc::kUnsupported) return {};
    if (reserved.error().code() != Errc::kNoSpace) return reserved;
    VARVE_TRY(file.truncate(0));  // a filesystem may keep the part that it found
  }
  return Error(Errc::kNoSpace, "no space for a new pack");
}

Result<void> begin(Storage& storage, StorageFile& file, const PackHeader& header) {
  VARVE_TRY(reserve(storage, file));
  VARVE_TRY(file.write_at(0, encode_pack_header(header)));
  VARVE_TRY(file.sync());
  return storage.sync_dir(kOpenPackFolder);
}

}  // namespace

Result<std::unique_ptr<PackStore::Writer>> PackStore::create(PackClass pack_class) {
  const PackHeader header = state_->new_header(pack_class);
  PackKeys keys = VARVE_TRY(PackKeys::derive(state_->keyring, header));
  PackKeys reader_keys = VARVE_TRY(PackKeys::derive(state_->keyring, header));
  VARVE_TRY(state_->folders.make("local", "open"));
  const std::string path = open_pack_path(header.pack);
  std::shared_ptr<StorageFile> file = VARVE_TRY(state_->storage.create(path));
  auto begun = begin(state_->storage, *file, header);
  if (!begun.ok()) {
    // A header alone is worth nothing, and another try takes another pack id. What stays is removed
    // by recovery.
    auto removed = state_->storage.unlink(path);
    if (!removed.ok())
      log_warning(fmt::format("{} is left over: {}", path, removed.error().message()));
    return std::move(begun).error().with_context("beginning a pack");
  }
  auto reader = std::make_shared<PackReader>(std::move(reader_keys), file);
  {
    std::lock_guard lock(state_->mutex);
    state_->writing[header.pack] = reader;
  }
  return std::unique_ptr<Writer>(
      std::make_unique<PackWriter>(*state_, std::move(keys), std::move(file), std::move(reader)));
}

}  // namespace varve
