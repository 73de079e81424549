#include "tests/bench/synthetic_packs.h"

#include "dedup/segment_reader.h"

namespace varve {
namespace {

/// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014).
uint64_t mixed(uint64_t value) {
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}

template <typename IdType>
IdType mixed_id(uint64_t number) {
  IdType id;
  uint64_t word = number;
  for (size_t i = 0; i < IdType::kSize; i += sizeof word) {
    word = mixed(word);
    std::memcpy(id.bytes.data() + i, &word, sizeof word);
  }
  return id;
}

constexpr uint64_t kPackNumbers = uint64_t{1} << 56;  // behind those of chunks

}  // namespace

ChunkId synthetic_chunk(uint64_t number) {
  return mixed_id<ChunkId>(number);
}

PackId synthetic_pack(uint64_t number) {
  return mixed_id<PackId>(kPackNumbers + number);
}

PackIndex synthetic_index(uint64_t number) {
  PackIndex index;
  uint64_t offset = kPackHeaderBytes;
  for (uint32_t first = 0; first < kSyntheticChunksPerPack; first += kSyntheticChunksPerSegment) {
    IndexedSegment segment;
    segment.first_chunk = first;
    segment.chunk_count = std::min(kSyntheticChunksPerSegment, kSyntheticChunksPerPack - first);
    segment.raw_length = segment.chunk_count * kSyntheticChunkBytes;
    segment.offset = offset;
    segment.length =
        static_cast<uint32_t>(sealed_segment_bytes(segment.raw_length, segment.chunk_count));
    offset += segment.length;
    index.segments.push_back(segment);
  }
  for (uint32_t i = 0; i < kSyntheticChunksPerPack; i++) {
    index.chunks.push_back(
        {synthetic_chunk(number * kSyntheticChunksPerPack + i), kSyntheticChunkBytes});
  }
  return index;
}

}  // namespace varve
