#include "fs/dirty_extents.h"

#include <algorithm>

namespace varve {
namespace {

constexpr size_t kBlockBytesMax = 1u << 20;
// Map node, control block: what a piece costs besides its bytes.
constexpr size_t kPieceOverheadBytes = 160;

}  // namespace

size_t DirtyExtents::cost_of(const Piece& piece) {
  return piece.length + kPieceOverheadBytes;
}

void DirtyExtents::insert(uint64_t offset, Piece piece) {
  bytes_ += piece.length;
  memory_bytes_ += cost_of(piece);
  pieces_.emplace(offset, std::move(piece));
}

void DirtyExtents::remove(Pieces::iterator at) {
  bytes_ -= at->second.length;
  memory_bytes_ -= cost_of(at->second);
  pieces_.erase(at);
}

void DirtyExtents::split_at(uint64_t offset) {
  auto at = pieces_.lower_bound(offset);
  if (at == pieces_.begin()) return;
  --at;
  Piece& left = at->second;
  if (at->first + left.length <= offset) return;
  Piece right = left;
  size_t keep = static_cast<size_t>(offset - at->first);
  right.start += keep;
  right.length -= keep;
  bytes_ -= right.length;
  memory_bytes_ -= right.length;
  left.length = keep;
  insert(offset, std::move(right));
}

void DirtyExtents::erase(uint64_t from, uint64_t to) {
  if (from >= to) return;
  split_at(from);
  split_at(to);
  auto at = pieces_.lower_bound(from);
  while (at != pieces_.end() && at->first < to) {
    auto next = std::next(at);
    remove(at);
    at = next;
  }
}

void DirtyExtents::erase_flushed(uint64_t from, uint64_t to, uint64_t version) {
  if (from >= to) return;
  split_at(from);
  split_at(to);
  auto at = pieces_.lower_bound(from);
  while (at != pieces_.end() && at->first < to) {
    auto next = std::next(at);
    if (at->second.version <= version) remove(at);
    at = next;
  }
}

void DirtyExtents::write(uint64_t offset, ByteView data, std::shared_ptr<const void> memory) {
  if (data.empty()) return;
  erase(offset, offset + data.size());
  version_++;
  if (memory) {
    auto block = std::make_shared<Block>(data, std::move(memory));
    return insert(offset, Piece{std::move(block), 0, data.size(), version_});
  }
  size_t done = append_to_block(offset, data);
  size_t capacity = 0;
  if (done > 0 || !pieces_.empty()) {
    auto before = pieces_.lower_bound(offset + done);
    if (before != pieces_.begin()) {
      --before;
      // A stream of small writes fills blocks that double, so that neither one small file nor many
      // writes waste memory.
      if (before->first + before->second.length == offset + done)
        capacity = 2 * before->second.block->bytes.size();
    }
  }
  while (done < data.size()) {
    size_t size = std::clamp(std::max(capacity, data.size() - done), size_t{1}, kBlockBytesMax);
    size_t part = std::min(size, data.size() - done);
    add_block(offset + done, data.subspan(done, part), size);
    done += part;
  }
}

size_t DirtyExtents::append_to_block(uint64_t offset, ByteView data) {
  auto at = pieces_.lower_bound(offset);
  if (at == pieces_.begin()) return 0;
  --at;
  Piece& piece = at->second;
  Block& block = *piece.block;
  // Only the piece that ends where the block's used part ends may go on there: slices elsewhere in
  // it are being read.
  if (at->first + piece.length != offset || piece.start + piece.length != block.used) return 0;
  size_t part = std::min(block.bytes.size() - block.used, data.size());
  if (part == 0) return 0;
  std::memcpy(block.own.data() + block.used, data.data(), part);
  size_t start = block.used;
  block.used += part;
  if (piece.version > frozen_version_) {
    piece.length += part;
    piece.version = version_;
    bytes_ += part;
    memory_bytes_ += part;
  } else {
    insert(offset, Piece{piece.block, start, part, version_});
  }
  return part;
}

void DirtyExtents::add_block(uint64_t offset, ByteView data, size_t capacity) {
  auto block = std::make_shared<Block>(capacity);
  std::memcpy(block->own.data(), data.data(), data.size());
  block->used = data.size();
  insert(offset, Piece{std::move(block), 0, data.size(), version_});
}

std::vector<DirtySlice> DirtyExtents::read(uint64_t from, uint64_t to) const {
  std::vector<DirtySlice> result;
  auto at = pieces_.upper_bound(from);
  if (at != pieces_.begin()) --at;
  for (; at != pieces_.end() && at->first < to; ++at) {
    const Piece& piece = at->second;
    uint64_t begin = std::max(from, at->first), end = std::min(to, at->first + piece.length);
    if (begin >= end) continue;
    ByteView bytes = piece.block->bytes.subspan(piece.start + (begin - at->first), end - begin);
    result.push_back({begin, bytes, piece.block});
  }
  return result;
}

DirtySlice DirtyExtents::together(uint64_t from, uint64_t to) const {
  auto at = pieces_.upper_bound(from);
  if (at == pieces_.begin()) return {};
  --at;
  if (from >= std::min(to, at->first + at->second.length)) return {};
  const Piece& first = at->second;
  const size_t start = first.start + (from - at->first);
  uint64_t end = at->first + first.length;
  // Pieces of one block that follow each other there and in the file.
  for (++at; at != pieces_.end() && at->first == end && end < to; ++at) {
    if (at->second.block != first.block || at->second.start != start + (end - from)) break;
    end += at->second.length;
  }
  const ByteView bytes = first.block->bytes.subspan(start, std::min(end, to) - from);
  return {from, bytes, first.block};
}

std::vector<FileRange> DirtyExtents::runs() const {
  std::vector<FileRange> result;
  for (const auto& [offset, piece] : pieces_) {
    if (!result.empty() && result.back().to == offset) {
      result.back().to += piece.length;
    } else {
      result.push_back({offset, offset + piece.length});
    }
  }
  return result;
}

}  // namespace varve
