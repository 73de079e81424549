#include "catalog/expiry.h"

#include "catalog/set_policy.h"

namespace varve {
namespace {

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
  SnapshotNeeds needs(history, is_here);
  std::vector<JudgedForExpiry> judged;
  std::vector<bool> whole;
  std::vector<size_t> all, whole_ones;
  for (SnapshotInfo& info : history.snapshots_of(set)) {
    whole.push_back(VARVE_TRY(needs.is_whole(info)));
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
