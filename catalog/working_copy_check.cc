// Checking a store while it is in use.
#include "catalog/checker.h"
#include "catalog/working_copy_state.h"

namespace varve {

Result<CheckReport> WorkingCopy::check(const CheckOptions& options) {
  State& state = *state_;
  // The view comes first: everything that it refers to is in packs that are listed after it.
  VARVE_TRY(state.committer->commit());
  const std::unique_ptr<KvView> view = VARVE_TRY(state.kv->view());
  // Where the store is only read, the database says nothing of its own.
  const CheckedStore store{state.storage,        state.config,
                           *state.keyring,       state.lazy == nullptr ? view.get() : nullptr,
                           state.guard->replica, state.clock};
  CheckReport report = VARVE_TRY(check_store(store, options));
  // What is being written meanwhile, and snapshots that were removed meanwhile, are no damage.
  std::set<std::string> in_force;
  for (const SnapshotInfo& info : state.history->snapshots()) in_force.insert(info.name);
  const auto gone = [&](const Finding& finding) {
    const bool checkpoint = finding.snapshot.starts_with("checkpoint ");
    const bool removed =
        !finding.snapshot.empty() && !checkpoint && !in_force.contains(finding.snapshot);
    return finding.kind == FindingKind::kTemporary || removed;
  };
  for (const Finding& finding : report.findings) {
    if (gone(finding) && finding.is_damage()) report.damages--;
  }
  std::erase_if(report.findings, gone);
  return report;
}

}  // namespace varve
