// The rebuild of a lost or refused local/: packs from lists, live trees from checkpoints and
// snapshots.
#include <algorithm>
#include <map>
#include <set>

#include "catalog/index_batch.h"
#include "catalog/index_bundles.h"
#include "catalog/recovery.h"
#include "catalog/schema.h"
#include "catalog/snapshot_needs.h"
#include "dedup/base/log.h"

namespace varve {

namespace {

/// What a crash-safe number jump needs: far above what the lost working copy may have given since.
constexpr uint64_t kNumbersSkipped = uint64_t{1} << 20;

/// What reading bundles needs to know, and what it finds out.
struct BundledPacks {
  std::map<PackId, FileHash> here;  // listed packs whose files are here, or evicted
  std::set<PackId> indexed;         // in the index already
  std::set<PackId> found;           // in a bundle
};

Result<void> read_bundles(const PackInfo& catalog, PackStore& packs, BundledPacks& bundled,
                          IndexBatch& batch) {
  return visit_bundles(catalog, packs, [&](IndexBundle bundle) {
    const PackId pack = bundle.header.pack;
    const auto here = bundled.here.find(pack);
    if (here == bundled.here.end() || here->second != bundle.info.hash) return;
    bundled.found.insert(pack);
    if (bundled.indexed.insert(pack).second) batch.add(pack, std::move(bundle.index));
  });
}

/// What snapshots need by their newest lists; all that is listed where one of them cannot be read.
std::set<PackId> needed_packs(const History& history, PackIsHere is_here) {
  SnapshotNeeds needs(history, std::move(is_here));
  std::vector<SnapshotInfo> all = history.snapshots();
  const std::vector<SnapshotInfo> checkpoints = history.checkpoints();
  all.insert(all.end(), checkpoints.begin(), checkpoints.end());
  std::set<PackId> needed;
  for (const SnapshotInfo& info : all) {
    const Result<SnapshotNeeds::Packs> found = needs.of(info);
    const std::vector<PackInfo> packs = found.ok() ? found->packs : history.listed_packs();
    for (const PackInfo& pack : packs) needed.insert(pack.pack);
    if (!found.ok()) break;
  }
  return needed;
}

}  // namespace

Result<KvBatch> rebuild_packs(const History& history, PackStore& packs, ChunkIndex& index) {
  std::map<FileHash, PackInfo> files;
  const std::vector<PackInfo> found = VARVE_TRY(packs.list_files());
  for (const PackInfo& info : found) files.emplace(info.hash, info);
  KvBatch rows;
  BundledPacks bundled;
  std::vector<PackInfo> catalogs;
  size_t missing = 0, evicted = 0;
  const std::set<PackId> needed = needed_packs(history, [&](const PackInfo& listed) {
    const auto file = files.find(listed.hash);
    return packs.is_held(listed.pack) || (file != files.end() && file->second == listed);
  });
  for (const PackInfo& listed : history.listed_packs()) {
    const auto file = files.find(listed.hash);
    const bool is_here = file != files.end() && file->second == listed;
    // Older lists go on naming what was collected.
    if (!is_here && !needed.contains(listed.pack)) continue;
    // One that is missing has its row too: lists go on naming it, and it may come back.
    packs.add(listed);
    rows[key::pack(listed.pack)] = encode(listed);
    if (!is_here && !packs.is_held(listed.pack)) {
      missing++;
      continue;
    }
    evicted += is_here ? 0 : 1;
    bundled.here.emplace(listed.pack, listed.hash);
    if (listed.pack_class == PackClass::kCatalog) catalogs.push_back(listed);
  }
  if (missing > 0) {
    log_warning(std::to_string(missing) +
                " packs that lists name are missing or torn: what lies in them cannot be read "
                "until they are copied here");
  }
  if (evicted > 0)
    log_info(std::to_string(evicted) + " packs are evicted: they are read from a remote");
  for (const PackId& pack : index.packs_on_disk()) {
    if (bundled.here.contains(pack)) {
      bundled.indexed.insert(pack);
    } else {
      index.remove_pack(pack);
    }
  }
  IndexBatch batch(index);
  for (const PackInfo& catalog : catalogs) {
    const Result<void> read = read_bundles(catalog, packs, bundled, batch);
    if (!read.ok()) {
      log_warning(pack_path(catalog.pack_class, catalog.hash) + ": " + read.error().message());
    }
  }
  batch.finish();
  for (const PackInfo& info : packs.sealed_packs()) {
    const bool data = info.pack_class == PackClass::kData;
    if (data && !bundled.found.contains(info.pack)) rows[key::unbundled(info.pack)] = "";
  }
  return rows;
}

// Which live trees.

namespace {

using ByWriter = std::map<WriterId, std::vector<SnapshotInfo>>;

/// Everything that a writer published of live trees, newest first.
ByWriter by_writer(const History& history) {
  ByWriter result;
  for (const SnapshotInfo& info : history.checkpoints()) result[info.writer].push_back(info);
  for (const SnapshotInfo& info : history.snapshots()) result[info.writer].push_back(info);
  for (auto& [writer, infos] : result) {
    std::sort(infos.begin(), infos.end(),
              [](const SnapshotInfo& a, const SnapshotInfo& b) { return a.sequence > b.sequence; });
  }
  return result;
}

std::optional<WriterId> choose_writer(const History& history, const ByWriter& writers,
                                      const std::optional<WriterId>& guarded) {
  if (guarded && writers.contains(*guarded)) return guarded;
  const std::vector<SnapshotInfo> checkpoints = history.checkpoints();
  if (!checkpoints.empty()) return checkpoints.front().writer;
  const std::vector<SnapshotInfo> snapshots = history.snapshots();
  if (!snapshots.empty()) return snapshots.back().writer;
  return std::nullopt;
}

}  // namespace

Result<RebuiltTrees> choose_live_trees(const History& history,
                                       const std::optional<WriterId>& guarded) {
  const ByWriter writers = by_writer(history);
  RebuiltTrees result;
  if (guarded && !writers.contains(*guarded) && history.head(*guarded)) {
    // A site that joined the store and has written nothing so far: other sites' live trees are
    // theirs.
    result.writer = guarded;
    result.by_guard = true;
    return result;
  }
  result.writer = choose_writer(history, writers, guarded);
  if (!result.writer) return result;
  result.by_guard = guarded && *guarded == *result.writer;

  std::map<SetId, RebuiltTree> chosen;
  for (const SnapshotInfo& info : writers.at(*result.writer)) {
    const Result<SnapshotBody> body = history.body(info.hash);
    if (!body.ok() && body.error().code() == Errc::kIo) return body.error();
    if (!body.ok()) {
      log_warning(body.error().message() + "; an older one is taken for the live tree");
      continue;
    }
    for (const SnapshotTree& tree : body->trees) {
      chosen.try_emplace(tree.set, RebuiltTree{tree, info.header.list, info});
    }
    // A whole mount says of every set that was there; what is older is of removed sets.
    if (info.header.snapshot_class != SnapshotClass::kSet) break;
  }
  for (auto& [set, tree] : chosen) result.trees.push_back(std::move(tree));
  return result;
}

Result<void> build_next_list_on(uint32_t set, const std::optional<FileHash>& list,
                                const std::vector<PackInfo>& packs, LiveTree& tree, StagedKv& kv) {
  const auto put_rows = [&]() -> Result<void> {
    const auto value = VARVE_TRY(kv.get(key::set(set)));
    if (!value) return Error(Errc::kCorrupt, "set " + std::to_string(set) + " has no row");
    SetRow row = VARVE_TRY(decode_set(*value));
    row.newest_list = list;
    KvBatch batch;
    batch.emplace(key::set(set), encode(row));
    for (const PackInfo& info : packs) batch.emplace(key::listed(row.id, info.pack), "");
    kv.apply(std::move(batch));
    return {};
  };
  return tree.exclusively(put_rows);
}

Result<uint32_t> adopt_tree(const SnapshotTree& from, LiveTree& tree) {
  const TreeNode& top = from.top;
  const uint64_t next_number = std::min(from.next_number + kNumbersSkipped, kNextNumberMax);
  if (from.set.is_zero()) {
    VARVE_TRY(
        tree.replace_tree(kRootSet, top.inode, top.xattrs, top.below, from.links, next_number));
    return kRootSet;
  }
  std::string name = from.set_name;
  if (tree.set_named(name)) name += "@" + to_hex(from.set.view().first(4));
  return tree.adopt_set(from.set, name, top.inode, top.xattrs, top.below, from.links, next_number);
}

namespace {

struct ListToBuildOn {
  std::optional<FileHash> list;
  std::vector<PackInfo> packs;
};

/// What a rebuilt set goes on from. Where the list cannot be read, the next one is made anew, of
/// all packs that any list names.
Result<ListToBuildOn> list_to_build_on(const RebuiltTree& rebuilt, const History& history,
                                       Storage& storage) {
  Result<SnapshotNeeds::Packs> needs = SnapshotNeeds(history, lies_in(storage)).of(rebuilt.from);
  if (needs.ok()) return ListToBuildOn{needs->born, std::move(needs->packs)};
  if (needs.error().code() == Errc::kIo) return std::move(needs).error();
  log_error("set '" + rebuilt.tree.set_name + "': " + needs.error().message() +
            "; its next snapshot names all packs that any list names");
  return ListToBuildOn{std::nullopt, history.listed_packs()};
}

}  // namespace

namespace {

/// The newest snapshot of each set of the writer that has no live tree: mkdir of its name takes up
/// its id again.
std::map<SetId, SnapshotInfo> removed_sets(const RebuiltTrees& trees, const History& history) {
  std::set<SetId> live;
  for (const RebuiltTree& rebuilt : trees.trees) live.insert(rebuilt.tree.set);
  std::map<SetId, SnapshotInfo> removed;
  for (const SnapshotInfo& info : history.snapshots()) {
    const bool of_set = info.header.snapshot_class == SnapshotClass::kSet;
    if (!of_set || info.writer != *trees.writer || live.contains(info.header.set)) continue;
    removed[info.header.set] = info;
  }
  return removed;
}

/// A removed set's rows: it is known, and its name leads to it.
Result<void> adopt_removed_set(const SnapshotInfo& newest, const History& history, LiveTree& tree,
                               StagedKv& kv) {
  const Result<SnapshotBody> body = history.body(newest.hash);
  if (!body.ok()) return {};
  uint32_t number = kRootSet;
  for (const LiveTree::Set& set : tree.sets()) number = std::max(number, set.number);
  SetRow row;
  row.id = newest.header.set;
  row.name = body->trees[0].set_name;
  row.next_number = std::min(body->trees[0].next_number + kNumbersSkipped, kNextNumberMax);
  row.removed = true;
  // What it built on may name packs that were collected since: its next list is written out flat.
  return tree.exclusively([&]() -> Result<void> {
    KvBatch batch;
    batch.emplace(key::set(number + 1), encode(row));
    batch.emplace(key::removed_name(row.name), encode_u32(number + 1));
    kv.apply(std::move(batch));
    return {};
  });
}

}  // namespace

Result<void> adopt_live_trees(const RebuiltTrees& trees, const History& history, Storage& storage,
                              LiveTree& tree, StagedKv& kv) {
  std::map<FileHash, ListToBuildOn> lists;
  for (const RebuiltTree& rebuilt : trees.trees) {
    const uint32_t set = VARVE_TRY(adopt_tree(rebuilt.tree, tree));
    if (!lists.contains(rebuilt.list)) {
      lists.emplace(rebuilt.list, VARVE_TRY(list_to_build_on(rebuilt, history, storage)));
    }
    const ListToBuildOn& base = lists.at(rebuilt.list);
    VARVE_TRY(build_next_list_on(set, base.list, base.packs, tree, kv));
  }
  for (const auto& [id, newest] : removed_sets(trees, history)) {
    VARVE_TRY(adopt_removed_set(newest, history, tree, kv));
  }
  return {};
}

}  // namespace varve
