#include "fs/read_view.h"

#include <algorithm>

namespace varve {
namespace {

/// Copies the part of the extent that lies in [from, to) to where it belongs in `out`, which begins
/// at `offset`.
Result<void> copy_extent(const Extent& extent, FileRange part, uint64_t offset, ByteSpan out,
                         const ChunkSource& chunks) {
  ChunkBytes chunk = VARVE_TRY(chunks(extent));
  uint64_t begin = extent.chunk_offset + (part.from - extent.offset);
  if (begin > chunk.bytes.size() || chunk.bytes.size() - begin < part.length()) {
    return Error(Errc::kCorrupt, "an extent reaches beyond its chunk " + extent.chunk.hex());
  }
  std::memcpy(out.data() + (part.from - offset), chunk.bytes.data() + begin, part.length());
  return {};
}

bool covered_by(const std::vector<DirtySlice>& dirty, FileRange range) {
  uint64_t at = range.from;
  for (const DirtySlice& slice : dirty) {
    if (slice.offset > at) break;
    at = std::max<uint64_t>(at, slice.offset + slice.bytes.size());
    if (at >= range.to) return true;
  }
  return at >= range.to;
}

}  // namespace

Result<void> read_view(uint64_t offset, ByteSpan out, const std::vector<DirtySlice>& dirty,
                       const std::vector<Extent>& extents, const ChunkSource& chunks) {
  if (out.empty()) return {};
  uint64_t end = offset + out.size();
  uint64_t zeroed = offset;
  auto zero_until = [&](uint64_t to) {
    if (to > zeroed) std::memset(out.data() + (zeroed - offset), 0, to - zeroed);
  };
  for (const Extent& extent : extents) {
    FileRange part{std::max(offset, extent.offset), std::min(end, extent.offset + extent.length)};
    if (part.from >= part.to) continue;
    zero_until(part.from);
    zeroed = part.to;
    if (!covered_by(dirty, part)) VARVE_TRY(copy_extent(extent, part, offset, out, chunks));
  }
  zero_until(end);
  for (const DirtySlice& slice : dirty) {
    uint64_t from = std::max(offset, slice.offset),
             to = std::min(end, slice.offset + slice.bytes.size());
    if (from < to)
      std::memcpy(out.data() + (from - offset), slice.bytes.data() + (from - slice.offset),
                  to - from);
  }
  return {};
}

uint64_t known_until(std::span<const Extent> extents, uint64_t to) {
  if (extents.size() < kSeekExtents) return to;
  return std::min(to, extents.back().offset + extents.back().length);
}

uint64_t data_end(uint64_t offset, std::span<const FileRange> runs,
                  std::span<const Extent> extents) {
  uint64_t at = offset;
  auto run = runs.begin();
  auto extent = extents.begin();
  while (true) {
    uint64_t before = at;
    while (run != runs.end() && run->from <= at) at = std::max(at, (run++)->to);
    while (extent != extents.end() && extent->offset <= at) {
      at = std::max(at, extent->offset + extent->length);
      ++extent;
    }
    if (at == before) return at;
  }
}

std::optional<uint64_t> data_start(uint64_t offset, std::span<const FileRange> runs,
                                   std::span<const Extent> extents) {
  std::optional<uint64_t> result;
  auto take = [&](uint64_t from, uint64_t to) {
    if (to <= offset) return;
    uint64_t start = std::max(offset, from);
    if (!result || start < *result) result = start;
  };
  for (const FileRange& run : runs) take(run.from, run.to);
  for (const Extent& extent : extents) take(extent.offset, extent.offset + extent.length);
  return result;
}

}  // namespace varve
