// Collection of a working copy. The order, and why it is safe at every point, is in
// docs/collection.md; the numbers in the comments are its steps.
#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>

#include "catalog/collection.h"
#include "catalog/index_bundles.h"
#include "catalog/marking.h"
#include "catalog/schema.h"
#include "catalog/working_copy_state.h"
#include "dedup/base/log.h"

namespace varve {
namespace {

constexpr size_t kGarbageRowsAtOnce = 10'000;

using PackIds = std::unordered_set<PackId, IdHash>;

Result<void> scan_rows(
    KvView& view, char table,
    const std::function<Result<void>(std::string_view, std::string_view)>& visit) {
  const std::unique_ptr<KvCursor> cursor = VARVE_TRY(view.cursor());
  VARVE_TRY(cursor->seek(std::string(1, table)));
  while (cursor->valid() && cursor->key().front() == table) {
    VARVE_TRY(visit(cursor->key(), cursor->value()));
    VARVE_TRY(cursor->next());
  }
  return {};
}

PackId pack_at(std::string_view key, size_t at) {
  PackId pack;
  if (key.size() == at + PackId::kSize)
    std::copy(key.begin() + static_cast<ptrdiff_t>(at), key.end(), pack.bytes.begin());
  return pack;
}

std::vector<PackId> ids_of(const std::vector<PackInfo>& packs) {
  std::vector<PackId> ids;
  for (const PackInfo& info : packs) ids.push_back(info.pack);
  return ids;
}

}  // namespace

class WorkingCopyCollection {
 public:
  WorkingCopyCollection(WorkingCopy::State& state, const CollectRequest& request)
      : state_(state),
        request_(request),
        marking_(*state.index, *state.fetch,
                 [this](uint64_t objects) { tell("following snapshots", objects); }) {
    rows_owner_ = marking_.add_owner();
  }

  Result<CollectFigures> run() {
    VARVE_TRY(erase_garbage());
    VARVE_TRY(state_.ballast->with_space([&] { return state_.committer->commit(); }));
    {
      const std::unique_ptr<KvView> view = VARVE_TRY(state_.kv->view());
      VARVE_TRY(mark(*view, state_.history->snapshots(), state_.history->checkpoints()));
      VARVE_TRY(choose(*view));
    }
    VARVE_TRY(count_strangers());
    if (!request_.dry_run && !condemned_.empty()) VARVE_TRY(collect());
    figures_.objects = marking_.objects();
    count();
    return figures_;
  }

 private:
  struct Followed {
    SnapshotInfo info;
    Marking::Owner owner = 0;
    bool is_known = true;  // what it needs was found by following it
  };

  void tell(const std::string& what, uint64_t done) const {
    if (request_.progress) request_.progress(what, done);
  }

  Result<void> erase_garbage() {
    while (VARVE_TRY(state_.tree->erase_garbage(kGarbageRowsAtOnce)))
      VARVE_TRY(state_.committer->admit(Committer::Change::kRemoval));
    return {};
  }

  // Marking.

  Result<void> mark(KvView& view, const std::vector<SnapshotInfo>& snapshots,
                    const std::vector<SnapshotInfo>& checkpoints) {
    VARVE_TRY(mark_live(view));
    for (const auto* all : {&snapshots, &checkpoints}) {
      for (const SnapshotInfo& info : *all) VARVE_TRY(mark_snapshot(info));
    }
    return mark_holds();
  }

  Result<void> mark_live(KvView& view) {
    VARVE_TRY(scan_rows(view, 's', [&](std::string_view, std::string_view value) -> Result<void> {
      const SetRow row = VARVE_TRY(decode_set(value));
      if (row.links && !row.removed) return marking_.mark_tree(rows_owner_, *row.links);
      return {};
    }));
    VARVE_TRY(scan_rows(view, 't',
                        [&](std::string_view, std::string_view value) { return mark_ref(value); }));
    // Where there is a mark, the next snapshot writes the directory anew.
    VARVE_TRY(
        scan_rows(view, 'r', [&](std::string_view key, std::string_view value) -> Result<void> {
          std::string changed(key);
          changed.front() = 'k';
          if (VARVE_TRY(view.get(changed))) return {};
          return mark_ref(value);
        }));
    return scan_rows(view, 'e', [&](std::string_view key, std::string_view value) -> Result<void> {
      return marking_.mark_chunk(rows_owner_, VARVE_TRY(decode_extent(key, value)).chunk);
    });
  }

  Result<void> mark_ref(std::string_view value) {
    return in_context(marking_.mark_tree(rows_owner_, VARVE_TRY(decode_tree_ref(value))),
                      "the live tree cannot be followed, so nothing is removed");
  }

  bool is_mine(const WriterId& writer) const {
    const std::vector<WriterId> before = state_.history->succeeded();
    return writer == state_.history->writer() ||
           std::find(before.begin(), before.end(), writer) != before.end();
  }

  Result<void> mark_snapshot(const SnapshotInfo& info) {
    const auto [place, is_new] = followed_.try_emplace(info.hash);
    if (!is_new) return {};
    Followed& one = place->second;
    one.info = info;
    one.owner = marking_.add_owner();
    if (is_mine(info.writer)) {
      const Result<void> done = follow(one);
      if (done.ok() || done.error().code() == Errc::kIo) return done;
      log_warning("snapshots/" + info.hash.hex() + ": " + done.error().message() +
                  ": all packs that its lists name stay");
    }
    one.is_known = false;
    return keep_listed(one);
  }

  Result<void> follow(const Followed& one) {
    const SnapshotBody body = VARVE_TRY(state_.history->body(one.info.hash));
    for (const SnapshotTree& tree : body.trees) {
      if (tree.links) VARVE_TRY(marking_.mark_tree(one.owner, *tree.links));
      if (tree.top.below) VARVE_TRY(marking_.mark_tree(one.owner, *tree.top.below));
    }
    return {};
  }

  /// Other writers' snapshots, and what cannot be followed.
  Result<void> keep_listed(const Followed& one) {
    const std::string lost = "which packs a snapshot needs is not known, so nothing is removed";
    const Result<History::Needs> needs = state_.history->needs_of(one.info);
    if (!needs.ok()) return Error(needs.error()).with_context(lost);
    for (const PackInfo& pack : needs->packs) marking_.mark_pack(one.owner, pack.pack);
    if (!is_mine(one.info.writer)) return {};
    const auto born = state_.history->packs_of_list(one.info.header.list);
    if (!born.ok()) return Error(born.error()).with_context(lost);
    for (const PackInfo& pack : *born) marking_.mark_pack(one.owner, pack.pack);
    return {};
  }

  /// What others rely on finding here.
  Result<void> mark_holds() {
    for (const HoldInForce& one : state_.history->holds()) {
      if (one.hold.replica != state_.guard->replica) continue;
      for (const FileHash& list : one.hold.lists) {
        for (const PackInfo& pack : VARVE_TRY(state_.history->packs_of_list(list)))
          marking_.mark_pack(rows_owner_, pack.pack);
      }
    }
    return {};
  }

  // Choosing.

  /// Packs of the table: written here, or named by a list that was taken over. Others are
  /// strangers.
  Result<void> choose(KvView& view) {
    std::vector<PackInfo> candidates;
    VARVE_TRY(scan_rows(view, 'p', [&](std::string_view, std::string_view value) -> Result<void> {
      const PackInfo info = VARVE_TRY(decode_pack(value));
      if (!marking_.is_needed(info.pack)) candidates.push_back(info);
      return {};
    }));
    for (const PackInfo& info : candidates) {
      tell("looking at packs", condemned_.size());
      if (!VARVE_TRY(is_here(info))) continue;  // evicted, or lost: nothing to be gained
      if (VARVE_TRY(is_told_by_index(info))) {
        condemned_.push_back(info);
      } else {
        spare(info);
      }
    }
    return spare_needed_bundles();
  }

  void spare(const PackInfo& info) {
    figures_.spared_packs++;
    figures_.spared_bytes += info.length;
  }

  Result<bool> is_here(const PackInfo& info) const {
    return state_.storage.exists(pack_path(info.pack_class, info.hash));
  }

  /// A pack whose chunks the index does not know is asked for by nobody, needed or not.
  Result<bool> is_told_by_index(const PackInfo& info) {
    const Result<PackIndex> content = state_.packs->read_index(info.pack);
    if (!content.ok()) return false;
    for (const IndexedChunk& chunk : content->chunks) {
      if (!VARVE_TRY(state_.index->find(chunk.id))) return false;
    }
    return true;
  }

  /// Bundles of packs that stay are written anew by the next snapshot, from the packs' own indexes.
  Result<void> spare_needed_bundles() {
    std::vector<PackInfo> left;
    for (const PackInfo& info : condemned_) {
      bool stays = false;
      std::vector<PackId> bundled;
      const auto look = [&](const IndexBundle& bundle) {
        const std::optional<PackInfo> known = state_.packs->find(bundle.header.pack);
        if (!known || known->pack_class != PackClass::kData) return;
        const Result<bool> here = is_here(*known);
        stays = stays || !here.ok() || !*here;
        bundled.push_back(known->pack);
      };
      if (info.pack_class == PackClass::kCatalog) {
        const Result<void> read = visit_bundles(info, *state_.packs, look);
        stays = stays || !read.ok();
      }
      if (stays) {
        spare(info);
        continue;
      }
      left.push_back(info);
      bundled_[info.pack] = std::move(bundled);
    }
    condemned_ = std::move(left);
    return {};
  }

  // The acts.

  Result<void> collect() {
    const std::vector<PackInfo> chosen = condemned_;
    const Result<void> done = remove_condemned();
    if (!is_decided_) state_.ingest->pardon(ids_of(chosen));
    return done;
  }

  Result<void> remove_condemned() {
    VARVE_TRY(look_again());
    if (condemned_.empty()) return {};
    VARVE_TRY(check_needed_are_here());
    VARVE_TRY(request_.alone([&]() -> Result<void> {
      VARVE_TRY(spare_arrived());
      if (condemned_.empty()) return {};
      return state_.ballast->with_space([&] { return decide(); });
    }));
    return unlink_all();
  }

  /// Steps 2 to 4: hits become misses, what is relied on is asked for, and the moment comes. What
  /// it shows, and what comes of it, refers to nothing condemned but what is marked now.
  Result<void> look_again() {
    std::unique_ptr<KvView> view;
    std::vector<PackId> relied;
    std::vector<SnapshotInfo> snapshots, checkpoints;
    const auto moment = [&]() -> Result<void> {
      view = VARVE_TRY(state_.committer->commit_and_view(nullptr));
      return {};
    };
    VARVE_TRY(request_.alone([&]() -> Result<void> {
      state_.ingest->condemn(ids_of(condemned_));
      relied = state_.ingest->relied_on();
      VARVE_TRY(state_.ballast->with_space([&] { return request_.quiesce(moment); }));
      VARVE_TRY(state_.history->refresh());
      snapshots = state_.history->snapshots();
      checkpoints = state_.history->checkpoints();
      return {};
    }));
    if (!view) return Error(Errc::kInvalid, "a collection without its moment");
    VARVE_TRY(mark(*view, snapshots, checkpoints));
    const PackIds relied_on(relied.begin(), relied.end());
    keep_if([&](const PackInfo& info) { return relied_on.contains(info.pack); });
    keep_if([&](const PackInfo& info) { return marking_.is_needed(info.pack); });
    return {};
  }

  /// Those for which `stays` is so are pardoned.
  void keep_if(const std::function<bool(const PackInfo&)>& stays) {
    std::vector<PackId> pardoned;
    std::erase_if(condemned_, [&](const PackInfo& info) {
      if (!stays(info)) return false;
      spare(info);
      pardoned.push_back(info.pack);
      return true;
    });
    state_.ingest->pardon(pardoned);
  }

  /// What is needed has to be here before anything goes that may have another copy of it.
  Result<void> check_needed_are_here() {
    needed_ = marking_.packs_by_owner();
    PackIds looked_at;
    std::set<Marking::Owner> unknown;
    for (const auto& [hash, one] : followed_)
      if (!one.is_known) unknown.insert(one.owner);
    for (Marking::Owner owner = 0; owner < needed_.size(); owner++) {
      if (unknown.contains(owner)) continue;
      for (const PackId& pack : needed_[owner]) {
        const std::optional<PackInfo> info = state_.packs->find(pack);
        if (!info || !looked_at.insert(pack).second || state_.packs->is_held(pack)) continue;
        if (VARVE_TRY(is_here(*info))) continue;
        return Error(
            Errc::kCorrupt,
            pack_path(info->pack_class, info->hash) +
                " is missing and needed, so nothing is removed: varve heal, or fsck.varve");
      }
    }
    return {};
  }

  /// Snapshots of others that came in since; what this writer took since refers to nothing that is
  /// condemned.
  Result<void> spare_arrived() {
    VARVE_TRY(state_.history->refresh());
    for (const SnapshotInfo& info : all_snapshots()) {
      if (followed_.contains(info.hash) || is_mine(info.writer)) continue;
      PackIds listed;
      const History::Needs needs = VARVE_TRY(state_.history->needs_of(info));
      for (const PackInfo& pack : needs.packs) listed.insert(pack.pack);
      keep_if([&](const PackInfo& pack) { return listed.contains(pack.pack); });
    }
    return {};
  }

  std::vector<SnapshotInfo> all_snapshots() const {
    std::vector<SnapshotInfo> all = state_.history->snapshots();
    const std::vector<SnapshotInfo> checkpoints = state_.history->checkpoints();
    all.insert(all.end(), checkpoints.begin(), checkpoints.end());
    return all;
  }

  /// Step 6: the list, then the table, in one commit.
  Result<void> decide() {
    goes_.clear();
    for (const PackInfo& info : condemned_) goes_.insert(info.pack);
    PackList list = VARVE_TRY(exact_list());
    if (!list.snapshots.empty()) VARVE_TRY(state_.history->publish_exact_list(std::move(list)));
    is_decided_ = true;
    VARVE_TRY(state_.tree->exclusively([&] { return change_rows(); }));
    return state_.committer->commit();
  }

  Result<PackList> exact_list() {
    PackList list;
    std::map<PackId, std::vector<uint32_t>> needed_by;  // ascending
    for (const SnapshotInfo& info : all_snapshots()) {
      const auto followed = followed_.find(info.hash);
      const bool is_new = followed == followed_.end();
      if (!is_mine(info.writer) || (!is_new && !followed->second.is_known)) continue;
      const auto number = static_cast<uint32_t>(list.snapshots.size());
      list.snapshots.push_back(info.hash);
      std::vector<PackId> packs;
      if (is_new) {
        packs = ids_of(VARVE_TRY(state_.history->packs_of_list(info.header.list)));
      } else {
        packs = needed_[followed->second.owner];
      }
      for (const PackId& pack : packs)
        if (!goes_.contains(pack)) needed_by[pack].push_back(number);
    }
    for (const auto& [pack, numbers] : needed_by) {
      const std::optional<PackInfo> info = state_.packs->find(pack);
      if (!info) continue;  // a hint's, that led nowhere
      list.rows.push_back(*info);
      list.needed_by.push_back(runs_of(numbers));
    }
    return list;
  }

  static SnapshotRuns runs_of(const std::vector<uint32_t>& numbers) {
    SnapshotRuns runs;
    for (const uint32_t number : numbers) {
      if (!runs.empty() && runs.back().first + runs.back().second == number) {
        runs.back().second++;
      } else {
        runs.emplace_back(number, 1);
      }
    }
    return runs;
  }

  /// The next lists are written out flat: what they would build on names what goes.
  Result<void> change_rows() {
    KvBatch rows;
    std::set<SetId> touched;
    VARVE_TRY(state_.staged->scan("b", "c", [&](std::string_view key, std::string_view) {
      if (!goes_.contains(pack_at(key, 1 + SetId::kSize))) return true;
      rows[std::string(key)] = std::nullopt;
      SetId set;
      std::copy_n(key.begin() + 1, SetId::kSize, set.bytes.begin());
      touched.insert(set);
      return true;
    }));
    Result<void> read;
    VARVE_TRY(state_.staged->scan("s", "t", [&](std::string_view key, std::string_view value) {
      Result<SetRow> row = decode_set(value);
      if (!row.ok()) read = row.error();
      if (!row.ok()) return false;
      if (touched.contains(row->id)) {
        row->newest_list.reset();
        rows[std::string(key)] = encode(*row);
      }
      return true;
    }));
    VARVE_TRY(std::move(read));
    for (const PackInfo& info : condemned_) {
      rows[key::pack(info.pack)] = std::nullopt;
      rows[key::unbundled(info.pack)] = std::nullopt;
      for (const PackId& bundled : bundled_[info.pack])
        if (!goes_.contains(bundled)) rows[key::unbundled(bundled)] = "";
    }
    state_.staged->apply(std::move(rows));
    return {};
  }

  /// Step 7. A file that stays for an error is taken over by the mount after a crash, or is a
  /// stranger.
  Result<void> unlink_all() {
    std::set<std::string> folders;
    uint64_t done = 0;
    for (const PackInfo& info : condemned_) {
      state_.index->remove_pack(info.pack);
      state_.packs->remove(info.pack);
      const std::string path = pack_path(info.pack_class, info.hash);
      const Result<void> removed = state_.storage.unlink(path);
      if (!removed.ok() && removed.error().code() != Errc::kNotFound)
        log_warning(path + " stays: " + removed.error().message());
      folders.insert(path.substr(0, path.rfind('/')));
      tell("removing packs", ++done);
    }
    for (const std::string& folder : folders) VARVE_TRY(state_.storage.sync_dir(folder));
    return state_.index->settle();
  }

  // Figures.

  Result<void> count_strangers() {
    for (const PackStore::Stranger& stranger : VARVE_TRY(state_.packs->list_strangers())) {
      figures_.strange_packs++;
      figures_.strange_bytes += stranger.info.length;
    }
    return {};
  }

  void count() {
    for (const PackInfo& info : condemned_) {
      figures_.packs++;
      figures_.bytes += info.length;
      if (info.pack_class == PackClass::kCatalog) figures_.catalog_packs++;
    }
    PackIds goes;
    for (const PackInfo& info : condemned_) goes.insert(info.pack);
    for (const PackInfo& info : state_.packs->sealed_packs()) {
      if (goes.contains(info.pack)) continue;
      figures_.kept_packs++;
      figures_.kept_bytes += info.length;
    }
    for (const auto& [hash, one] : followed_) {
      figures_.snapshots++;
      figures_.unknown_snapshots += one.is_known ? 0 : 1;
    }
  }

  WorkingCopy::State& state_;
  const CollectRequest& request_;
  CollectFigures figures_;
  Marking marking_;
  Marking::Owner rows_owner_ = 0;  // of the live trees, and of holds
  std::map<FileHash, Followed> followed_;
  std::vector<PackInfo> condemned_;
  std::map<PackId, std::vector<PackId>> bundled_;  // by catalog pack: packs that it has bundles of
  std::vector<std::vector<PackId>> needed_;        // by owner
  PackIds goes_;
  bool is_decided_ = false;  // the rows are gone, or going with the next commit
};

Result<CollectFigures> WorkingCopy::collect(const CollectRequest& request) {
  if (state_->options.read_only || only_reads())
    return Error(Errc::kReadOnly, "the store is open for reading only");
  CollectRequest whole = request;
  if (!whole.alone) whole.alone = [](const std::function<Result<void>()>& act) { return act(); };
  if (!whole.quiesce) whole.quiesce = [](const Snapshotter::Moment& moment) { return moment(); };
  return WorkingCopyCollection(*state_, whole).run();
}

}  // namespace varve
