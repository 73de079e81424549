#include "catalog/snapshotter.h"

#include <algorithm>
#include <mutex>

#include "catalog/recovery.h"
#include "catalog/snapshot_bundles.h"
#include "catalog/snapshot_lists.h"
#include "catalog/snapshot_results.h"
#include "catalog/snapshot_walk.h"
#include "dedup/base/limits.h"
#include "dedup/base/log.h"

namespace varve {
namespace {

// Decoded objects of link tables while they are read through once.
constexpr size_t kReaderCacheBytes = 1 * kMiB;

Result<void> check_name(const Snapshotter::Request& request) {
  if (request.snapshot_class == SnapshotClass::kCheckpoint) {
    if (request.name.empty()) return {};
    return Error(Errc::kInvalid, "a checkpoint has no name");
  }
  const std::string& name = request.name;
  if (name.size() > kNameBytesMax) return Error(Errc::kNameTooLong, "snapshot name is too long");
  bool fits = !name.empty() && name != "." && name != ".." && !name.ends_with(".tar") &&
              name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
  if (!fits) return Error(Errc::kInvalid, "'" + name + "' cannot be a snapshot's name");
  return {};
}

Result<std::vector<std::pair<uint32_t, SetRow>>> read_sets(KvView& view) {
  std::vector<std::pair<uint32_t, SetRow>> sets;
  std::string prefix = key::set(0);
  prefix.resize(prefix.size() - sizeof(uint32_t));
  auto rows = VARVE_TRY(view.cursor());
  VARVE_TRY(rows->seek(prefix));
  for (; rows->valid() && rows->key().starts_with(prefix); VARVE_TRY(rows->next())) {
    uint32_t number = 0;
    for (char byte : key::tail(rows->key(), prefix.size()))
      number = number << 8 | static_cast<uint8_t>(byte);
    SetRow row = VARVE_TRY(decode_set(rows->value()));
    if (!row.removed) sets.emplace_back(number, std::move(row));
  }
  return sets;
}

}  // namespace

struct Snapshotter::State {
  // What the steps of one snapshot hand on.
  struct Taking {
    const Request& request;
    std::unique_ptr<KvView> view;
    std::vector<WalkedSet> sets;
    std::vector<PackStore::Recovered> sealed;  // data packs
    WrittenBundles bundles;
  };

  Result<SnapshotInfo> take(const Request& request,
                            const std::function<Result<void>(const Moment&)>& quiesce);
  Result<void> check_free(const Request& request, const SetId& set) const;
  Result<std::unique_ptr<KvView>> moment(const std::function<Result<void>(const Moment&)>& quiesce);
  Result<void> walk(Taking& taking);
  Result<void> seal(PackClass pack_class, std::vector<PackStore::Recovered>* sealed);
  Result<void> seal_catalog(Taking& taking);
  Result<SnapshotInfo> publish(Taking& taking);
  Result<void> fill_hints(WalkedSet& set);

  std::mutex mutex;  // one snapshot at a time
  StagedKv& kv;
  LiveTree& tree;
  Committer& committer;
  Ingest& ingest;
  ChunkIndex& index;
  PackStore& packs;
  TreeReader reader;
  History& history;
  Storage& storage;
};

Result<SnapshotInfo> Snapshotter::State::take(
    const Request& request, const std::function<Result<void>(const Moment&)>& quiesce) {
  std::lock_guard lock(mutex);
  VARVE_TRY(check_name(request));
  if (request.snapshot_class == SnapshotClass::kSet) {
    std::optional<LiveTree::Set> set = tree.set(request.set);
    if (!set || set->row.removed || request.set == kRootSet)
      return Error(Errc::kNotFound, "no such backup set");
    VARVE_TRY(check_free(request, set->row.id));
  } else {
    VARVE_TRY(check_free(request, SetId()));
  }
  Taking taking{request, VARVE_TRY(moment(quiesce)), {}, {}, {}};
  uint64_t generation = tree.generation() - 1;  // the last that the view's marks can have
  // Before any tree object is: a pack is published before what refers to it.
  VARVE_TRY(seal(PackClass::kData, &taking.sealed));
  VARVE_TRY(walk(taking));
  taking.view.reset();
  VARVE_TRY(seal_catalog(taking));
  SnapshotInfo info = VARVE_TRY(publish(taking));

  // The snapshot is there. What follows only spares the next one work.
  SnapshotResults results(kv, tree, generation);
  auto applied =
      results.apply(request.snapshot_class, taking.sets, info.header.list, taking.bundles.packs);
  if (applied.ok()) applied = committer.commit();
  if (applied.ok() && request.snapshot_class == SnapshotClass::kCheckpoint)
    applied = history.prune_checkpoints();
  if (!applied.ok())
    log_warning("a snapshot was taken, but not all that follows was done: " +
                applied.error().message());
  return info;
}

// Other writers may use the same name: they are told apart when they are shown.
Result<void> Snapshotter::State::check_free(const Request& request, const SetId& set) const {
  if (request.name.empty()) return {};
  for (const SnapshotInfo& info : history.snapshots_of(set)) {
    if (info.writer != history.writer() || !info.name.starts_with(request.name)) continue;
    if (info.name == request.name || VARVE_TRY(history.body(info.hash)).name == request.name)
      return Error(Errc::kExists, "there is a snapshot '" + request.name + "' already");
  }
  return {};
}

Result<std::unique_ptr<KvView>> Snapshotter::State::moment(
    const std::function<Result<void>(const Moment&)>& quiesce) {
  std::unique_ptr<KvView> view;
  auto freeze = [&]() -> Result<void> {
    tree.next_generation();
    return {};
  };
  VARVE_TRY(quiesce([&]() -> Result<void> {
    view = VARVE_TRY(committer.commit_and_view(freeze));
    return {};
  }));
  if (!view) return Error(Errc::kInvalid, "a snapshot without its moment");
  return view;
}

Result<void> Snapshotter::State::walk(Taking& taking) {
  bool whole = taking.request.snapshot_class != SnapshotClass::kSet;
  for (const auto& [number, row] : VARVE_TRY(read_sets(*taking.view))) {
    if (!whole && number != taking.request.set) continue;
    SnapshotWalk walk(*taking.view, ingest, index, reader);
    auto walked = walk.walk(number, row);
    if (!walked.ok()) return std::move(walked).error().with_context("set '" + row.name + "'");
    taking.sets.push_back(*std::move(walked));
  }
  if (taking.sets.empty()) return Error(Errc::kNotFound, "no such backup set");
  // The root's own id is all zeros and so comes first.
  std::sort(taking.sets.begin(), taking.sets.end(),
            [](const WalkedSet& a, const WalkedSet& b) { return a.row.id < b.row.id; });
  return {};
}

Result<void> Snapshotter::State::seal(PackClass pack_class,
                                      std::vector<PackStore::Recovered>* sealed) {
  std::vector<PackStore::Recovered> packs_sealed = VARVE_TRY(committer.seal_open(pack_class));
  if (sealed != nullptr) *sealed = std::move(packs_sealed);
  return {};
}

Result<void> Snapshotter::State::seal_catalog(Taking& taking) {
  taking.bundles = VARVE_TRY(write_bundles(kv, ingest, packs, storage, taking.sealed));
  VARVE_TRY(seal(PackClass::kCatalog, nullptr));
  reindex_lost_packs(packs, index);  // else the list would leave out what lies in them
  // A bundle belongs to no set; the first one's list carries it.
  for (const ChunkId& bundle : taking.bundles.objects)
    taking.sets.front().references.unplaced.insert(bundle);
  for (WalkedSet& set : taking.sets) {
    VARVE_TRY(place_references(index, set));
    VARVE_TRY(fill_hints(set));
  }
  return {};
}

// Now that everything has its place.
Result<void> Snapshotter::State::fill_hints(WalkedSet& set) {
  auto fill = [&](TreeRef& ref) -> Result<void> {
    if (!ref.hint) ref.hint = VARVE_TRY(index.find(ref.id));
    return {};
  };
  if (set.tree.links) VARVE_TRY(fill(*set.tree.links));
  if (set.tree.top.below) VARVE_TRY(fill(*set.tree.top.below));
  for (WalkedSet::Directory& directory : set.directories)
    if (directory.tree) VARVE_TRY(fill(*directory.tree));
  for (WalkedSet::File& file : set.files) VARVE_TRY(fill(file.extents));
  return {};
}

Result<SnapshotInfo> Snapshotter::State::publish(Taking& taking) {
  PlannedList list = VARVE_TRY(plan_list(kv, history, packs, taking.sets));
  History::NewSnapshot snapshot;
  snapshot.snapshot_class = taking.request.snapshot_class;
  if (snapshot.snapshot_class == SnapshotClass::kSet) snapshot.set = taking.sets.front().row.id;
  snapshot.body.name = taking.request.name;
  for (const WalkedSet& set : taking.sets) snapshot.body.trees.push_back(set.tree);
  snapshot.bases = std::move(list.bases);
  snapshot.rows = std::move(list.rows);
  return history.publish_snapshot(snapshot);
}

Snapshotter::Snapshotter(StagedKv& kv, LiveTree& tree, Committer& committer, Ingest& ingest,
                         ChunkIndex& index, PackStore& packs, Fetch& fetch, History& history,
                         Storage& storage)
    : state_(new State{{},
                       kv,
                       tree,
                       committer,
                       ingest,
                       index,
                       packs,
                       TreeReader(fetch, kReaderCacheBytes),
                       history,
                       storage}) {}

Snapshotter::~Snapshotter() = default;

Result<SnapshotInfo> Snapshotter::take(const Request& request,
                                       const std::function<Result<void>(const Moment&)>& quiesce) {
  return state_->take(request, quiesce);
}

bool Snapshotter::checkpoint_due() const {
  auto due = [&]() -> Result<bool> {
    if (VARVE_TRY(state_->kv.get(key::meta(kNotCheckpointed)))) return true;
    for (const LiveTree::Set& set : state_->tree.sets()) {
      if (set.row.removed) continue;
      if (VARVE_TRY(state_->kv.get(key::mark(set.row.tree, kTopNumber)))) return true;
    }
    return false;
  };
  Result<bool> answer = due();
  return !answer.ok() || *answer;
}

}  // namespace varve
