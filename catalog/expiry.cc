#include "catalog/expiry.h"

#include <algorithm>
#include <map>
#include <optional>

#include "catalog/history_state.h"
#include "catalog/set_policy.h"

namespace varve {
namespace {

/// Which snapshots are whole. Each list is read once, each pack looked for once.
class WholeSnapshots {
 public:
  WholeSnapshots(const History& history, const PackIsHere& is_here)
      : history_(history), is_here_(is_here) {}

  Result<bool> is_whole(const SnapshotInfo& snapshot) {
    if (VARVE_TRY(is_list_whole(snapshot.header.list))) return true;
    for (const PackList& list : VARVE_TRY(exact_lists())) {
      if (std::find(list.snapshots.begin(), list.snapshots.end(), snapshot.hash) ==
          list.snapshots.end())
        continue;
      if (VARVE_TRY(are_here(rows_needed_by(list, snapshot.hash)))) return true;
    }
    return false;
  }

 private:
  Result<bool> are_here(const std::vector<PackInfo>& rows) {
    for (const PackInfo& row : rows) {
      const auto known = packs_.find(row.hash);
      const bool here = known != packs_.end() ? known->second : VARVE_TRY(is_here_(row));
      packs_[row.hash] = here;
      if (!here) return false;
    }
    return true;
  }

  /// With its bases, which are never deeper than 64.
  Result<bool> is_list_whole(const FileHash& hash, int depth = 0) {
    if (const auto known = lists_.find(hash); known != lists_.end()) return known->second;
    const Result<PackList> list = history_.list(hash);
    if (!list.ok() && list.error().code() == Errc::kIo) return list.error();
    bool whole = list.ok() && depth <= kListDepthMax && VARVE_TRY(are_here(list->rows));
    for (size_t i = 0; whole && i < list->bases.size(); i++)
      whole = VARVE_TRY(is_list_whole(list->bases[i], depth + 1));
    lists_[hash] = whole;
    return whole;
  }

  Result<std::vector<PackList>> exact_lists() {
    if (exact_) return *exact_;
    exact_.emplace();
    for (const FileHash& hash : history_.lists()) {
      Result<PackList> list = history_.list(hash);
      if (list.ok() && list->exact) exact_->push_back(std::move(*list));
    }
    return *exact_;
  }

  const History& history_;
  const PackIsHere& is_here_;
  std::map<FileHash, bool> lists_, packs_;
  std::optional<std::vector<PackList>> exact_;
};

/// Asks the rule of some of them, and notes why those among `of` are kept.
void ask_rule(const RetentionRule& rule, const std::vector<size_t>& asked,
              const std::vector<bool>& whole, bool of, std::vector<JudgedForExpiry>& judged) {
  std::vector<Nanoseconds> times;
  for (const size_t i : asked) times.push_back(judged[i].snapshot.time);
  const std::vector<std::string> reasons = kept_by(rule, times);
  for (size_t n = 0; n < asked.size(); n++) {
    JudgedForExpiry& one = judged[asked[n]];
    if (whole[asked[n]] == of && !reasons[n].empty()) {
      one.kept = true;
      one.why = reasons[n];
    }
  }
}

}  // namespace

Result<std::vector<JudgedForExpiry>> judge_expiry(const History& history, const SetId& set,
                                                  const RetentionRule& rule,
                                                  const PackIsHere& is_here) {
  WholeSnapshots whole_snapshots(history, is_here);
  std::vector<JudgedForExpiry> judged;
  std::vector<bool> whole;
  std::vector<size_t> all, whole_ones;
  for (SnapshotInfo& info : history.snapshots_of(set)) {
    whole.push_back(VARVE_TRY(whole_snapshots.is_whole(info)));
    all.push_back(judged.size());
    if (whole.back()) whole_ones.push_back(judged.size());
    judged.push_back({std::move(info), false, "not kept by the rule"});
  }
  ask_rule(rule, whole_ones, whole, true, judged);
  ask_rule(rule, all, whole, false, judged);
  for (JudgedForExpiry& one : judged) {
    if (const auto until = history.locked_until(one.snapshot.hash)) {
      one.kept = true;
      one.why = "locked until " + utc_of_seconds(*until);
    } else if (whole_ones.empty() && !one.kept) {
      one.kept = true;
      one.why = "none is whole";
    }
  }
  return judged;
}

}  // namespace varve
