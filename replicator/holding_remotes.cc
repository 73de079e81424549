#include "replicator/holding_remotes.h"

#include "replicator/ledger.h"
#include "replicator/remote.h"

namespace varve {

Result<HoldingRemotes> holding_remotes(Storage& store) {
  HoldingRemotes remotes;
  for (const RemoteConfig& remote : VARVE_TRY(list_remotes(store))) {
    const auto ledger =
        VARVE_TRY(ReplicationLedger::read(store, replication_ledger_path(remote.replica)));
    remotes[remote.replica] = {remote.name, ledger->held()};
  }
  return remotes;
}

}  // namespace varve
