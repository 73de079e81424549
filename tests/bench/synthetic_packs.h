// Packs that were never written: indexes with the ids that a great store would have, made anew from
// their numbers whenever they are needed, so that a hundred million chunks take no memory.
#pragma once

#include "dedup/pack_format.h"

namespace varve {

inline constexpr uint32_t kSyntheticChunksPerPack = 2000;  // 64 MB at 32 KiB
inline constexpr uint32_t kSyntheticChunksPerSegment = 32;
inline constexpr uint32_t kSyntheticChunkBytes = 32768;

/// The n-th of all chunks; as good as random, and different for each n.
ChunkId synthetic_chunk(uint64_t number);
PackId synthetic_pack(uint64_t number);
/// The pack that holds the chunks from number * kSyntheticChunksPerPack on, in full segments whose
/// lengths in the pack are those of data that does not compress.
PackIndex synthetic_index(uint64_t number);

}  // namespace varve
