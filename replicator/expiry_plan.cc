#include "replicator/expiry_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "replicator/whole_lists.h"

namespace varve {
namespace {

class Planner {
 public:
  Planner(const ExpiryView& view, const ExpiryTerms& terms, const AskMet& met)
      : view_(view),
        terms_(terms),
        met_(met),
        whole_(view.history, [this](const StoreFile& file) { return is_settled(file); }),
        complete_(view.history, [this](const StoreFile& file) { return lies_here(file); }) {}

  ExpiryPlan plan() {
    judge_checkpoints();
    judge_by_rule();
    for (const CarriedSnapshot& snapshot : view_.history.snapshots()) judge(snapshot);
    need_for_snapshots();
    need_for_holds();
    need_for_unclaimed_lists();
    note_problems();
    condemn();
    settle_condemned();
    return std::move(plan_);
  }

 private:
  bool is_in_place(const StoreFile& file) const {
    return view_.here.contains(file) && !view_.torn_here.contains(file);
  }
  bool lies_condemned(const StoreFile& file) const {
    return view_.condemned.contains(file) && !view_.torn_condemned.contains(file);
  }
  bool lies_here(const StoreFile& file) const { return is_in_place(file) || lies_condemned(file); }
  /// Here, or not meant to be.
  bool is_settled(const StoreFile& file) const {
    return lies_here(file) || (!terms_.has_catalog && file.file_class == FileClass::kCatalogPack);
  }

  // Snapshots.

  bool is_locked(const FileHash& snapshot) const {
    const std::optional<int64_t> until = view_.records.locked_until(snapshot);
    return until && *until > terms_.now / kSecond;
  }

  std::string lock_end(const FileHash& snapshot) const {
    constexpr int64_t kLast = INT64_MAX / kSecond;
    return utc_iso(std::min(*view_.records.locked_until(snapshot), kLast) * kSecond);
  }

  /// The newest of each writer that is whole, and what is newer than that, stay.
  void judge_checkpoints() {
    std::map<WriterId, uint64_t> newest;
    for (const CarriedSnapshot& snapshot : view_.history.snapshots()) {
      if (snapshot.is_checkpoint() && whole_.newest_whole_list(snapshot))
        newest[snapshot.writer] = snapshot.sequence;
    }
    for (const CarriedSnapshot& snapshot : view_.history.snapshots()) {
      if (!snapshot.is_checkpoint()) continue;
      const auto found = newest.find(snapshot.writer);
      if (found == newest.end() || snapshot.sequence >= found->second)
        reasons_[snapshot.hash] = "its writer's newest checkpoint";
    }
  }

  bool counts(const CarriedSnapshot& snapshot) const {
    return !snapshot.is_checkpoint() && view_.here.contains(snapshot.file()) &&
           !view_.records.is_dropped(snapshot.hash, terms_.replica) &&
           !view_.records.is_forgotten(snapshot.hash);
  }

  /// A snapshot that is not whole takes no whole one's turn: the rule is asked without those that
  /// are not, and of those with all.
  void judge_by_rule() {
    using Group = std::pair<SnapshotClass, SetId>;
    std::map<Group, std::vector<const CarriedSnapshot*>> all, whole;
    for (const CarriedSnapshot& snapshot : view_.history.snapshots()) {
      if (!counts(snapshot)) continue;
      const Group group{snapshot.header.snapshot_class, snapshot.header.set};
      all[group].push_back(&snapshot);
      if (whole_.newest_whole_list(snapshot)) whole[group].push_back(&snapshot);
    }
    for (const auto& [group, snapshots] : whole) ask_rule(snapshots, true);
    for (const auto& [group, snapshots] : all) ask_rule(snapshots, false);
  }

  void ask_rule(const std::vector<const CarriedSnapshot*>& snapshots, bool whole) {
    std::vector<Nanoseconds> times;
    for (const CarriedSnapshot* snapshot : snapshots) times.push_back(snapshot->time);
    const std::vector<std::string> reasons = kept_by(terms_.rule, times);
    for (size_t i = 0; i < snapshots.size(); i++) {
      if (whole_.newest_whole_list(*snapshots[i]).has_value() == whole && !reasons[i].empty())
        reasons_[snapshots[i]->hash] = reasons[i];
    }
  }

  /// Forgotten everywhere: it stays until its grace is over.
  bool is_in_grace(const CarriedSnapshot& snapshot) {
    const std::optional<Nanoseconds> since = met_(snapshot.file());
    if (!since) plan_.first_met.push_back(snapshot.file());
    return !since || terms_.now - *since < kForgetGrace;
  }

  void judge(const CarriedSnapshot& snapshot) {
    const bool is_here = view_.here.contains(snapshot.file());
    JudgedSnapshot judged{snapshot.hash,
                          snapshot.header.set,
                          snapshot.header.snapshot_class,
                          snapshot.time,
                          false,
                          false,
                          {}};
    judged.whole = whole_.newest_whole_list(snapshot).has_value();
    const auto reason = reasons_.find(snapshot.hash);
    if (is_locked(snapshot.hash)) {
      judged.kept = true;
      judged.why = "locked until " + lock_end(snapshot.hash);
    } else if (reason != reasons_.end()) {
      judged.kept = true;
      judged.why = reason->second;
    } else if (!is_here) {
      judged.why = "condemned by an earlier run";
    } else if (terms_.leaving && !terms_.leaving->contains(snapshot.hash)) {
      judged.kept = true;
      judged.why = "the next run judges it";
    } else if (view_.records.is_forgotten(snapshot.hash) && is_in_grace(snapshot)) {
      judged.kept = true;
      judged.why = "forgotten everywhere, in its grace";
    } else if (view_.records.is_forgotten(snapshot.hash)) {
      judged.why = "forgotten everywhere";
    } else if (view_.records.is_dropped(snapshot.hash, terms_.replica)) {
      judged.why = "dropped here";
    } else {
      judged.why = snapshot.is_checkpoint() ? "superseded" : "not kept by the rule";
    }
    (judged.kept ? kept_ : expired_).insert(snapshot.hash);
    plan_.snapshots.push_back(std::move(judged));
  }

  // What is needed.

  /// The list with its bases, and the packs that they name.
  void need_all_of(const std::vector<FileHash>& lists) {
    for (const FileHash& list : lists) {
      needed_.insert({FileClass::kList, list});
      if (!rows_needed_.insert(list).second) continue;
      for (const PackInfo& row : view_.history.rows_of(list)) needed_.insert(file_of_pack(row));
    }
  }

  void need_for_snapshots() {
    for (const CarriedSnapshot& snapshot : view_.history.snapshots()) {
      if (!kept_.contains(snapshot.hash)) continue;
      const std::vector<FileHash> lists = view_.history.lists_of(snapshot);
      for (const FileHash& list : lists) needed_.insert({FileClass::kList, list});
      const std::optional<FileHash> whole = whole_.newest_whole_list(snapshot);
      if (whole) {
        need_by(*whole, snapshot);
      } else {
        need_all_of(lists);
        note_unknown(snapshot);
      }
      if (terms_.has_catalog) continue;
      // The newest list's catalog packs may be on their way: what it is complete by stays too.
      const std::optional<FileHash> complete = complete_.newest_whole_list(snapshot);
      if (complete && complete != whole) need_by(*complete, snapshot);
    }
  }

  /// What the snapshot needs by that one of its lists.
  void need_by(const FileHash& hash, const CarriedSnapshot& snapshot) {
    const PackList& list = view_.history.lists().at(hash).content;
    if (!list.exact) return need_all_of(view_.history.with_bases(hash));
    for (const PackInfo& row : rows_needed_by(list, snapshot.hash))
      needed_.insert(file_of_pack(row));
  }

  void note_unknown(const CarriedSnapshot& snapshot) {
    const Lacking lacking =
        view_.history.lacking(snapshot, [&](const StoreFile& file) { return is_settled(file); });
    if (lacking.lists.empty()) return;
    plan_.unknown.push_back(fmt::format("{} needs {}, which is not here", path_of(snapshot.file()),
                                        path_of({FileClass::kList, lacking.lists.front()})));
  }

  void need_for_holds() {
    for (const FileHash& list : view_.records.held_lists()) {
      std::set<FileHash> waiting{list}, met;
      while (!waiting.empty()) {
        const FileHash next = *waiting.begin();
        waiting.erase(waiting.begin());
        if (!met.insert(next).second) continue;
        const auto found = view_.history.lists().find(next);
        if (found == view_.history.lists().end()) {
          plan_.unknown.push_back(
              fmt::format("a hold names {}, which is not here", path_of({FileClass::kList, next})));
          continue;
        }
        waiting.insert(found->second.content.bases.begin(), found->second.content.bases.end());
        need_all_of({next});
      }
    }
  }

  /// A list without a snapshot is on its way in, and its packs with it; but not for ever, for it
  /// may be a checkpoint's that was removed.
  void need_for_unclaimed_lists() {
    std::set<FileHash> claimed;
    for (const CarriedSnapshot& snapshot : view_.history.snapshots()) {
      for (const FileHash& list : view_.history.lists_of(snapshot)) claimed.insert(list);
    }
    for (const auto& [hash, list] : view_.history.lists()) {
      const StoreFile file{FileClass::kList, hash};
      if (claimed.contains(hash) || needed_.contains(file) || !view_.here.contains(file)) continue;
      const std::optional<Nanoseconds> since = met_(file);
      if (!since) plan_.first_met.push_back(file);
      if (!since || terms_.now - *since < kUnclaimedListGrace)
        need_all_of(view_.history.with_bases(hash));
    }
  }

  void note_problems() {
    for (const auto* problems : {&view_.history.problems(), &view_.records.problems()}) {
      for (const auto& [file, problem] : *problems) plan_.unknown.push_back(problem);
    }
  }

  // What goes.

  bool may_go(const StoreFile& file) const {
    if (file.file_class == FileClass::kSnapshot) return expired_.contains(file.hash);
    if (file.file_class == FileClass::kList)
      return view_.history.has_list(file.hash) && !needed_.contains(file);
    // A pack that lies in both places came in again since it was condemned.
    return is_pack(file) && named_.contains(file) && !needed_.contains(file) &&
           !view_.condemned.contains(file);
  }

  void condemn() {
    for (const auto& [hash, list] : view_.history.lists()) {
      for (const PackInfo& row : list.content.rows) {
        named_.insert(file_of_pack(row));
        plan_.pack_bytes[row.hash] = row.length;
      }
    }
    for (auto file = view_.here.rbegin(); file != view_.here.rend(); file++) {
      if (is_pack(*file) && !named_.contains(*file)) plan_.strangers++;
      if (may_go(*file)) plan_.to_condemn.push_back(*file);
    }
  }

  bool is_needed(const StoreFile& file) const {
    return file.file_class == FileClass::kSnapshot ? kept_.contains(file.hash)
                                                   : needed_.contains(file);
  }

  /// As long as a pack lies in its place that nobody needs, a list has to name it, else it is a
  /// stranger for ever.
  bool names_what_has_to_go(const FileHash& list) const {
    const std::vector<PackInfo>& rows = view_.history.rows_of(list);
    return std::any_of(rows.begin(), rows.end(), [&](const PackInfo& row) {
      const StoreFile pack = file_of_pack(row);
      return view_.here.contains(pack) && !needed_.contains(pack);
    });
  }

  bool comes_back(const StoreFile& file) const {
    return is_needed(file) && lies_condemned(file) && !is_in_place(file);
  }

  void settle_condemned() {
    std::vector<StoreFile> lists;
    for (const StoreFile& file : view_.condemned) {
      if (comes_back(file)) plan_.to_return.push_back(file);
    }
    for (auto file = view_.condemned.rbegin(); file != view_.condemned.rend(); file++) {
      if (comes_back(*file)) continue;
      const bool is_list = file->file_class == FileClass::kList;
      if (is_list && names_what_has_to_go(file->hash)) continue;
      (is_list ? lists : plan_.to_delete).push_back(*file);
    }
    plan_.to_delete.insert(plan_.to_delete.end(), lists.begin(), lists.end());
  }

  const ExpiryView& view_;
  const ExpiryTerms& terms_;
  const AskMet& met_;
  WholeLists whole_;     // as the place is meant to be
  WholeLists complete_;  // with all catalog packs
  ExpiryPlan plan_;
  std::map<FileHash, std::string> reasons_;  // to keep a snapshot
  std::set<FileHash> kept_, expired_;
  std::set<StoreFile> needed_;      // lists and packs
  std::set<FileHash> rows_needed_;  // lists whose rows are in needed_
  std::set<StoreFile> named_;       // packs
};

}  // namespace

ExpiryPlan plan_expiry(const ExpiryView& view, const ExpiryTerms& terms, const AskMet& met) {
  return Planner(view, terms, met).plan();
}

}  // namespace varve
