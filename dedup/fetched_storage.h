// A Storage of somebody else's files that may take its time: every call is a request to a helper
// process (replicator/fetch_helper.h), which alone meets the disk or mount, and ends in bounded
// time whatever that does.
//
// Files are read, nothing is changed: what would is kReadOnly. A request fails with kIo, saying so,
// once the helper has been silent for `silence`, and in any case after `call`. The request goes on
// all the same: who asks again joins it, and what came meanwhile is there. While the silence lasts,
// further requests fail after `patience_in_silence`. A helper that ends is started anew. Any
// thread; files that were opened must not outlive the Storage.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "dedup/base/storage.h"
#include "dedup/base/unique_fd.h"

namespace varve {

struct FetchLimits {
  std::chrono::milliseconds silence{15'000};
  std::chrono::milliseconds patience_in_silence{1'000};
  std::chrono::milliseconds call{60'000};
};
/// The usual ones; where the kernel gives up mounts whose requests take long
/// (fs.fuse.default_request_timeout), well below that.
FetchLimits fetch_limits();

class FetchedStorage : public Storage {
 public:
  /// From now on every call that waits, and every later one, is kIo at once: for an end that must
  /// not wait for anybody.
  virtual void stop() = 0;
  /// Something is under way, and nothing has come for `patience_in_silence`.
  virtual bool is_silent() = 0;
};

/// Starts a helper; the socket to it. Called when the storage is made, and again when a helper has
/// ended.
using StartHelper = std::function<Result<UniqueFd>()>;

Result<std::unique_ptr<FetchedStorage>> open_fetched_storage(StartHelper start,
                                                             const FetchLimits& limits);

}  // namespace varve
