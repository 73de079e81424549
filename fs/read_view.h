// A file as a reader sees it: what is dirty over what is committed over zeros. Pure: chunks come
// through a function.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "catalog/inode.h"
#include "dedup/fetch.h"
#include "fs/dirty_extents.h"

namespace varve {

using ChunkSource = std::function<Result<ChunkBytes>(const Extent&)>;

/// Fills `out` with the file's bytes from `offset` on. `extents` and `dirty` overlap [offset,
/// offset + out.size()) and are in order; parts that neither covers are zeros. An extent that lies
/// wholly under dirty data is not fetched.
Result<void> read_view(uint64_t offset, ByteSpan out, const std::vector<DirtySlice>& dirty,
                       const std::vector<Extent>& extents, const ChunkSource& chunks);

/// Extents that a search for data or holes looks at together.
inline constexpr size_t kSeekExtents = 1024;
/// `extents` are the first kSeekExtents that overlap [offset, to): how far they tell what is there.
uint64_t known_until(std::span<const Extent> extents, uint64_t to);

/// Where the data that holds `offset` ends: the next byte that neither a run nor an extent covers.
/// `offset` itself if it is in a hole.
uint64_t data_end(uint64_t offset, std::span<const FileRange> runs,
                  std::span<const Extent> extents);
/// The first byte at or behind `offset` that a run or an extent covers; nullopt if there is none.
std::optional<uint64_t> data_start(uint64_t offset, std::span<const FileRange> runs,
                                   std::span<const Extent> extents);

}  // namespace varve
