#include "fs/release_holds.h"

#include <fmt/format.h>

#include <algorithm>

#include "dedup/base/log.h"
#include "replicator/remote.h"

namespace varve {
namespace {

/// Another site's holds protect what that one has evicted.
bool is_own(const History& history, const WriterId& writer) {
  const std::vector<WriterId> succeeded = history.succeeded();
  return writer == history.writer() ||
         std::find(succeeded.begin(), succeeded.end(), writer) != succeeded.end();
}

Result<std::vector<PackInfo>> packs_under(const History& history, const Hold& hold) {
  std::vector<PackInfo> packs;
  for (const FileHash& list : hold.lists) {
    const std::vector<PackInfo> named = VARVE_TRY(history.packs_of_list(list));
    packs.insert(packs.end(), named.begin(), named.end());
  }
  return packs;
}

/// Whose whole copy is here; what is damaged is said.
bool is_whole_here(PackStore& packs, const PackInfo& info) {
  const Result<void> whole = packs.check_hash(info);
  if (!whole.ok() && whole.error().code() != Errc::kNotFound)
    log_warning(whole.error().message() + "; its hold stays");
  return whole.ok();
}

/// Adds the hold to the figures; true if it protects nothing any more.
bool may_be_released(WorkingCopy& working_copy, const Hold& hold, ReleaseFigures& figures) {
  const Result<std::vector<PackInfo>> packs = packs_under(working_copy.history(), hold);
  if (!packs.ok()) {  // nobody can say what it protects
    log_warning("hold " + hold.id.hex() + " stays: " + packs.error().message());
    figures.kept_holds++;
    return false;
  }
  uint64_t away = 0, bytes = 0;
  for (const PackInfo& info : *packs) {
    away += is_whole_here(working_copy.packs(), info) ? 0 : 1;
    bytes += info.length;
  }
  figures.away_packs += away;
  (away > 0 ? figures.kept_holds : figures.holds)++;
  if (away > 0) return false;
  figures.packs += packs->size();
  figures.bytes += bytes;
  return true;
}

}  // namespace

Result<ReleaseFigures> release_holds(WorkingCopy& working_copy, const std::string& remote,
                                     bool dry_run) {
  const RemoteConfig at = VARVE_TRY(find_remote(working_copy.storage(), remote));
  History& history = working_copy.history();
  ReleaseFigures figures;
  std::vector<Statement> statements;
  for (const HoldInForce& one : history.holds()) {
    if (one.hold.replica != at.replica || !is_own(history, one.writer)) continue;
    if (may_be_released(working_copy, one.hold, figures))
      statements.push_back(encode_hold({one.hold.id, at.replica, false, {}}));
  }
  if (dry_run || statements.empty()) return figures;
  VARVE_TRY(history.publish_record(statements));
  log_info(fmt::format("{} holds of {} packs at remote {} are released", figures.holds,
                       figures.packs, remote));
  return figures;
}

}  // namespace varve
