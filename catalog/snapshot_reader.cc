#include "catalog/snapshot_reader.h"

#include <algorithm>
#include <array>
#include <mutex>

#include "catalog/tree_links.h"
#include "dedup/base/limits.h"

namespace varve {
namespace {

// How far ahead of a sequential reader segments are decoded.
constexpr uint64_t kReadAheadBytes = 4 * kMiB;

}  // namespace

// Where the files that were read last would be read on: a small table, in which files may push each
// other out.
struct SnapshotReader::Ahead {
  struct File {
    uint64_t number = 0;
    uint64_t next = 0;   // the offset where the last read ended
    uint64_t asked = 0;  // what is before was asked for ahead of time
  };

  // The range to ask for now; empty unless this read begins where the last one ended.
  std::pair<uint64_t, uint64_t> note(uint64_t number, uint64_t from, uint64_t to) {
    std::lock_guard lock(mutex);
    File& file = files[number % files.size()];
    bool goes_on = file.number == number ? file.next == from : from == 0;
    if (file.number != number || !goes_on) file = {number, 0, to};
    file.next = to;
    file.asked = std::max(file.asked, to);
    uint64_t end = to + kReadAheadBytes;
    if (!goes_on || file.asked + kReadAheadBytes / 2 > end) return {0, 0};
    return {std::exchange(file.asked, end), end};
  }

  std::mutex mutex;
  std::array<File, 64> files;
};

SnapshotReader::SnapshotReader(Fetch& fetch, SnapshotTree tree)
    : fetch_(&fetch),
      reader_(fetch, TreeReader::kTreeCacheBytes, TreeReader::WithoutHint::kSameSegment),
      tree_(std::make_shared<const SnapshotTree>(std::move(tree))),
      ahead_(std::make_shared<Ahead>()) {}

TreeEntry SnapshotReader::top() const {
  TreeEntry entry;
  entry.number = kTopNumber;
  entry.type = FileType::kDirectory;
  entry.node = tree_->top;
  return entry;
}

Result<TreeEntry> SnapshotReader::lookup(const TreeEntry& directory, std::string_view name) {
  if (directory.type != FileType::kDirectory) return Errc::kNotDirectory;
  if (!directory.node.below) return Errc::kNotFound;
  auto record = VARVE_TRY(reader_.find(*directory.node.below, name));
  if (!record) return Errc::kNotFound;
  TreeEntry entry = VARVE_TRY(decode_entry(*record));
  if (entry.linked) entry.node = VARVE_TRY(find_link(reader_, tree_->links, entry));
  return entry;
}

Result<void> SnapshotReader::list(const TreeEntry& directory, std::string_view after,
                                  bool resolve_links,
                                  const std::function<Result<bool>(TreeEntry&)>& visit) {
  if (directory.type != FileType::kDirectory) return Errc::kNotDirectory;
  if (!directory.node.below) return {};
  std::string from(after);
  if (!from.empty()) from.push_back('\0');
  return reader_.scan(*directory.node.below, from, [&](const TreeRecord& record) -> Result<bool> {
    TreeEntry entry = VARVE_TRY(decode_entry(record));
    if (entry.linked && resolve_links)
      entry.node = VARVE_TRY(find_link(reader_, tree_->links, entry));
    return visit(entry);
  });
}

Result<std::vector<HintedExtent>> SnapshotReader::extents(const TreeEntry& file, uint64_t from,
                                                          uint64_t to, size_t count_max) {
  if (file.node.below) return extents_of_tree(*file.node.below, from, to, count_max);
  std::vector<HintedExtent> result;
  for (const HintedExtent& extent : file.node.extents) {
    if (result.size() == count_max) break;
    const Extent& range = extent.extent;
    if (range.offset < to && range.offset + range.length > from) result.push_back(extent);
  }
  return result;
}

Result<std::vector<HintedExtent>> SnapshotReader::extents_of_tree(const TreeRef& tree,
                                                                  uint64_t from, uint64_t to,
                                                                  size_t count_max) {
  std::vector<HintedExtent> result;
  std::string begin = extent_key(from);
  // The extent that begins before `from` may reach into the range.
  if (auto before = VARVE_TRY(reader_.find_at_or_before(tree, begin))) begin = before->key;
  uint64_t end = 0;
  auto visit = [&](const TreeRecord& record) -> Result<bool> {
    HintedExtent next = VARVE_TRY(decode_extent_record(record));
    const Extent& range = next.extent;
    if (range.offset >= to) return false;
    if (range.offset < end)
      return Error(Errc::kCorrupt, "extents overlap in tree " + tree.id.hex());
    end = range.offset + range.length;
    if (end > from) result.push_back(next);
    return result.size() < count_max;
  };
  VARVE_TRY(reader_.scan(tree, begin, visit));
  return result;
}

Fetch::Wish SnapshotReader::wish_for(const HintedExtent& extent) {
  return {.hint = extent.hint, .length_min = extent.extent.chunk_offset + extent.extent.length};
}

// Fills the part of `out`, which is the file from `offset` on, that the extent covers.
Result<void> SnapshotReader::read_extent(const HintedExtent& extent, uint64_t offset,
                                         ByteSpan out) {
  const Extent& range = extent.extent;
  ChunkBytes chunk = VARVE_TRY(fetch_->chunk(range.chunk, wish_for(extent)));
  if (range.chunk_offset + range.length > chunk.bytes.size())
    return Error(Errc::kCorrupt, "an extent reaches beyond its chunk " + range.chunk.hex());
  uint64_t from = std::max(offset, range.offset);
  uint64_t to = std::min(offset + out.size(), range.offset + range.length);
  if (from >= to) return {};
  ByteView bytes = chunk.bytes.subspan(range.chunk_offset + (from - range.offset), to - from);
  std::copy(bytes.begin(), bytes.end(), out.begin() + static_cast<ptrdiff_t>(from - offset));
  return {};
}

void SnapshotReader::read_ahead(const TreeEntry& file, uint64_t from, uint64_t to) {
  auto coming = extents(file, from, std::min(to, file.node.inode.size));
  if (!coming.ok()) return;  // whoever reads there is told
  std::optional<ChunkPlace> last;
  for (const HintedExtent& extent : *coming) {
    if (extent.hint && extent.hint == last) continue;
    fetch_->prefetch(extent.extent.chunk, extent.hint);
    last = extent.hint;
  }
}

Result<size_t> SnapshotReader::read(const TreeEntry& file, uint64_t offset, ByteSpan out) {
  if (file.type != FileType::kFile) return Errc::kInvalid;
  uint64_t size = file.node.inode.size;
  if (offset >= size) return size_t{0};
  out = out.first(static_cast<size_t>(std::min<uint64_t>(out.size(), size - offset)));
  auto [ahead_from, ahead_to] = ahead_->note(file.number, offset, offset + out.size());
  if (ahead_from < std::min(ahead_to, size)) read_ahead(file, ahead_from, ahead_to);
  const std::vector<HintedExtent> wanted = VARVE_TRY(extents(file, offset, offset + out.size()));
  std::vector<Fetch::Asked> asked;
  for (const HintedExtent& extent : wanted)
    asked.push_back({extent.extent.chunk, wish_for(extent)});
  const NamesAhead ready = fetch_->make_ready(asked);
  uint64_t filled = 0;
  for (const HintedExtent& extent : wanted) {
    uint64_t begin = std::max(extent.extent.offset, offset) - offset;
    if (begin > filled)
      std::fill_n(out.begin() + static_cast<ptrdiff_t>(filled), begin - filled, uint8_t{0});
    VARVE_TRY(read_extent(extent, offset, out));
    filled = std::min<uint64_t>(extent.extent.offset + extent.extent.length - offset, out.size());
  }
  std::fill(out.begin() + static_cast<ptrdiff_t>(filled), out.end(), uint8_t{0});
  return out.size();
}

}  // namespace varve
