// Going into the background, once, before there are threads or open databases.
//
// The process that was started waits until its child says how the mount went, and ends with the
// exit code that tells it; only the child comes back from daemonize().
#pragma once

#include "dedup/base/result.h"
#include "dedup/base/unique_fd.h"

namespace varve {

/// The exit codes of mount(8).
inline constexpr int kExitMounted = 0;
inline constexpr int kExitBadUsage = 1;
inline constexpr int kExitMountFailed = 32;

/// What the started process waits for. Says it once; further words are ignored.
class Readiness {
 public:
  explicit Readiness(UniqueFd pipe, const char* program)
      : pipe_(std::move(pipe)), program_(program) {}

  /// In the background: the started process ends with success, and standard output and error go to
  /// the journal or, without one, nowhere. In the foreground nothing happens.
  void mounted();
  /// The started process prints the message and ends with kExitMountFailed. In the foreground it is
  /// printed here.
  void failed(const Error& error);

 private:
  UniqueFd pipe_;  // none: in the foreground
  const char* program_;
  bool said_ = false;
};

/// In the foreground no fork takes place. `program` is for messages and must live as long as the
/// process.
Result<Readiness> daemonize(const char* program, bool foreground);

}  // namespace varve
