// Puts packs that are missing or damaged here back in their place, from elsewhere, one after the
// other and in the background.
//
// A pack counts once its bytes came whole and hash to its name: temporary name, sync, the damaged
// file to quarantine, rename, directory sync. Where the disk has no room for it beside what is kept
// free, it waits. What no place has whole is said once. Any thread.
#pragma once

#include <deque>
#include <mutex>
#include <set>

#include "dedup/base/executor.h"
#include "dedup/base/metrics.h"
#include "dedup/elsewhere.h"

namespace varve {

class PackMender {
 public:
  /// Told of each pack that is in its place again.
  using Mended = std::function<void(const PackInfo&)>;
  /// `executor` runs one task of it at a time, and comes to its end before this does.
  PackMender(Storage& storage, Elsewhere& elsewhere, Executor& executor, Metrics& metrics,
             Mended mended);

  /// Never waits, never fails.
  void want(const PackInfo& pack);
  /// What found no place that answers, or no room, is tried again.
  void try_again();
  /// Nothing more is begun; what is under way ends as soon as it sees that.
  void stop();

 private:
  void work();
  Result<void> mend(const PackInfo& pack);
  Result<void> copy(const PackInfo& pack, const Elsewhere::Place& from,
                    const std::string& temporary);
  Result<void> put(const PackInfo& pack, const std::string& temporary);
  void settle(const PackInfo& pack, const Result<void>& done);
  bool stopped();

  Storage& storage_;
  Elsewhere& elsewhere_;
  Executor& executor_;
  const Mended mended_;
  Metric& mended_packs_;
  Metric& mended_bytes_;

  std::mutex mutex_;              // a leaf: guards what follows
  std::deque<PackInfo> wanted_;   // to be mended
  std::deque<PackInfo> waiting_;  // tried, and to be tried again
  std::set<FileHash> known_;      // those two, the one under way, and what is nowhere whole
  std::set<FileHash> told_;       // whose trouble is in the log
  bool working_ = false, stopped_ = false;
};

}  // namespace varve
