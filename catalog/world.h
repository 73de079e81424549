// What a working copy meets of the world: its disk and database, time, chance and threads, and what
// only the place itself can say. It comes in from outside, so that a simulation can stand in for
// it.
#pragma once

#include <memory>
#include <string>

#include "catalog/store_lock.h"
#include "dedup/base/clock.h"
#include "dedup/base/executor.h"
#include "dedup/base/kv.h"
#include "dedup/base/random.h"
#include "dedup/base/storage.h"
#include "dedup/guard.h"
#include "dedup/replica_clock.h"

namespace varve {

/// Outlives what was made from it. Used from any thread once the working copy is open; opened by
/// one.
class World {
 public:
  virtual ~World() = default;

  /// The store's directory, for people.
  virtual const std::string& root() const = 0;
  virtual Storage& storage() = 0;
  virtual Clock& clock() = 0;
  virtual Random& random() = 0;
  /// What the machine's clocks say; of one that is never booted anew, unless it is a real one.
  virtual Result<MachineTime> machine_time() {
    return MachineTime{clock().now(), "one", clock().monotonic()};
  }
  /// The database in that directory of the storage, which is there. kCorrupt if it is none.
  virtual Result<std::unique_ptr<Kv>> open_database(const std::string& directory) = 0;
  /// Removes what is in that directory; nobody has the database open.
  virtual Result<void> erase_database(const std::string& directory);
  /// As make_thread_pool.
  virtual std::unique_ptr<Executor> make_executor(const char* name, size_t threads,
                                                  size_t queue_limit) = 0;
  /// The lock that keeps other processes out; local/ is there. kBusy if somebody holds it.
  virtual Result<std::unique_ptr<StoreLock>> lock(const std::string& mountpoint) = 0;
  /// Where replica/ lies, which is there.
  virtual Result<Place> place() = 0;
  /// Whether a database may lie where local/ is, or is to be made: else an error that says what to
  /// do.
  virtual Result<void> check_local() { return {}; }
  /// Whether the store is only read here, and nothing but local/ is written.
  virtual bool only_reads() const { return false; }
  /// The directory that local/ is.
  virtual std::string local_directory() const { return root() + "/local"; }
};

/// The machine that this runs on, and the store at `root`; its local/ may lie elsewhere
/// (catalog/local_place.h).
Result<std::unique_ptr<World>> open_world(const std::string& root);
/// The same of a store that is only read, with local/ in the directory `local`: nothing is written
/// under `root`. `place` is how the store's files are reached.
Result<std::unique_ptr<World>> open_reading_world(const std::string& root,
                                                  std::unique_ptr<Storage> place,
                                                  const std::string& local);

}  // namespace varve
