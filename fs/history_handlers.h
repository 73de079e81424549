// What is asked of a store's history by name: policies, expiry, locks. The daemon answers these on
// its control socket; of a store that is not mounted the programs answer themselves, by the same
// code (docs/architecture.md, "The control socket").
#pragma once

#include <functional>

#include "catalog/working_copy.h"
#include "fs/control.h"

namespace varve {

/// The set of that name, with a live tree or with snapshots alone; "": the whole mount, zeros.
/// kNotFound if there is none.
Result<SetId> set_by_name(WorkingCopy& working_copy, std::string_view name);

struct HistoryDoor {
  /// An error where nothing may be published.
  std::function<Result<void>()> may_publish = [] { return Result<void>(); };
  /// An error where no snapshot may be removed.
  std::function<Result<void>()> may_remove = [] { return Result<void>(); };
  /// Called after a snapshot was removed.
  std::function<void(const SnapshotInfo&)> removed = [](const SnapshotInfo&) {};
};

/// sets, set, expire, lock. `working_copy` must outlive them.
ControlHandlers history_handlers(WorkingCopy& working_copy, HistoryDoor door);

}  // namespace varve
