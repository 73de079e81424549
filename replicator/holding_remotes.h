// Which remotes of a store hold packs for it, as far as its ledgers know.
#pragma once

#include "dedup/base/storage.h"
#include "dedup/hold_format.h"

namespace varve {

/// Of each remote that is configured: its name, and the holds that count there. Where a ledger was
/// lost none does until the next replication has seen them again.
Result<HoldingRemotes> holding_remotes(Storage& store);

}  // namespace varve
