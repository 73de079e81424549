// What was written to a file and is in no chunk yet: buffers by offset, the newest on top.
//
// Not for two threads at once: the file's lock guards it. Slices that were handed out stay valid,
// and their bytes unchanged, whatever happens to the DirtyExtents afterwards.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "dedup/base/bytes.h"

namespace varve {

/// Bytes [from, to) of a file.
struct FileRange {
  uint64_t from = 0, to = 0;
  uint64_t length() const { return to - from; }
  friend bool operator==(const FileRange&, const FileRange&) = default;
};

/// Part of what is dirty, alive as long as this.
struct DirtySlice {
  uint64_t offset = 0;  // in the file
  ByteView bytes;
  std::shared_ptr<const void> owner;
};

class DirtyExtents {
 public:
  /// Copies `data` in over what is there; or shares `memory`, which `data` lies in and which keeps
  /// it as it is, unless that is nullptr.
  void write(uint64_t offset, ByteView data, std::shared_ptr<const void> memory = nullptr);
  /// What lies in [from, to), clipped, in order.
  std::vector<DirtySlice> read(uint64_t from, uint64_t to) const;
  /// What lies in [from, to) and, from `from` on, together in memory; no bytes if `from` is clean.
  DirtySlice together(uint64_t from, uint64_t to) const;
  /// Ranges that are dirty, in order; neighbours are one.
  std::vector<FileRange> runs() const;
  /// Forgets [from, to): it was cut off or punched out.
  void erase(uint64_t from, uint64_t to);
  /// Forgets what of [from, to) was written no later than `version`: it was flushed as of then.
  void erase_flushed(uint64_t from, uint64_t to, uint64_t version);

  /// Of the latest write; each write gives the next.
  uint64_t version() const { return version_; }
  bool empty() const { return pieces_.empty(); }
  /// Bytes of the file that are dirty.
  uint64_t bytes() const { return bytes_; }
  /// What they cost in memory: what the budget counts.
  uint64_t memory_bytes() const { return memory_bytes_; }
  /// No piece may grow any more (a flush is reading): writes make pieces of their own.
  void freeze_pieces() { frozen_version_ = version_; }

 private:
  struct Block {
    explicit Block(size_t size) : own(size), bytes(own.view()) {}
    Block(ByteView data, std::shared_ptr<const void> memory)
        : bytes(data), used(data.size()), shared(std::move(memory)) {}
    Buffer own;
    ByteView bytes;  // all of it; behind `used` is room to write in `own`
    size_t used = 0;
    std::shared_ptr<const void> shared;
  };
  struct Piece {
    std::shared_ptr<Block> block;
    size_t start = 0, length = 0;  // in the block
    uint64_t version = 0;
  };
  using Pieces = std::map<uint64_t, Piece>;

  size_t append_to_block(uint64_t offset, ByteView data);
  void add_block(uint64_t offset, ByteView data, size_t capacity);
  void insert(uint64_t offset, Piece piece);
  void remove(Pieces::iterator at);
  void split_at(uint64_t offset);
  static size_t cost_of(const Piece& piece);

  Pieces pieces_;
  uint64_t version_ = 0;
  uint64_t frozen_version_ = 0;
  uint64_t bytes_ = 0;
  uint64_t memory_bytes_ = 0;
};

}  // namespace varve
