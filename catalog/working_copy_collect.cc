// Collection of a working copy. The order, and why it is safe at every point, is in
// docs/collection.md; the numbers in the comments are its steps.
#include <algorithm>
#include <map>
#include <set>

#include "catalog/collected_rows.h"
#include "catalog/collection.h"
#include "catalog/collection_marks.h"
#include "catalog/index_bundles.h"
#include "catalog/row_probe.h"
#include "catalog/schema.h"
#include "catalog/working_copy_state.h"
#include "dedup/base/log.h"

namespace varve {
namespace {

constexpr size_t kGarbageRowsAtOnce = 10'000;

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
        marks_({*state.history, *state.index, *state.fetch, *state.packs, state.storage,
                state.guard->replica},
               [this](uint64_t objects) { tell("following snapshots", objects); }),
        rows_(*state.staged, *state.tree, *state.history) {}

  Result<CollectFigures> run() {
    VARVE_TRY(erase_garbage());
    VARVE_TRY(state_.ballast->with_space([&] { return state_.committer->commit(); }));
    {
      const std::unique_ptr<KvView> view = VARVE_TRY(state_.kv->view());
      VARVE_TRY(state_.history->refresh());
      VARVE_TRY(marks_.mark(*view, marks_.all_snapshots()));
      VARVE_TRY(choose(*view));
    }
    VARVE_TRY(count_strangers());
    if (!request_.dry_run && !condemned_.empty()) VARVE_TRY(collect());
    figures_.objects = marks_.objects();
    count();
    return figures_;
  }

 private:
  void tell(const std::string& what, uint64_t done) const {
    if (request_.progress) request_.progress(what, done);
  }

  Result<void> erase_garbage() {
    while (VARVE_TRY(state_.tree->erase_garbage(kGarbageRowsAtOnce)))
      VARVE_TRY(state_.committer->admit(Committer::Change::kRemoval));
    return {};
  }

  // Choosing.

  /// Packs of the table: written here, or named by a list that was taken over. Others are
  /// strangers.
  Result<void> choose(KvView& view) {
    std::vector<PackInfo> candidates;
    VARVE_TRY(scan_table(view, 'p', [&](std::string_view, std::string_view value) -> Result<void> {
      const PackInfo info = VARVE_TRY(decode_pack(value));
      if (!marks_.is_needed(info.pack)) candidates.push_back(info);
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
      bundles_[info.pack] = std::move(bundled);
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
    VARVE_TRY(marks_.check_needed_are_here());
    VARVE_TRY(request_.alone([&]() -> Result<void> {
      VARVE_TRY(spare_arrived());
      if (condemned_.empty()) return {};
      return state_.ballast->with_space([&] { return decide(); });
    }));
    state_.history->let_go_lists(rows_.let_go());
    return unlink_all();
  }

  /// Steps 2 to 4: hits become misses, what is relied on is asked for, and the moment comes. What
  /// it shows, and what comes of it, refers to nothing condemned but what is marked now.
  Result<void> look_again() {
    std::unique_ptr<KvView> view;
    std::vector<PackId> relied;
    std::vector<SnapshotInfo> snapshots;
    const auto moment = [&]() -> Result<void> {
      view = VARVE_TRY(state_.committer->commit_and_view(nullptr));
      return {};
    };
    VARVE_TRY(request_.alone([&]() -> Result<void> {
      state_.ingest->condemn(ids_of(condemned_));
      relied = state_.ingest->relied_on();
      VARVE_TRY(state_.ballast->with_space([&] { return request_.quiesce(moment); }));
      VARVE_TRY(state_.history->refresh());
      snapshots = marks_.all_snapshots();
      moment_sequence_ = state_.history->highest_sequence();
      return {};
    }));
    if (!view) return Error(Errc::kInvalid, "a collection without its moment");
    VARVE_TRY(marks_.mark(*view, snapshots));
    const PackIds relied_on(relied.begin(), relied.end());
    keep_if([&](const PackInfo& info) {
      return relied_on.contains(info.pack) || marks_.is_needed(info.pack);
    });
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

  /// Snapshots and holds that came in since; what this writer took since refers to nothing that is
  /// condemned.
  Result<void> spare_arrived() {
    VARVE_TRY(state_.history->refresh());
    const std::vector<PackId> arrived = VARVE_TRY(marks_.arrived(moment_sequence_));
    const PackIds wanted(arrived.begin(), arrived.end());
    keep_if([&](const PackInfo& info) { return wanted.contains(info.pack); });
    return {};
  }

  /// Step 6: the list, then the table, in one commit.
  Result<void> decide() {
    PackIds goes;
    for (const PackInfo& info : condemned_) goes.insert(info.pack);
    PackList list = VARVE_TRY(marks_.exact_list(goes, moment_sequence_));
    if (!list.snapshots.empty()) VARVE_TRY(state_.history->publish_exact_list(std::move(list)));
    Result<void> committed = rows_.remove(condemned_, bundles_);
    if (committed.ok()) committed = state_.committer->commit();
    if (!committed.ok()) rows_.restore();
    is_decided_ = committed.ok();
    return committed;
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
    const Result<void> settled = state_.index->settle();
    if (!settled.ok())
      log_warning("the chunk index is written later: " + settled.error().message());
    return {};
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
    figures_.snapshots = marks_.snapshots();
    figures_.unknown_snapshots = marks_.unknown_snapshots();
  }

  WorkingCopy::State& state_;
  const CollectRequest& request_;
  CollectFigures figures_;
  CollectionMarks marks_;
  CollectedRows rows_;
  std::vector<PackInfo> condemned_;
  CollectedRows::Bundles bundles_;
  uint64_t moment_sequence_ = 0;  // the highest at the moment
  bool is_decided_ = false;       // the rows are gone
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
