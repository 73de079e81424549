#include "catalog/checker.h"

#include <fmt/format.h>

#include "catalog/check_history.h"
#include "catalog/check_live.h"
#include "catalog/check_trees.h"
#include "catalog/history.h"
#include "dedup/index_run.h"

namespace varve {
namespace {

/// The whole check with a key, step by step.
class StoreCheck {
 public:
  StoreCheck(const CheckedStore& store, const CheckOptions& options)
      : store_(store), options_(options), packs_(store, options, report_) {}

  Result<CheckReport> run() {
    VARVE_TRY(read_database());
    // Open packs are listed before sealed ones: one that is sealed meanwhile is found in either.
    if (options_.local) VARVE_TRY(list_open());
    files_ = VARVE_TRY(list_store_files(store_.storage));
    note_temporaries(files_, report_);
    const KeylessStore keyless{store_.storage, store_.config, store_.replica, store_.clock};
    history_ = VARVE_TRY(CheckedHistory::read(&store_, keyless, files_, report_));
    VARVE_TRY(show_names());
    expected_ = history_.packs();
    for (const auto& [pack, info] : rows_.sealed) expected_.emplace(info.hash, info);
    VARVE_TRY(packs_.scrub(files_, expected_));
    VARVE_TRY(check_stopped());
    check_open_packs();
    take_evicted();
    packs_.settle(expected_);
    report_.chunks = packs_.chunks();
    history_.check_lists([&](const PackInfo& info) { return packs_.is_here(info); }, report_);
    check_pack_rows();
    note_strangers();
    VARVE_TRY(check_trees());
    if (options_.local) VARVE_TRY(check_index());
    VARVE_TRY(check_stopped());
    report_.readable_packs = packs_.readable_packs();
    return std::move(report_);
  }

 private:
  Result<void> check_stopped() const {
    if (!options_.is_stopped()) return {};
    return Error(Errc::kInterrupted, "the check was stopped before its end");
  }

  Result<void> read_database() {
    if (store_.database == nullptr) return {};
    const Result<DatabaseState> state = state_of_database(*store_.database, store_.config.store_id);
    if (!state.ok()) return refuse_database(state.error().message());
    if (*state == DatabaseState::kRefused) {
      return refuse_database("is of another version or another store");
    }
    if (*state == DatabaseState::kEmpty) return {};
    Result<PackRows> rows = read_pack_rows(*store_.database, report_);
    if (!rows.ok()) return refuse_database(rows.error().message());
    rows_ = std::move(rows).value();
    report_.working_copy = true;
    return {};
  }

  Result<void> refuse_database(const std::string& why) {
    Finding finding;
    finding.kind = FindingKind::kWorkingCopy;
    finding.file = "local/db";
    finding.problem = why;
    report_.add(std::move(finding));
    return {};
  }

  Result<void> list_open() {
    for (const StorageEntry& entry : VARVE_TRY(list_if_there(store_.storage, kOpenPackFolder))) {
      const auto pack = PackId::from_hex(entry.name);
      if (pack && !entry.is_directory) open_.insert(*pack);
    }
    return {};
  }

  /// Names as they are shown: of two snapshots with one name the later bears its writer's id, too.
  Result<void> show_names() {
    const auto history = VARVE_TRY(History::open(store_.storage, store_.keyring, store_.clock,
                                                 system_random(), store_.replica));
    std::map<FileHash, std::string> shown;
    for (const SnapshotInfo& info : history->snapshots()) shown.emplace(info.hash, info.name);
    for (CheckedSnapshot& snapshot : history_.snapshots()) {
      const auto found = shown.find(snapshot.hash);
      if (found != shown.end()) snapshot.name = found->second;
    }
    return {};
  }

  /// Before what they hold is asked for.
  void take_evicted() {
    const auto is_here = [&](const PackInfo& info) { return packs_.is_here(info); };
    packs_.add_evicted(history_.evicted(options_.remotes, is_here, report_));
  }

  void check_open_packs() {
    for (const auto& [pack, row] : rows_.open) {
      if (open_.contains(pack)) packs_.scrub_open(pack, row.length);
      if (packs_.find(pack)) continue;
      Finding finding;
      finding.kind = FindingKind::kPack;
      finding.file = open_pack_path(pack);
      finding.pack = pack;
      finding.problem = fmt::format("is missing; {} bytes of it were committed", row.length);
      if (!open_.contains(pack)) report_.add(std::move(finding));
    }
    if (!report_.working_copy) return;
    for (const PackId& pack : open_) {
      if (rows_.open.contains(pack)) continue;
      Finding finding;
      finding.kind = FindingKind::kTemporary;
      finding.file = open_pack_path(pack);
      finding.problem = "a pack in writing that nothing refers to";
      report_.add(std::move(finding));
    }
  }

  /// Packs that the database knows and no list of a snapshot in force does, which were told of
  /// before.
  void check_pack_rows() {
    std::set<std::string> told;
    for (const Finding& finding : report_.findings) told.insert(finding.file);
    for (const auto& [pack, info] : rows_.sealed) {
      const std::string path = pack_path(info.pack_class, info.hash);
      if (packs_.is_here(info) || told.contains(path)) continue;
      Finding finding;
      finding.kind = FindingKind::kPack;
      finding.file = path;
      finding.pack = pack;
      finding.problem = "is missing; the working copy knows of it";
      report_.add(std::move(finding));
    }
  }

  void note_strangers() {
    for (const PackInfo& info : packs_.packs()) {
      const bool in_writing = info.length == 0 || rows_.open.contains(info.pack);
      if (in_writing || expected_.contains(info.hash)) continue;
      Finding finding;
      finding.kind = FindingKind::kNote;
      finding.file = pack_path(info.pack_class, info.hash);
      finding.pack = info.pack;
      finding.problem = "no list names it: it is on its way in, or nothing needs it";
      report_.add(std::move(finding));
    }
  }

  Result<void> check_trees() {
    Metrics metrics;
    PackStore reader(store_.storage, store_.keyring, system_random(), WriterId(), metrics);
    for (const PackInfo& info : packs_.packs()) {
      if (info.length > 0) reader.add(info);
    }
    constexpr size_t kCacheBytes = 64 * kMiB;
    Fetch fetch(reader, packs_.objects(), nullptr, nullptr, metrics, kCacheBytes);
    TreeCheck trees(packs_, fetch, options_, report_);
    // Checkpoints last: what is damaged bears the name of a snapshot that people know.
    for (const bool checkpoints : {false, true}) {
      for (const CheckedSnapshot& snapshot : history_.snapshots()) {
        if (snapshot.is_checkpoint() == checkpoints) check_snapshot(snapshot, trees);
      }
    }
    if (!report_.working_copy) return {};
    if (options_.progress) options_.progress({"checking the working copy", 0, 0, false});
    const Result<void> checked =
        check_live_tables({*store_.database, rows_, packs_}, trees, report_);
    return checked.ok() ? checked : refuse_database(checked.error().message());
  }

  /// That every page of every run is whole; what it says is checked whenever it is used.
  Result<void> check_index() {
    constexpr const char* kIndex = "local/index";
    constexpr uint64_t kBuckets = 1024;
    for (const StorageEntry& entry : VARVE_TRY(list_if_there(store_.storage, kIndex))) {
      if (!entry.name.starts_with("run-")) continue;
      const std::string path = std::string(kIndex) + "/" + entry.name;
      auto run = IndexRun::open(store_.storage, path);
      Result<void> whole = run.ok() ? Result<void>() : run.error();
      std::vector<ChunkRow> rows;
      for (uint64_t first = 0; whole.ok() && first < (*run)->buckets(); first += kBuckets) {
        whole = (*run)->read_buckets(first, kBuckets, rows);
      }
      // In use, runs are merged and go.
      if (whole.ok() || whole.error().code() == Errc::kNotFound) continue;
      Finding finding;
      finding.kind = FindingKind::kIndex;
      finding.file = path;
      finding.problem = whole.error().message();
      report_.add(std::move(finding));
    }
    return {};
  }

  void check_snapshot(const CheckedSnapshot& snapshot, TreeCheck& trees) {
    TreeCheck::Where where;
    where.snapshot = snapshot.is_checkpoint() ? shown_name(snapshot) : snapshot.name;
    if (snapshot.listed) where.listed = packs_of(snapshot.list);
    for (const SnapshotTree& tree : snapshot.body.trees) {
      where.set = tree.set_name;
      where.id = tree.set;
      trees.check_tree(where, tree);
    }
  }

  std::vector<bool> packs_of(const FileHash& list) const {
    std::vector<bool> listed(std::max<size_t>(1, packs_.packs().size()));
    history_.visit_packs(list, [&](const PackInfo& info) {
      if (const auto number = packs_.number_of(info)) listed[*number] = true;
    });
    return listed;
  }

  const CheckedStore& store_;
  const CheckOptions& options_;
  CheckReport report_;
  CheckedPacks packs_;
  PackRows rows_;
  std::set<PackId> open_;
  StoreFiles files_;
  CheckedHistory history_;
  std::map<FileHash, PackInfo> expected_;
};

}  // namespace

Result<CheckReport> check_store(const CheckedStore& store, const CheckOptions& options) {
  return StoreCheck(store, options).run();
}

}  // namespace varve
