#include "catalog/tar_archive.h"

#include <algorithm>

namespace varve {
namespace {

constexpr uint64_t kEndBytes = 2 * kTarBlockBytes;  // zeros: the archive's end
constexpr size_t kCursorsMax = 4;
constexpr size_t kPiecesAheadMax = 1024;

uint64_t allocated_of(const TreeNode& node) {
  if (node.below) return node.inode.allocated;
  uint64_t sum = 0;
  for (const HintedExtent& extent : node.extents) sum += extent.extent.length;
  return sum;
}

/// Copies what [offset, offset + out) has of `part`, which begins at `begin`.
void copy_part(std::string_view part, uint64_t begin, uint64_t offset, ByteSpan out) {
  const uint64_t from = std::max(begin, offset),
                 to = std::min(begin + part.size(), offset + out.size());
  if (from < to) std::memcpy(out.data() + (from - offset), part.data() + (from - begin), to - from);
}

}  // namespace

Result<std::shared_ptr<TarArchive>> TarArchive::open(Fetch& fetch, const SnapshotBody& body,
                                                     bool whole_mount, Options options) {
  auto roots = std::make_shared<std::vector<TarRoot>>();
  for (const SnapshotTree& tree : body.trees) {
    const bool of_root = whole_mount && tree.set.is_zero();
    std::string prefix = whole_mount && !of_root ? tree.set_name + "/" : "";
    const auto at = of_root ? roots->begin() : roots->end();
    roots->insert(at, TarRoot{std::move(prefix), SnapshotReader(fetch, tree)});
  }
  std::shared_ptr<TarArchive> archive(new TarArchive(fetch, std::move(roots), options));
  VARVE_TRY(archive->make_index());
  return archive;
}

Result<void> TarArchive::make_index() {
  spacing_ = options_.spacing_bytes;
  first_paths_.resize(roots_->size());
  TarWalk walk(roots_);
  TarItem item;
  while (VARVE_TRY(walk.next(item))) {
    const uint32_t uid = item.entry.node.inode.uid;
    one_owner_ = one_owner_ && owner_.value_or(uid) == uid;
    owner_ = uid;
    Piece piece = VARVE_TRY(piece_of(std::move(item), true));
    size_ += piece.bytes();
    add_position(size_, piece.item);
  }
  size_ += kEndBytes;
  return {};
}

void TarArchive::add_position(uint64_t offset, const TarItem& item) {
  const uint64_t last = positions_.empty() ? 0 : positions_.back().offset;
  if (offset - last < spacing_) return;
  positions_.push_back({offset, item.root, item.path});
  if (positions_.size() < options_.positions_max) return;
  size_t kept = 0;
  for (size_t i = 1; i < positions_.size(); i += 2) positions_[kept++] = std::move(positions_[i]);
  positions_.resize(kept);
  spacing_ *= 2;
}

std::string TarArchive::full_path(const TarItem& item) const {
  std::string path = (*roots_)[item.root].prefix + item.path;
  if (path.empty()) return "./";
  if (item.entry.type == FileType::kDirectory && path.back() != '/') path += '/';
  return path;
}

/// Whether the item is another name of a file that came before; then that file's path.
bool TarArchive::is_link(const TarItem& item, bool first_walk, std::string& target) {
  if (!item.entry.linked || item.entry.node.inode.links < 2 ||
      item.entry.type == FileType::kDirectory)
    return false;
  auto& paths = first_paths_[item.root];
  if (first_walk && paths.try_emplace(item.entry.number, item.path).second) return false;
  auto first = paths.find(item.entry.number);
  if (first == paths.end() || first->second == item.path) return false;
  target = (*roots_)[item.root].prefix + first->second;
  return true;
}

Result<TarArchive::Piece> TarArchive::piece_of(TarItem item, bool first_walk) {
  Piece piece;
  piece.item = std::move(item);
  const TreeNode& node = piece.item.entry.node;
  TarHeader header;
  header.path = full_path(piece.item);
  header.type = piece.item.entry.type;
  header.permissions = node.inode.permissions;
  header.uid = node.inode.uid;
  header.gid = node.inode.gid;
  header.device_major = node.inode.device_major;
  header.device_minor = node.inode.device_minor;
  header.mtime = node.inode.mtime;
  header.is_link = is_link(piece.item, first_walk, header.target);
  if (header.is_link) {
    piece.header = encode_tar_header(header);
    return piece;
  }
  header.xattrs = node.xattrs;
  if (header.type == FileType::kSymlink) header.target = node.target;
  std::string map;
  if (header.type == FileType::kFile) {
    header.size = piece.body = node.inode.size;
    header.is_sparse = allocated_of(node) < header.size;
    if (header.is_sparse) {
      VARVE_TRY(add_runs(piece, header.size));
      map = encode_tar_map(piece.runs, header.size);
    }
    header.body = map.size() + piece.body;
  }
  piece.header = encode_tar_header(header) + map;
  return piece;
}

Result<void> TarArchive::add_runs(Piece& piece, uint64_t size) {
  constexpr size_t kExtentsAtOnce = 4096;
  SnapshotReader reader = (*roots_)[piece.item.root].reader;
  for (uint64_t at = 0; at < size;) {
    const auto extents = VARVE_TRY(reader.extents(piece.item.entry, at, size, kExtentsAtOnce));
    if (extents.empty()) break;
    for (const HintedExtent& extent : extents)
      add_tar_run(piece.runs, extent.extent.offset, extent.extent.offset + extent.extent.length,
                  size);
    at = extents.back().extent.offset + extents.back().extent.length;
  }
  piece.body = 0;
  for (const TarRun& run : piece.runs) piece.body += run.length;
  return {};
}

// Reading.

Result<TarArchive::Cursor> TarArchive::cursor_for(uint64_t offset) {
  const auto behind = std::upper_bound(positions_.begin(), positions_.end(), offset,
                                       [](uint64_t o, const Position& p) { return o < p.offset; });
  const uint64_t indexed = behind == positions_.begin() ? 0 : std::prev(behind)->offset;
  {
    std::lock_guard lock(mutex_);
    auto best = cursors_.end();
    for (auto it = cursors_.begin(); it != cursors_.end(); ++it)
      if (it->at <= offset && it->at >= indexed && (best == cursors_.end() || it->at > best->at))
        best = it;
    if (best != cursors_.end()) {
      Cursor found = std::move(*best);
      cursors_.erase(best);
      return found;
    }
  }
  if (behind == positions_.begin()) return Cursor{TarWalk(roots_), 0, {}, 0, false};
  const Position& from = *std::prev(behind);
  return Cursor{
      VARVE_TRY(TarWalk::behind(roots_, from.root, from.path)), from.offset, {}, 0, false};
}

void TarArchive::put_back(Cursor cursor) {
  std::lock_guard lock(mutex_);
  cursors_.push_front(std::move(cursor));
  if (cursors_.size() > kCursorsMax) cursors_.pop_back();
}

/// Decodes in the background what a piece will be read from.
void TarArchive::prefetch(const Piece& piece) {
  if (piece.body == 0) return;
  for (const HintedExtent& extent : piece.item.entry.node.extents) {
    {
      std::lock_guard lock(mutex_);
      if (extent.hint && prefetched_ == extent.hint) continue;
      prefetched_ = extent.hint;
    }
    fetch_.prefetch(extent.extent.chunk, extent.hint);
  }
}

/// Sees to it that the cursor knows its pieces for `bytes` from its place on; false if there is
/// none any more.
Result<bool> TarArchive::look_ahead(Cursor& cursor, uint64_t bytes) {
  while (!cursor.complete && (cursor.pieces.empty() || cursor.ahead < bytes) &&
         cursor.pieces.size() < kPiecesAheadMax) {
    TarItem item;
    cursor.complete = !VARVE_TRY(cursor.walk.next(item));
    if (cursor.complete) break;
    cursor.pieces.push_back(VARVE_TRY(piece_of(std::move(item), false)));
    cursor.ahead += cursor.pieces.back().bytes();
    prefetch(cursor.pieces.back());
  }
  return !cursor.pieces.empty();
}

Result<size_t> TarArchive::read(uint64_t offset, ByteSpan out) {
  if (offset >= size_) return size_t{0};
  out = out.first(static_cast<size_t>(std::min<uint64_t>(out.size(), size_ - offset)));
  Cursor cursor = VARVE_TRY(cursor_for(offset));
  ByteSpan left = out;
  while (!left.empty()) {
    // What is only skipped is not decoded.
    const bool near = offset - cursor.at < options_.spacing_bytes;
    const uint64_t wanted = near ? offset - cursor.at + left.size() + options_.ahead_bytes : 0;
    if (!VARVE_TRY(look_ahead(cursor, wanted))) {
      std::fill(left.begin(), left.end(), uint8_t{0});  // the archive's end
      break;
    }
    const Piece& piece = cursor.pieces.front();
    const uint64_t bytes = piece.bytes(), end = cursor.at + bytes;
    if (offset < end) {
      const size_t count = static_cast<size_t>(std::min<uint64_t>(left.size(), end - offset));
      VARVE_TRY(read_piece(piece, offset - cursor.at, left.first(count)));
      left = left.subspan(count);
      offset += count;
      if (offset < end) break;
    }
    cursor.at = end;
    cursor.ahead -= bytes;
    cursor.pieces.pop_front();
  }
  put_back(std::move(cursor));
  return out.size();
}

Result<void> TarArchive::read_piece(const Piece& piece, uint64_t offset, ByteSpan out) {
  copy_part(piece.header, 0, offset, out);
  const uint64_t content = piece.header.size(), end = content + piece.body;
  const uint64_t to = offset + out.size();
  const uint64_t from = std::max(content, offset);
  if (from < std::min(end, to))
    VARVE_TRY(
        read_body(piece, from - content, out.subspan(from - offset, std::min(end, to) - from)));
  if (to > end) {
    const uint64_t zeros = to - std::max(end, offset);
    std::fill_n(out.end() - static_cast<ptrdiff_t>(zeros), zeros, uint8_t{0});
  }
  return {};
}

Result<void> TarArchive::read_body(const Piece& piece, uint64_t offset, ByteSpan out) {
  SnapshotReader reader = (*roots_)[piece.item.root].reader;
  const std::vector<TarRun> whole = {{0, piece.body}};
  uint64_t begin = 0;
  for (const TarRun& run : piece.runs.empty() ? whole : piece.runs) {
    const uint64_t from = std::max(begin, offset),
                   to = std::min(begin + run.length, offset + out.size());
    if (from < to) {
      const ByteSpan part = out.subspan(from - offset, to - from);
      const size_t read = VARVE_TRY(in_context(
          reader.read(piece.item.entry, run.offset + (from - begin), part), piece.item.path));
      if (read != part.size())
        return Error(Errc::kCorrupt, piece.item.path + " is shorter than it was");
    }
    begin += run.length;
  }
  return {};
}

}  // namespace varve
