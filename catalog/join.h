// Joining a store: another writer of it, in a directory of its own (docs/replication.md, "Several
// sites, one store").
//
// Opened from any place of the store, of which nothing but store.json, keys/, lists/, snapshots/
// and records/ is read and nothing is written; then made in another. One thread.
#pragma once

#include <memory>
#include <vector>

#include "catalog/history.h"
#include "dedup/access_folder.h"
#include "dedup/base/executor.h"
#include "dedup/guard.h"

namespace varve {

/// A place of a store that is about to be joined. `storage`, `clock` and `random` outlive it, and
/// so do `readers` (nullptr: files are read one after the other).
class StoreToJoin {
 public:
  struct World {
    Storage& storage;
    Clock& clock;
    Random& random;
    Executor* readers = nullptr;
  };
  /// kNotFound if there is no store; kCorrupt if its keys are missing or damaged;
  /// kWrongPassphrase if they do not open.
  static Result<std::unique_ptr<StoreToJoin>> open(const World& world, const AccessSecret& secret);

  struct Joined {
    WriterId writer;
    ReplicaId replica;
    uint64_t sequence = 0;  // of its first record
  };
  /// Makes a store in `storage`, an empty directory, of which `place` tells what the guard is bound
  /// to: store.json as it is there, the generations of access in force, a base record by the new
  /// writer of all that is in force there, and who lives here. All is synced; store.json is the
  /// last file, so that a crash leaves no half store. kExists if anything is in the way.
  Result<Joined> join(Storage& storage, const AskPlace& place) const;

  const StoreConfig& config() const { return config_; }
  const History& history() const { return *history_; }

 private:
  StoreToJoin(const World& world, Keyring keyring) : world_(world), keyring_(std::move(keyring)) {}

  const World world_;
  const Keyring keyring_;
  StoreConfig config_;
  Bytes config_file_;
  std::vector<std::pair<FileHash, Bytes>> generations_;
  std::unique_ptr<History> history_;
};

}  // namespace varve
