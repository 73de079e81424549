// Replication of one store to one remote, for real: threads, time and a directory that may hang.
//
// Only run_once() and the threads that it starts touch the remote; everything else answers at once,
// whatever the remote does, so that a program can say how it stands, and end.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <optional>
#include <string>

#include "dedup/base/unique_fd.h"
#include "replicator/limit.h"
#include "replicator/pass.h"
#include "replicator/remote.h"

namespace varve {

struct ReplicationOptions {
  bool relist = false;               // forget what is known of the remote, and look
  std::optional<std::string> limit;  // in place of the configured one
  size_t streams_max = 32;
  bool leave_alone = false;  // the remote, where nothing is missing as far as the ledger knows
};

/// How a replication stands, for people and for `varve status`.
struct ReplicationState {
  enum class Phase { kIdle, kConnecting, kSending, kFailed };
  Phase phase = Phase::kIdle;
  PassFigures figures;            // of the present pass, or the last one
  uint64_t bytes_per_second = 0;  // lately
  size_t streams = 0;
  int64_t last_progress = 0;  // seconds since 1970: when the remote last answered
  bool stalled = false;       // it has not answered for kStalledSeconds
  std::string error;          // of the last run, if it failed
  int64_t error_at = 0;
};

inline constexpr int64_t kStalledSeconds = 30;
const char* name_of(ReplicationState::Phase phase);

class Replication {
 public:
  /// The store is at `root` with Storage `store`; both outlive it. kBusy if another process
  /// replicates to this remote.
  static Result<std::unique_ptr<Replication>> open(const std::string& root, Storage& store,
                                                   const StoreConfig& config,
                                                   const RemoteConfig& remote,
                                                   const ReplicationOptions& options);
  ~Replication();

  /// One contact and one pass. What is damaged here is no error (problems()). One at a time.
  Result<void> run_once();
  /// All that was here is there, as far as the last pass knows.
  bool complete() const;

  ReplicationState state() const;
  std::vector<std::string> problems() const;
  const RemoteConfig& remote() const { return remote_; }
  /// run_once() ends as soon as the remote lets go of its threads.
  void stop();
  bool stopped() const { return stopped_; }
  /// Waits that long, or until stop().
  void sleep_for(Nanoseconds duration);
  /// Writes state() to the place where `varve status` looks.
  Result<void> save_state();

 private:
  struct Work;

  Replication(std::string root, Storage& store, StoreConfig config, RemoteConfig remote,
              ReplicationOptions options);
  Result<void> run();
  Result<bool> nothing_is_missing(CatalogMode catalog);
  CatalogMode catalog_mode() const;
  Result<void> send(const std::shared_ptr<Pass>& pass);
  void run_stream(Work& work, size_t number);
  Result<bool> ship_one(Work& work, Pass& pass);
  Result<void> ship(Pass& pass, Shipment& shipment);
  bool wait_for_turn(uint64_t bytes);
  void tune(Work& work);
  void reread_limit();
  void apply_limit();
  void note_progress();
  void set_phase(ReplicationState::Phase phase);

  const std::string root_;
  Storage& store_;
  const StoreConfig config_;
  const RemoteConfig remote_;
  const ReplicationOptions options_;
  UniqueFd lock_;
  bool relist_;
  std::unique_ptr<ReplicationLedger> ledger_;
  CarriedHistory history_;
  BandwidthLimit limit_;  // of the thread that runs
  Throttle throttle_;

  std::string saved_;  // the last state, as it was written

  mutable std::mutex mutex_;  // what follows; held for moments
  std::condition_variable wake_;
  std::shared_ptr<Pass> pass_;
  ReplicationState state_;
  bool complete_ = false;
  std::atomic<bool> stopped_{false};
  std::atomic<uint64_t> bytes_sent_{0};
  std::atomic<int64_t> last_answer_{0};  // monotonic
};

/// What the process that replicates has written down last (as JSON), and what is missing at the
/// remote as far as the ledger knows; asks nobody.
struct ReplicationStanding {
  std::string saved_state;  // JSON; empty if there is none
  bool running = false;
  PassFigures missing;
  int64_t last_complete = 0;  // seconds since 1970; 0: never
};
Result<ReplicationStanding> replication_standing(const std::string& root, Storage& store,
                                                 const StoreConfig& config,
                                                 const RemoteConfig& remote);

}  // namespace varve
