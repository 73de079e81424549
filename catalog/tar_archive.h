// A snapshot as one PAX archive: bytes at any offset, always the same for the same snapshot
// (docs/tar.md). Nothing of it is stored: headers are made, contents read, when they are asked for.
//
// One walk at open tells the size, and keeps positions to begin at and the first paths of files
// with several names; memory is bounded but for the latter. Any thread.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "catalog/tar_format.h"
#include "catalog/tar_walk.h"

namespace varve {

class TarArchive {
 public:
  struct Options {
    uint64_t spacing_bytes = uint64_t{1} << 20;  // between positions, as long as they are few
    size_t positions_max = 16384;                // then every other one goes
    uint64_t ahead_bytes = uint64_t{6} << 20;    // of a sequential reader, decoded in advance
  };
  /// The trees of the body: a set's, or the whole mount's. kCorrupt, kIo where metadata cannot be
  /// read.
  static Result<std::shared_ptr<TarArchive>> open(Fetch& fetch, const SnapshotBody& body,
                                                  bool whole_mount, Options options);

  uint64_t size() const { return size_; }
  /// Whether all files in it belong to that user.
  bool belongs_to(uint32_t uid) const { return one_owner_ && owner_ == uid; }
  /// Fewer bytes than asked for only at the end.
  Result<size_t> read(uint64_t offset, ByteSpan out);

 private:
  /// An entry as it lies in the archive.
  struct Piece {
    TarItem item;
    std::string header;  // and the map of a sparse file
    std::vector<TarRun> runs;
    uint64_t body = 0;  // bytes of content behind the header
    uint64_t bytes() const { return header.size() + tar_padded(body); }
  };
  /// Somebody who reads from one end to the other.
  struct Cursor {
    TarWalk walk;
    uint64_t at = 0;          // where the first piece begins
    std::list<Piece> pieces;  // that one and what follows, looked at in advance
    uint64_t ahead = 0;       // their bytes
    bool complete = false;    // nothing is behind them
  };
  struct Position {
    uint64_t offset = 0;  // where the entry behind this one begins
    size_t root = 0;
    std::string path;
  };

  TarArchive(Fetch& fetch, TarWalk::Roots roots, Options options)
      : fetch_(fetch), roots_(std::move(roots)), options_(options) {}
  Result<void> make_index();
  void add_position(uint64_t offset, const TarItem& item);
  Result<Piece> piece_of(TarItem item, bool first_walk);
  Result<void> add_runs(Piece& piece, uint64_t size);
  bool is_link(const TarItem& item, bool first_walk, std::string& target);
  std::string full_path(const TarItem& item) const;

  Result<Cursor> cursor_for(uint64_t offset);
  void put_back(Cursor cursor);
  Result<bool> look_ahead(Cursor& cursor, uint64_t bytes);
  void prefetch(const Piece& piece);
  Result<void> read_piece(const Piece& piece, uint64_t offset, ByteSpan out);
  Result<void> read_body(const Piece& piece, uint64_t offset, ByteSpan out);

  Fetch& fetch_;
  const TarWalk::Roots roots_;
  const Options options_;
  uint64_t size_ = 0, spacing_ = 0;
  bool one_owner_ = true;
  std::optional<uint32_t> owner_;
  std::vector<Position> positions_;
  /// Of files with several names, by tree and number: the path of the first.
  std::vector<std::unordered_map<uint64_t, std::string>> first_paths_;

  std::mutex mutex_;           // guards what follows; a leaf
  std::list<Cursor> cursors_;  // not in use, the one that was used last first
  std::optional<ChunkPlace> prefetched_;
};

}  // namespace varve
