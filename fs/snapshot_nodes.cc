#include "fs/snapshot_nodes.h"

#include <algorithm>
#include <span>

#include "fs/read_view.h"

namespace varve {

/// One set's tree in one snapshot.
struct SnapshotNodes::View {
  SnapshotInfo info;
  SetId set;
  uint32_t number;
  bool whole_mount_top;  // the root's own files of a whole mount: the sets lie beside its top's
                         // entries
  std::vector<SnapshotTree> sets;  // then: those
  SnapshotReader reader;
};

struct SnapshotNodes::Node {
  std::shared_ptr<View> view;
  TreeEntry entry;
  Ino parent = 0;
  uint64_t lookups = 0;  // guarded by mutex_
};

class SnapshotNodes::File {
 public:
  explicit File(std::shared_ptr<const Node> opened) : node(std::move(opened)) {}
  const std::shared_ptr<const Node> node;
  std::mutex mutex;
  Prefetcher prefetcher;
  // A window of extents, so that a tree of them is not walked for every read.
  FileRange known;
  std::vector<HintedExtent> extents;
};

namespace {

/// What is decoded of the extents behind a read: much where the file is read from front to end,
/// little where it is read here and there.
constexpr uint64_t kSequentialWindowBytes = 32u << 20;
constexpr uint64_t kRandomWindowBytes = 256u << 10;

/// Those of `extents`, in order, that overlap the range.
std::span<const HintedExtent> overlapping(std::span<const HintedExtent> extents,
                                          const FileRange& range) {
  const auto ends_before = [&](const HintedExtent& one) {
    return one.extent.offset + one.extent.length <= range.from;
  };
  const auto begins_before = [&](const HintedExtent& one) { return one.extent.offset < range.to; };
  const auto first = std::ranges::partition_point(extents, ends_before);
  return {first, std::partition_point(first, extents.end(), begins_before)};
}

Attributes attributes_of(const TreeEntry& entry, Ino ino) {
  const Inode& inode = entry.node.inode;
  Attributes result;
  result.ino = ino;
  result.type = entry.type;
  result.permissions = inode.permissions;
  result.links = std::max<uint32_t>(inode.links, entry.type == FileType::kDirectory ? 2 : 1);
  result.uid = inode.uid;
  result.gid = inode.gid;
  result.device_major = inode.device_major;
  result.device_minor = inode.device_minor;
  result.size = entry.type == FileType::kSymlink ? entry.node.target.size() : inode.size;
  if (entry.type == FileType::kFile) {
    result.allocated = entry.node.below ? inode.size : 0;
    for (const HintedExtent& extent : entry.node.extents) result.allocated += extent.extent.length;
  }
  result.atime = inode.atime;
  result.mtime = inode.mtime;
  result.ctime = inode.ctime;
  result.btime = inode.btime;
  return result;
}

Entry entry_of(const TreeEntry& entry, Ino ino) {
  Entry result;
  result.attributes = attributes_of(entry, ino);
  result.timeout_seconds = kTimeoutOfOwnSeconds;
  return result;
}

Entry no_entry() {
  Entry result;
  result.timeout_seconds = kTimeoutOfOwnSeconds;
  return result;
}

}  // namespace

Result<std::shared_ptr<SnapshotNodes::View>> SnapshotNodes::view(const SnapshotInfo& snapshot,
                                                                 const SetId& set) {
  uint32_t number = VARVE_TRY(working_copy_.view_number(snapshot.hash, set));
  {
    std::lock_guard lock(mutex_);
    auto at = views_.find(number);
    if (at != views_.end()) {
      if (std::shared_ptr<View> known = at->second.lock()) return known;
    }
  }
  SnapshotBody body = VARVE_TRY(working_copy_.look_into(snapshot));
  auto tree = std::find_if(body.trees.begin(), body.trees.end(),
                           [&](const SnapshotTree& t) { return t.set == set; });
  if (tree == body.trees.end())
    return Error(Errc::kCorrupt, "snapshot " + snapshot.hash.hex() + " lacks a tree");
  bool whole = set.is_zero() && snapshot.header.snapshot_class != SnapshotClass::kSet;
  SnapshotTree own = *tree;
  std::erase_if(body.trees, [](const SnapshotTree& t) { return t.set.is_zero(); });
  auto made = std::make_shared<View>(View{
      snapshot, set, number, whole, whole ? std::move(body.trees) : std::vector<SnapshotTree>{},
      SnapshotReader(working_copy_.fetch(), std::move(own))});
  std::lock_guard lock(mutex_);
  std::weak_ptr<View>& slot = views_[number];
  if (std::shared_ptr<View> known = slot.lock()) return known;
  slot = made;
  return made;
}

Result<std::shared_ptr<const SnapshotNodes::Node>> SnapshotNodes::find(Ino node) const {
  std::lock_guard lock(mutex_);
  auto at = nodes_.find(node);
  if (at == nodes_.end()) return Errc::kStale;
  return std::shared_ptr<const Node>(at->second);
}

Result<Entry> SnapshotNodes::refer(const std::shared_ptr<View>& view, Ino parent, TreeEntry entry) {
  Ino ino = snapshot_node(view->number, entry.number);
  Entry result = entry_of(entry, ino);
  std::lock_guard lock(mutex_);
  std::shared_ptr<Node>& node = nodes_[ino];
  if (!node) node = std::make_shared<Node>(Node{view, std::move(entry), parent, 0});
  node->lookups++;
  return result;
}

Result<Entry> SnapshotNodes::enter(const SnapshotInfo& snapshot, Ino parent) {
  bool of_set = snapshot.header.snapshot_class == SnapshotClass::kSet;
  std::shared_ptr<View> top = VARVE_TRY(view(snapshot, of_set ? snapshot.header.set : SetId{}));
  return refer(top, parent, top->reader.top());
}

Result<Entry> SnapshotNodes::enter_set(const View& whole, size_t index, Ino parent) {
  std::shared_ptr<View> top = VARVE_TRY(view(whole.info, whole.sets[index].set));
  return refer(top, parent, top->reader.top());
}

std::string SnapshotNodes::path(Ino node) const {
  std::string below;
  while (is_snapshot(node)) {
    Result<std::shared_ptr<const Node>> found = find(node);
    if (!found.ok()) break;
    const Node& at = **found;
    if (at.entry.number == kTopNumber) {
      return at.view->info.set_name + "/" + at.view->info.name + below;
    }
    below.insert(0, "/" + at.entry.name);
    node = at.parent;
  }
  return below;
}

Result<Entry> SnapshotNodes::lookup(Ino directory, std::string_view name) {
  std::shared_ptr<const Node> node = VARVE_TRY(find(directory));
  if (node->entry.type != FileType::kDirectory) return Errc::kNotDirectory;
  if (name == ".") return refer(node->view, node->parent, node->entry);
  if (name == "..") {
    if (!is_snapshot(node->parent)) return Errc::kStale;
    std::shared_ptr<const Node> above = VARVE_TRY(find(node->parent));
    return refer(above->view, above->parent, above->entry);
  }
  View& view = *node->view;
  if (view.whole_mount_top && node->entry.number == kTopNumber) {
    for (size_t i = 0; i < view.sets.size(); i++) {
      if (view.sets[i].set_name == name) return enter_set(view, i, directory);
    }
  }
  Result<TreeEntry> child = view.reader.lookup(node->entry, name);
  if (child.ok()) return refer(node->view, directory, std::move(*child));
  if (child.error().code() == Errc::kNotFound) return no_entry();
  return std::move(child).error();
}

void SnapshotNodes::forget(Ino ino, uint64_t count) {
  std::shared_ptr<Node> last;  // destroyed outside the lock
  std::lock_guard lock(mutex_);
  auto at = nodes_.find(ino);
  if (at == nodes_.end()) return;
  Node& node = *at->second;
  node.lookups -= std::min(node.lookups, count);
  if (node.lookups > 0) return;
  last = std::move(at->second);
  nodes_.erase(at);
}

Result<Entry> SnapshotNodes::attributes(Ino ino) {
  std::shared_ptr<const Node> node = VARVE_TRY(find(ino));
  return entry_of(node->entry, ino);
}

Result<std::string> SnapshotNodes::read_link(Ino ino) {
  std::shared_ptr<const Node> node = VARVE_TRY(find(ino));
  if (node->entry.type != FileType::kSymlink) return Errc::kInvalid;
  return node->entry.node.target;
}

Result<Xattrs> SnapshotNodes::xattrs(Ino ino) {
  std::shared_ptr<const Node> node = VARVE_TRY(find(ino));
  return node->entry.node.xattrs;
}

size_t SnapshotNodes::size() const {
  std::lock_guard lock(mutex_);
  return nodes_.size();
}

Result<bool> SnapshotNodes::list_one(const Node& node, Position& position, bool attributes,
                                     TreeEntry& child,
                                     const std::function<bool(const DirectoryEntry&)>& visit) {
  Ino ino = snapshot_node(node.view->number, child.number);
  DirectoryEntry listed;
  listed.name = child.name;
  listed.next_cookie = position.cookie + 1;
  listed.entry = entry_of(child, ino);
  if (!visit(listed)) return false;
  position.cookie++;
  position.after = child.name;
  if (attributes)
    VARVE_TRY(
        refer(node.view, snapshot_node(node.view->number, node.entry.number), std::move(child)));
  return true;
}

Result<void> SnapshotNodes::list_sets(const Node& node, Position& position,
                                      const std::function<bool(const DirectoryEntry&)>& visit) {
  View& view = *node.view;
  Ino parent = snapshot_node(view.number, node.entry.number);
  while (position.sets_done < view.sets.size()) {
    Entry entry = VARVE_TRY(enter_set(view, position.sets_done, parent));
    DirectoryEntry listed{view.sets[position.sets_done].set_name, position.cookie + 1, entry};
    if (!visit(listed)) {
      forget(entry.attributes.ino, 1);
      return {};
    }
    position.cookie++;
    position.sets_done++;
  }
  return {};
}

Result<void> SnapshotNodes::rewind(const Node& node, Position& position, uint64_t cookie) {
  position.cookie = 2;
  position.after.clear();
  position.sets_done = 0;
  auto skip = [&](TreeEntry& child) -> Result<bool> {
    if (position.cookie >= cookie) return false;
    position.cookie++;
    position.after = child.name;
    return true;
  };
  if (cookie > 2) VARVE_TRY(node.view->reader.list(node.entry, "", false, skip));
  while (position.cookie < cookie && position.sets_done < node.view->sets.size()) {
    position.cookie++;
    position.sets_done++;
  }
  return {};
}

Result<void> SnapshotNodes::list(Ino directory, Position& position, uint64_t cookie,
                                 bool attributes,
                                 const std::function<bool(const DirectoryEntry&)>& visit) {
  std::shared_ptr<const Node> node = VARVE_TRY(find(directory));
  if (node->entry.type != FileType::kDirectory) return Errc::kNotDirectory;
  std::lock_guard lock(position.mutex);
  for (uint64_t dot = cookie; dot < 2; dot++) {
    DirectoryEntry listed{dot == 0 ? "." : "..", dot + 1, {}};
    listed.entry.attributes.ino = dot == 0 ? directory : node->parent;
    listed.entry.attributes.type = FileType::kDirectory;
    if (!visit(listed)) return {};
  }
  cookie = std::max<uint64_t>(cookie, 2);
  if (position.cookie != cookie) VARVE_TRY(rewind(*node, position, cookie));
  bool full = false;
  if (position.sets_done == 0) {
    auto step = [&](TreeEntry& child) -> Result<bool> {
      bool went = VARVE_TRY(list_one(*node, position, attributes, child, visit));
      full = !went;
      return went;
    };
    VARVE_TRY(node->view->reader.list(node->entry, position.after, attributes, step));
  }
  bool top_of_mount = node->view->whole_mount_top && node->entry.number == kTopNumber;
  if (full || !top_of_mount) return {};
  if (attributes) return list_sets(*node, position, visit);
  return list_sets(*node, position, [&](const DirectoryEntry& listed) {
    bool taken = visit(listed);
    if (taken) forget(listed.entry.attributes.ino, 1);  // a plain listing refers to nothing
    return taken;
  });
}

Result<std::shared_ptr<SnapshotNodes::File>> SnapshotNodes::open(Ino ino) {
  return std::make_shared<File>(VARVE_TRY(find(ino)));
}

Result<void> SnapshotNodes::read(File& file, uint64_t offset, size_t size,
                                 const std::function<void(ByteView)>& reply) {
  uint64_t file_size = file.node->entry.node.inode.size;
  if (offset >= file_size) {
    reply({});
    return {};
  }
  uint64_t end = std::min<uint64_t>(file_size, offset + size);
  std::vector<Extent> extents;
  std::vector<Fetch::Asked> asked;  // of each extent
  std::vector<HintedExtent> ahead;
  {
    std::lock_guard lock(file.mutex);
    std::optional<FileRange> next = file.prefetcher.after_read(offset, end);
    uint64_t needed_to = next ? std::min(next->to, file_size) : end;
    if (offset < file.known.from || needed_to > file.known.to) {
      const uint64_t wanted = next ? kSequentialWindowBytes : kRandomWindowBytes;
      FileRange window{offset, std::max(needed_to, std::min(file_size, offset + wanted))};
      file.extents =
          VARVE_TRY(file.node->view->reader.extents(file.node->entry, window.from, window.to));
      file.known = window;
    }
    for (const HintedExtent& hinted : overlapping(file.extents, {offset, end})) {
      const Extent& extent = hinted.extent;
      extents.push_back(extent);
      asked.push_back(
          {extent.chunk, {.hint = hinted.hint, .length_min = extent.chunk_offset + extent.length}});
    }
    if (next) {
      for (const HintedExtent& hinted :
           overlapping(file.extents, {std::max(next->from, end), next->to}))
        ahead.push_back(hinted);
    }
  }
  for (const HintedExtent& hinted : ahead)
    working_copy_.fetch().prefetch(hinted.extent.chunk, hinted.hint);
  const NamesAhead ready = working_copy_.fetch().make_ready(asked);
  Buffer out(static_cast<size_t>(end - offset));
  VARVE_TRY(read_view(offset, out.span(), {}, extents, [&](const Extent& extent) {
    const Fetch::Asked& one = asked[static_cast<size_t>(&extent - extents.data())];
    return working_copy_.fetch().chunk(one.id, one.wish);
  }));
  reply(out.view());
  return {};
}

Result<uint64_t> SnapshotNodes::seek(File& file, uint64_t offset, bool data) {
  uint64_t size = file.node->entry.node.inode.size;
  if (offset >= size) return Errc::kNoDevice;
  // Some at a time: a large file has many extents, and most calls need few.
  for (uint64_t at = offset; at < size;) {
    std::vector<HintedExtent> hinted =
        VARVE_TRY(file.node->view->reader.extents(file.node->entry, at, size, kSeekExtents));
    std::vector<Extent> extents;
    extents.reserve(hinted.size());
    for (const HintedExtent& one : hinted) extents.push_back(one.extent);
    uint64_t to = known_until(extents, size);
    uint64_t found = data ? data_start(at, {}, extents).value_or(to) : data_end(at, {}, extents);
    if (found < to) return found;
    at = to;
  }
  return data ? Result<uint64_t>(Errc::kNoDevice) : Result<uint64_t>(size);
}

}  // namespace varve
