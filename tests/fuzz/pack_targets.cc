// Packs: the plain parts, and packs and segments that are sealed as they should be around bytes
// that are not.
#include "dedup/compressor.h"
#include "dedup/pack_reader.h"
#include "dedup/pack_store.h"
#include "dedup/segment_reader.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/seeded_keyring.h"
#include "tests/support/simulated_storage.h"

namespace varve {
namespace {

// More of them would open no new paths, only cost time.
constexpr uint64_t kOpenSegmentsMax = 16;
// What was committed and is not there is made a hole in the kept pack, up to kPackBytes; here, in
// memory.
constexpr uint64_t kCommittedMax = uint64_t{1} << 20;

const Keyring& pack_keyring() {
  static const Keyring keyring = seeded_keyring(2);
  return keyring;
}

const Hasher& pack_hasher() {
  static const Hasher hasher(pack_keyring());
  return hasher;
}

PackHeader pack_header() {
  PackHeader header;
  header.store = pack_keyring().store_id();
  header.epoch = pack_keyring().current().id;
  header.pack.bytes.fill(7);
  return header;
}

const PackKeys& pack_keys() {
  static const PackKeys keys = PackKeys::derive(pack_keyring(), pack_header()).value();
  return keys;
}

// Plain parts.

bool run_pack_header(ByteView input) {
  return expect_canonical(decode_pack_header(input), input, encode_pack_header);
}

std::vector<Bytes> pack_header_seeds() {
  return {encode_pack_header(pack_header())};
}

bool run_pack_trailer(ByteView input) {
  Decoder in(input);
  const uint64_t length = in.u64();
  const ByteView plain = in.raw(in.remaining());
  const Result<PackTrailer> trailer = decode_pack_trailer(plain, length);
  expect_canonical(trailer, plain, encode_pack_trailer);
  if (!trailer.ok()) return false;
  expect_that(
      trailer->index_offset <= length && trailer->index_length <= length - trailer->index_offset,
      "an index beyond its pack's end");
  return true;
}

std::vector<Bytes> pack_trailer_seeds() {
  PackTrailer trailer{1000, 8 + 24 + 36 + 16, 1, 900};
  const uint64_t length = trailer.index_offset + trailer.index_length + kPackTrailerBytes;
  return {Encoder().u64(length).raw(encode_pack_trailer(trailer)).take()};
}

PackIndex seed_index() {
  PackIndex index;
  index.chunks = {{ChunkId{{1}}, 10}, {ChunkId{{2}}, 20}, {ChunkId{{3}}, 5}};
  index.segments = {{128, 48 + 16 + 8 + 30, 30, 0, 2, SegmentType::kChunks, Codec::kStored},
                    {128 + 102, 48 + 16 + 4 + 5, 5, 2, 1, SegmentType::kTree, Codec::kStored}};
  return index;
}

bool run_pack_index(ByteView input) {
  return expect_canonical(decode_pack_index(input), input, encode_pack_index);
}

std::vector<Bytes> pack_index_seeds() {
  return {encode_pack_index(PackIndex()), encode_pack_index(seed_index())};
}

bool run_index_bundle(ByteView input) {
  return expect_canonical(decode_index_bundle(input), input, encode_index_bundle);
}

std::vector<Bytes> index_bundle_seeds() {
  IndexBundle bundle;
  bundle.header = pack_header();
  bundle.info.length = kPackBytes;
  bundle.index = seed_index();
  return {encode_index_bundle(bundle)};
}

// Segments. Input: the plain header, then the plain body; both are sealed, and opened again.

Bytes seal_segment_of(ByteView header, ByteView body, uint64_t ordinal) {
  Bytes sealed(header.size() + kTagBytes + body.size() + kTagBytes);
  const PackHeader& pack = pack_keys().header();
  const auto additional = [&](SegmentPart part) {
    return segment_additional_data(pack.store, pack.pack, ordinal, part,
                                   header.empty() ? 0 : header[0]);
  };
  const ByteSpan out(sealed);
  pack_keys().segment_header_sealer().seal(ordinal, additional(SegmentPart::kHeader), header,
                                           out.first(header.size() + kTagBytes));
  pack_keys().segment_body_sealer().seal(ordinal, additional(SegmentPart::kBody), body,
                                         out.subspan(header.size() + kTagBytes));
  return sealed;
}

bool run_segment_header(ByteView input) {
  return expect_canonical(decode_segment_header(input), input, encode_segment_header);
}

std::vector<Bytes> segment_header_seeds() {
  return {encode_segment_header({SegmentType::kChunks, Codec::kStored, 2, 100, 108, 0}),
          encode_segment_header({SegmentType::kTree, Codec::kZstd, 1, 1000, 104, 5})};
}

bool run_segment(ByteView input) {
  static SegmentReader reader(PackKeys::derive(pack_keyring(), pack_header()).value());
  const size_t split = std::min(input.size(), kSegmentHeaderBytes);
  Bytes sealed = seal_segment_of(input.first(split), input.subspan(split), 0);
  const auto segment = reader.decode(0, sealed, pack_hasher());
  if (!segment.ok()) return false;
  for (const IndexedChunk& chunk : (*segment)->chunks()) {
    const std::optional<ByteView> found = (*segment)->find(chunk.id);
    expect_that(found.has_value(), "a segment's chunk is not found by its id");
    const Result<ChunkId> id = pack_hasher().item_id((*segment)->type(), *found);
    expect_that(id.ok() && *id == chunk.id, "a chunk is found under another's id");
  }
  return true;
}

/// Header and body, plain, of chunks of those lengths.
Bytes plain_segment(SegmentType type, ByteView raw, const std::vector<uint32_t>& lengths) {
  Bytes packed(Compressor::compress_bound(raw.size()));
  const Compressor::Outcome outcome = Compressor(3).compress(raw, packed);
  const ByteView payload =
      outcome.codec == Codec::kStored ? raw : ByteView(packed).first(outcome.length);
  SegmentHeader header{type,
                       outcome.codec,
                       static_cast<uint32_t>(lengths.size()),
                       static_cast<uint32_t>(raw.size()),
                       static_cast<uint32_t>(4 * lengths.size() + payload.size()),
                       0};
  Encoder out;
  out.raw(encode_segment_header(header));
  for (const uint32_t length : lengths) out.u32(length);
  return out.raw(payload).take();
}

std::vector<Bytes> segment_seeds() {
  Bytes text;
  while (text.size() < 600)
    text.insert(text.end(), {'v', 'a', 'r', 'v', 'e', uint8_t(text.size() / 60)});
  const Bytes noise = random_bytes(3, 300);
  const Bytes object = Encoder().u32(5).raw(as_bytes("12345")).varint(0).take();
  return {plain_segment(SegmentType::kChunks, text, {600}),
          plain_segment(SegmentType::kChunks, text, {100, 499, 1}),
          plain_segment(SegmentType::kChunks, noise, {100, 200}),
          plain_segment(SegmentType::kChunks, Bytes(100000, 0), {100000}),
          plain_segment(SegmentType::kTree, object, {static_cast<uint32_t>(object.size())})};
}

// A sealed pack's file. Input: trailer 32, then as blobs its index and what lies before it.

PackInfo write_pack(SimulatedStorage& storage, ByteView file) {
  PackInfo info{pack_header().pack, {}, file.size(), PackClass::kData};
  const std::string path = pack_path(info.pack_class, info.hash);
  (void)storage.make_directories(path.substr(0, path.rfind('/')));
  (void)write_whole(storage, path, file);
  return info;
}

bool run_pack_file(ByteView input) {
  Decoder in(input);
  const ByteView trailer = in.raw(kPackTrailerPlainBytes);
  const ByteView index = in.blob(), segments = in.blob();
  if (in.failed()) return false;
  const Bytes fresh(kPackFreshBytes, 9);
  const PackHeader header = pack_header();
  Encoder file;
  file.raw(encode_pack_header(header)).raw(segments);
  file.raw(seal_once(pack_keys().index_key(fresh), pack_additional_data(header, "index"), index));
  file.raw(fresh);
  file.raw(
      seal_once(pack_keys().trailer_key(fresh), pack_additional_data(header, "trailer"), trailer));
  SimulatedStorage storage;
  const PackInfo info = write_pack(storage, file.view());
  const auto reader = PackReader::open(storage, pack_keyring(), info, nullptr);
  if (!reader.ok()) return false;
  const Result<PackIndex> read = (*reader)->read_index();
  const size_t segments_found = (*reader)->table()->size() - 1;
  expect_that(read.ok() ? read->segments.size() == segments_found : segments_found > 0,
              "a pack was opened by neither its index nor its segments' headers");
  bool whole = true;
  for (uint32_t i = 0; i < std::min<size_t>(segments_found, 8); i++) {
    const auto segment = (*reader)->read(i, pack_hasher());
    expect_that(!segment.ok() || !(*segment)->chunks().empty(), "a segment without chunks");
    whole = whole && segment.ok();
  }
  return whole;
}

std::vector<Bytes> pack_file_seeds() {
  const Bytes plain = segment_seeds()[2];
  const ByteView all(plain);
  const SegmentHeader header = decode_segment_header(all.first(kSegmentHeaderBytes)).value();
  const Bytes sealed =
      seal_segment_of(all.first(kSegmentHeaderBytes), all.subspan(kSegmentHeaderBytes), 0);
  PackIndex index;
  index.chunks = {{ChunkId{{1}}, 100}, {ChunkId{{2}}, 200}};
  index.segments = {{kPackHeaderBytes, static_cast<uint32_t>(sealed.size()), header.raw_length, 0,
                     2, header.type, header.codec}};
  const Bytes coded = encode_pack_index(index);
  const uint64_t end = kPackHeaderBytes + sealed.size();
  const PackTrailer trailer{end, static_cast<uint32_t>(coded.size() + kTagBytes), 1, end};
  return {Encoder()
              .raw(encode_pack_trailer(trailer))
              .blob(ByteView(coded))
              .blob(ByteView(sealed))
              .take()};
}

// A pack that a crash left open. Input: committed length u64, then plain segments as blobs; their
// ordinals are set right.

bool run_open_pack(ByteView input) {
  Decoder in(input);
  const uint64_t committed = std::min(in.u64(), kCommittedMax);
  Encoder file;
  file.raw(encode_pack_header(pack_header()));
  for (uint64_t ordinal = 0; in.remaining() > 0 && ordinal < kOpenSegmentsMax; ordinal++) {
    const ByteView plain = in.blob();
    const size_t split = std::min(plain.size(), kSegmentHeaderBytes);
    Bytes header(plain.begin(), plain.begin() + static_cast<ptrdiff_t>(split));
    // The ordinal, which every segment would have to guess right.
    if (header.size() == kSegmentHeaderBytes) header[16] = static_cast<uint8_t>(ordinal);
    file.raw(seal_segment_of(header, plain.subspan(split), ordinal));
  }
  SimulatedStorage storage;
  SeededRandom random(1);
  Metrics metrics;
  for (const char* folder : {kOpenPackFolder, "packs", "catalog"})
    (void)storage.make_directories(folder);
  (void)write_whole(storage, open_pack_path(pack_header().pack), file.view());
  PackStore packs(storage, pack_keyring(), random, WriterId{{5}}, metrics);
  const auto recovered = packs.recover(pack_header().pack, committed);
  if (!recovered.ok() || !*recovered) return false;
  const Result<PackIndex> index = packs.read_index(pack_header().pack);
  expect_that(index.ok() && encode_pack_index(*index) == encode_pack_index((*recovered)->index),
              "a recovered pack's index is another");
  for (uint32_t i = 0; i < index->segments.size(); i++) {
    // What was committed and is damaged is kept, and does not read; the rest was cut off.
    expect_that(
        packs.read_segment(pack_header().pack, i).ok() || index->segments[i].offset < committed,
        "a recovered segment does not read");
  }
  return true;
}

std::vector<Bytes> open_pack_seeds() {
  Encoder all;
  all.u64(0);
  std::vector<Bytes> seeds;
  for (const Bytes& segment : segment_seeds()) {
    all.blob(ByteView(segment));
    seeds.push_back(Encoder().u64(kPackHeaderBytes).blob(ByteView(segment)).take());
  }
  seeds.push_back(all.take());
  return seeds;
}

}  // namespace

std::vector<FuzzTarget> pack_targets() {
  return {{"pack_header", run_pack_header, pack_header_seeds},
          {"pack_trailer", run_pack_trailer, pack_trailer_seeds},
          {"pack_index", run_pack_index, pack_index_seeds},
          {"index_bundle", run_index_bundle, index_bundle_seeds},
          {"segment_header", run_segment_header, segment_header_seeds},
          {"segment", run_segment, segment_seeds},
          {"pack_file", run_pack_file, pack_file_seeds},
          {"open_pack", run_open_pack, open_pack_seeds}};
}

}  // namespace varve
