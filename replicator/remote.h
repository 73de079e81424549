// A remote: another directory for a store's files, known to this store by a name.
//
// Its configuration is replica/remotes/NAME.json: it belongs to this place and outlives local/.
// Which directory is the remote is told by its replica/guard (dedup/guard.h), not by its path: a
// mountpoint without its mount has no guard, so nothing is written there. Whether it is still the
// one that acknowledged what the ledger says is told by visits: replica/visits/<sender> at the
// remote and the ledger here name the same last visit, which a copy and a rolled-back remote do not
// (docs/replication.md).
#pragma once

#include <string>
#include <vector>

#include "dedup/base/clock.h"
#include "dedup/base/random.h"
#include "dedup/catalog_mode.h"
#include "dedup/store_config.h"
#include "replicator/ledger.h"

namespace varve {

/// What jobs that ask (link.h) do while the remote is not reached. The filesystem always goes on.
enum class OnLinkLoss { kGoOn, kStop };

struct RemoteConfig {
  std::string name;
  std::string directory;  // absolute
  ReplicaId replica;
  std::string added;  // UTC
  std::string limit;  // bandwidth, as limit.h reads it; empty: none
  CatalogMode catalog = CatalogMode::kReplicated;
  OnLinkLoss on_link_loss = OnLinkLoss::kGoOn;
};

const char* name_of(OnLinkLoss what);
/// kInvalid, naming those that there are.
Result<OnLinkLoss> parse_on_link_loss(const std::string& name);

/// Letters, digits, `-`, `_` and `.`, not at the front; at most 64: kInvalid otherwise.
Result<void> check_remote_name(const std::string& name);

/// By name. A configuration that makes no sense is kCorrupt, naming the file.
Result<std::vector<RemoteConfig>> list_remotes(Storage& store);
/// kNotFound, naming those that there are.
Result<RemoteConfig> find_remote(Storage& store, const std::string& name);
Result<void> write_remote(Storage& store, const RemoteConfig& remote);
/// Forgets the remote and what was known of it. What lies there stays.
Result<void> remove_remote(Storage& store, const std::string& name);

/// "local/replication/<replica id>": what is known of a remote; private, and can be made anew.
std::string replication_folder(const ReplicaId& remote);
std::string replication_ledger_path(const ReplicaId& remote);
/// Where who replicates writes down how that stands.
std::string replication_state_path(const ReplicaId& remote);

/// A place that is about to become a remote of the store, or to take files of it: it has this
/// store's files, or nothing at all. kForeign for another store's, kInvalid for anything else,
/// kBusy if it is a live store, with a working copy in it.
Result<void> check_place_for_files(Storage& place, const StoreConfig& store,
                                   const std::string& shown);
/// Writes store.json if it is not there.
Result<void> settle_store_config(Storage& place, Storage& store);
/// Makes `place` a remote: store.json, folders, a guard. A guard of the store that is there and
/// bound to no place is kept, for several sites may share a remote. Its replica's id.
Result<ReplicaId> settle_remote(Storage& place, Storage& store, const StoreConfig& config,
                                Random& random);

/// Somebody lives there, or did: it has a working copy, or its guard names a writer, as that of a
/// promoted remote does.
Result<bool> is_live_store(Storage& place, const StoreConfig& store);

/// The directory is this store's remote and no other, and nobody made a live store of it. kNotFound
/// where there is no guard: most often a mount that is missing.
Result<void> check_remote_identity(Storage& place, const StoreConfig& store,
                                   const RemoteConfig& remote);

/// Who writes to a remote: the store's writer or, where none lives there, the replica; hexadecimal.
Result<std::string> sender_of(Storage& store, const std::string& root, const StoreConfig& config);

/// Compares the remote's last visit of `sender` with the ledger's, and makes a new one. kForeign if
/// the remote does not show what it once acknowledged: it is a copy, or was rolled back. Where the
/// ledger is the older one (local/ was restored), it forgets what it knows of files.
Result<void> visit_remote(Storage& place, const std::string& sender, ReplicationLedger& ledger,
                          Random& random);
/// After the ledger was told to forget its files: whatever the remote shows is taken.
Result<void> visit_remote_anew(Storage& place, const std::string& sender, ReplicationLedger& ledger,
                               Random& random);

}  // namespace varve
