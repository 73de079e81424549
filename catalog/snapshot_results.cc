#include "catalog/snapshot_results.h"

#include <algorithm>

#include "catalog/snapshot_lists.h"

namespace varve {
namespace {

// Rows that are changed under the tree's lock at a time.
constexpr size_t kRowsAtOnce = 1000;

}  // namespace

Result<void> SnapshotResults::apply(SnapshotClass snapshot_class,
                                    const std::vector<WalkedSet>& sets, const FileHash& list,
                                    const std::vector<PackId>& bundled) {
  KvBatch rows;
  for (const PackId& pack : bundled) rows[key::unbundled(pack)] = std::nullopt;
  // Set before marks go, removed after they went.
  bool marks_go = std::any_of(sets.begin(), sets.end(),
                              [](const WalkedSet& set) { return !set.directories.empty(); });
  if (snapshot_class != SnapshotClass::kCheckpoint && marks_go)
    rows[key::meta(kNotCheckpointed)] = std::string("1");
  kv_.apply(std::move(rows));
  for (const WalkedSet& set : sets) {
    if (!VARVE_TRY(apply_set(set, list))) continue;
    for (size_t i = 0; i < set.directories.size(); i += kRowsAtOnce)
      VARVE_TRY(apply_directories(set, i, std::min(i + kRowsAtOnce, set.directories.size())));
    for (size_t i = 0; i < set.files.size(); i += kRowsAtOnce)
      VARVE_TRY(apply_files(set, i, std::min(i + kRowsAtOnce, set.files.size())));
  }
  if (snapshot_class != SnapshotClass::kCheckpoint) return {};
  KvBatch done;
  done[key::meta(kNotCheckpointed)] = std::nullopt;
  kv_.apply(std::move(done));
  return {};
}

Result<bool> SnapshotResults::apply_set(const WalkedSet& set, const FileHash& list) {
  bool live = false;
  VARVE_TRY(tree_.exclusively([&]() -> Result<void> {
    live = VARVE_TRY(is_live(set)) && VARVE_TRY(builds_on_the_same(kv_, set));
    if (!live) return {};
    SetRow row = VARVE_TRY(decode_set(*VARVE_TRY(kv_.get(key::set(set.set)))));
    row.links = set.tree.links;
    row.newest_list = list;
    KvBatch rows;
    rows[key::set(set.set)] = encode(row);
    list_references(set, rows);
    for (uint64_t number : set.links) {
      std::string key = key::linked(set.row.tree, number);
      if (!VARVE_TRY(is_newer(key))) rows[std::move(key)] = std::nullopt;
    }
    kv_.apply(std::move(rows));
    return {};
  }));
  return live;
}

Result<void> SnapshotResults::apply_directories(const WalkedSet& set, size_t from, size_t to) {
  return tree_.exclusively([&]() -> Result<void> {
    if (!VARVE_TRY(is_live(set))) return {};
    KvBatch rows;
    for (size_t i = from; i < to; i++) {
      const WalkedSet::Directory& directory = set.directories[i];
      std::string mark = key::mark(set.row.tree, directory.number);
      if (VARVE_TRY(is_newer(mark))) continue;
      bool exists = VARVE_TRY(kv_.get(key::inode(set.row.tree, directory.number))).has_value();
      rows[std::move(mark)] = std::nullopt;
      if (directory.stub || !exists) continue;
      std::optional<std::string>& clean = rows[key::clean(set.row.tree, directory.number)];
      if (directory.tree) clean = encode(*directory.tree);
    }
    kv_.apply(std::move(rows));
    return {};
  });
}

Result<void> SnapshotResults::apply_files(const WalkedSet& set, size_t from, size_t to) {
  return tree_.exclusively([&]() -> Result<void> {
    if (!VARVE_TRY(is_live(set))) return {};
    KvBatch rows;
    for (size_t i = from; i < to; i++) {
      const WalkedSet::File& file = set.files[i];
      auto value = VARVE_TRY(kv_.get(key::inode(set.row.tree, file.number)));
      if (!value) continue;
      Inode inode = VARVE_TRY(decode_inode(*value));
      if (inode.data_generation != file.data_generation) continue;
      rows[key::clean(set.row.tree, file.number)] = encode(file.extents);
    }
    kv_.apply(std::move(rows));
    return {};
  });
}

// Changed again since the snapshot's moment.
Result<bool> SnapshotResults::is_newer(const std::string& key) {
  auto value = VARVE_TRY(kv_.get(key));
  return value && VARVE_TRY(decode_u64(*value)) > generation_;
}

Result<bool> SnapshotResults::is_live(const WalkedSet& set) {
  auto value = VARVE_TRY(kv_.get(key::set(set.set)));
  if (!value) return false;
  SetRow row = VARVE_TRY(decode_set(*value));
  return !row.removed && row.tree == set.row.tree;
}

}  // namespace varve
