#include "catalog/check_trees.h"

#include <fmt/format.h>

#include "catalog/tree_links.h"

namespace varve {
namespace {

constexpr uint64_t kProgressObjects = 256;

std::optional<PackId> pack_at(const std::optional<ChunkPlace>& place) {
  if (!place) return std::nullopt;
  return place->pack;
}

}  // namespace

TreeCheck::TreeCheck(const CheckedPacks& packs, Fetch& fetch, const CheckOptions& options,
                     CheckReport& report)
    : packs_(packs), options_(options), report_(report), reader_(fetch) {}

void TreeCheck::check_tree(const Where& where, const SnapshotTree& tree) {
  where_ = &where;
  links_ = &tree.links;
  unlisted_.clear();
  if (tree.links) walk(*tree.links, TreeKind::kLinks, "");
  if (tree.top.below) walk(*tree.top.below, TreeKind::kDirectory, "");
}

void TreeCheck::check_stub(const Where& where, const std::string& path, const TreeRef& ref,
                           TreeKind kind, const std::optional<TreeRef>& links) {
  where_ = &where;
  links_ = &links;
  unlisted_.clear();
  walk(ref, kind, path);
}

void TreeCheck::walk(const TreeRef& root, TreeKind kind, const std::string& path) {
  path_ = path;
  enter({root.id, root.hint}, {kind, std::nullopt, {}});
  while (!frames_.empty() && !options_.is_stopped()) step();
  frames_.clear();
}

std::string TreeCheck::place() const {
  return fmt::format("{}{}{}/{}", where_->set, where_->snapshot.empty() ? "" : "/",
                     where_->snapshot, path_);
}

void TreeCheck::damaged_here(std::string problem, std::optional<PackId> pack) {
  Finding finding;
  finding.kind = FindingKind::kContent;
  finding.set = where_->set;
  finding.snapshot = where_->snapshot;
  finding.path = path_;
  finding.pack = pack;
  finding.problem = std::move(problem);
  report_.add(std::move(finding));
  damaged_frame(pack);
}

void TreeCheck::damaged_frame(std::optional<PackId> pack) {
  if (frames_.empty()) return;
  frames_.back().damaged = true;
  if (!frames_.back().pack) frames_.back().pack = pack;
}

void TreeCheck::shares(const Known& known, TreeKind kind) {
  damaged_here((kind == TreeKind::kLinks ? "some of its files with several names share what is "
                                           "damaged at "
                                         : "shares what is damaged at ") +
                   known.place,
               known.pack);
}

// Objects.

bool TreeCheck::is_readable(const HintedId& id, const Expected& expected,
                            TreeReader::Object& object) {
  const char* what = expected.kind == TreeKind::kDirectory ? "its list of entries"
                     : expected.kind == TreeKind::kExtents ? "its list of extents"
                                                           : "the link table";
  const auto chunk = packs_.chunk(id.id);
  if (!chunk) {
    const auto lost = packs_.lost_place(id.id, id.hint);
    damaged_here(
        fmt::format("{} cannot be read: object {} is {}", what, id.id.hex(), packs_.where(lost)),
        pack_at(lost));
    return false;
  }
  check_listed(*chunk);
  Result<TreeReader::Object> read = reader_.object({id.id, id.hint});
  if (!read.ok()) {
    damaged_here(fmt::format("{} cannot be read: {}", what, read.error().message()),
                 packs_.packs()[chunk->places.front().pack].pack);
    return false;
  }
  object = *read;
  const bool leaf = object->level == 0;
  const std::string_view first =
      leaf ? std::string_view(object->records.front().key) : object->branches.front().first_key;
  const std::string_view last =
      leaf ? std::string_view(object->records.back().key) : object->branches.back().first_key;
  if (object->kind != expected.kind || (expected.level && object->level != *expected.level) ||
      (!expected.first_key.empty() && first != expected.first_key) ||
      (!expected.end_key.empty() && last >= expected.end_key)) {
    damaged_here(fmt::format("{}: object {} is not what the one above it says", what, id.id.hex()),
                 std::nullopt);
    return false;
  }
  return true;
}

void TreeCheck::enter(const HintedId& id, const Expected& expected) {
  if (!met_.insert(id.id).second) {
    const auto damaged = damaged_.find(id.id);
    if (damaged != damaged_.end()) shares(damaged->second, expected.kind);
    return;
  }
  Frame frame;
  frame.id = id.id;
  frame.path_length = path_.size();
  frame.end_key = expected.end_key;
  frame.of_file = expected.kind == TreeKind::kExtents && !expected.level;
  if (!is_readable(id, expected, frame.object)) {
    const auto lost = packs_.lost_place(id.id, id.hint);
    damaged_.emplace(id.id, Known{place(), pack_at(lost)});
    return;
  }
  report_.objects++;
  if (options_.progress && report_.objects % kProgressObjects == 0) {
    options_.progress({"following snapshots", report_.objects, 0, false});
  }
  frames_.push_back(std::move(frame));
}

void TreeCheck::step() {
  Frame& frame = frames_.back();
  path_.resize(frame.path_length);
  const TreeReader::Object object = frame.object;
  const size_t next = frame.next++;
  if (object->level == 0) {
    if (next >= object->records.size()) return leave();
    return visit(object->records[next]);
  }
  if (next >= object->branches.size()) return leave();
  const TreeObject::Branch& branch = object->branches[next];
  const bool is_last = next + 1 == object->branches.size();
  const std::string_view end = is_last ? frame.end_key : object->branches[next + 1].first_key;
  enter(branch.child,
        {object->kind, static_cast<uint8_t>(object->level - 1), branch.first_key, end});
}

void TreeCheck::leave() {
  const Frame frame = std::move(frames_.back());
  frames_.pop_back();
  if (frame.of_file && file_.bytes > 0) {
    report_file(*where_, path_, file_);
    file_ = {};
  }
  if (!frame.damaged) return;
  damaged_.emplace(frame.id, Known{place(), frame.pack});
  damaged_frame(frame.pack);
  const bool of_link =
      frame.of_file && !frames_.empty() && frames_.back().object->kind == TreeKind::kLinks;
  if (of_link) note_link(frame.pack);
}

/// The link that was visited last cannot be read in full: its names are told so when they are met.
void TreeCheck::note_link(std::optional<PackId> pack) {
  damaged_links_[where_->id].emplace(link_, Known{place(), pack});
}

// Records.

void TreeCheck::visit(const TreeRecord& record) {
  Result<void> fits;
  switch (frames_.back().object->kind) {
    case TreeKind::kDirectory: {
      const auto entry = decode_entry(record);
      if (!entry.ok()) fits = entry.error();
      path_ += (path_.empty() ? "" : "/") + record.key;
      if (entry.ok()) visit_entry(*entry);
      break;
    }
    case TreeKind::kExtents: {
      const auto extent = decode_extent_record(record);
      if (!extent.ok()) {
        fits = extent.error();
        break;
      }
      const uint64_t before = file_.bytes;
      visit_extent(*extent, file_);
      if (file_.bytes > before) damaged_frame(file_.places.begin()->second.second);
      break;
    }
    case TreeKind::kLinks: {
      const auto link = decode_link_record(record);
      if (!link.ok()) fits = link.error();
      if (link.ok()) visit_link(*link);
      break;
    }
  }
  if (!fits.ok()) damaged_here(fits.error().message(), std::nullopt);
}

void TreeCheck::visit_entry(const TreeEntry& entry) {
  report_.paths++;
  if (!entry.linked) return visit_node(entry.node);
  const auto node = find_link(reader_, *links_, entry);
  if (!node.ok()) return damaged_here(node.error().message(), std::nullopt);
  const auto& links = damaged_links_[where_->id];
  if (const auto damaged = links.find(entry.number); damaged != links.end()) {
    shares(damaged->second, TreeKind::kDirectory);
  }
}

void TreeCheck::visit_link(const LinkRecord& link) {
  const uint64_t before = report_.damages;
  link_ = link.number;
  path_ = fmt::format("file number {}, which has several names", link.number);
  visit_node(link.node);
  if (report_.damages > before) note_link(frames_.back().pack);
}

void TreeCheck::visit_node(const TreeNode& node) {
  FileDamage damage;
  for (const HintedExtent& extent : node.extents) visit_extent(extent, damage);
  if (damage.bytes > 0) {
    report_file(*where_, path_, damage);
    damaged_frame(damage.places.begin()->second.second);
  }
  if (!node.below) return;
  const bool directory = node.inode.type == FileType::kDirectory;
  enter({node.below->id, node.below->hint},
        {directory ? TreeKind::kDirectory : TreeKind::kExtents, std::nullopt, {}});
}

// Chunks.

void TreeCheck::FileDamage::add(uint64_t length, const std::string& what,
                                std::optional<PackId> pack) {
  bytes += length;
  auto& place = places[what];
  place.first += length;
  place.second = pack;
}

std::optional<CheckedPacks::Chunk> TreeCheck::check_extent(const Extent& extent,
                                                           const std::optional<ChunkPlace>& hint,
                                                           FileDamage& damage) const {
  const auto chunk = packs_.chunk(extent.chunk);
  if (!chunk) {
    const auto lost = packs_.lost_place(extent.chunk, hint);
    damage.add(extent.length, packs_.where(lost), pack_at(lost));
    return std::nullopt;
  }
  if (extent.chunk_offset + extent.length <= chunk->length) return chunk;
  damage.add(extent.length, "beyond the end of chunk " + extent.chunk.hex(), std::nullopt);
  return std::nullopt;
}

void TreeCheck::visit_extent(const HintedExtent& extent, FileDamage& damage) {
  if (const auto chunk = check_extent(extent.extent, extent.hint, damage)) check_listed(*chunk);
}

void TreeCheck::check_listed(const CheckedPacks::Chunk& chunk) {
  if (where_->listed.empty()) return;
  for (const ChunkInventory::Row& row : chunk.places) {
    if (row.pack < where_->listed.size() && where_->listed[row.pack]) return;
  }
  const PackInfo& pack = packs_.packs()[chunk.places.front().pack];
  if (!unlisted_.insert(chunk.places.front().pack).second) return;
  Finding finding;
  finding.kind = FindingKind::kHistory;
  finding.set = where_->set;
  finding.snapshot = where_->snapshot;
  finding.path = path_;
  finding.pack = pack.pack;
  finding.file = pack_path(pack.pack_class, pack.hash);
  finding.problem = "is needed, and the snapshot's list does not name it";
  report_.add(std::move(finding));
}

void TreeCheck::report_file(const Where& where, const std::string& path, const FileDamage& damage) {
  for (const auto& [what, place] : damage.places) {
    Finding finding;
    finding.kind = FindingKind::kContent;
    finding.set = where.set;
    finding.snapshot = where.snapshot;
    finding.path = path;
    finding.pack = place.second;
    finding.problem = fmt::format("{} bytes cannot be read: they are {}", place.first, what);
    report_.add(std::move(finding));
  }
}

}  // namespace varve
