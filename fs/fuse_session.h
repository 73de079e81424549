// One mount of a Filesystem: the kernel's requests in, answers out.
//
// mount() gives when the kernel and the session have agreed; from then on threads of the session's
// own call the filesystem. run() waits for the end: an unmount, request_stop(), or SIGTERM, SIGINT
// or SIGHUP where the session was told to watch them. After it no call of the filesystem is running
// and none will come; programs that still have files open get ENOTCONN.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dedup/base/result.h"
#include "fs/filesystem.h"
#include "fs/waiting_elsewhere.h"

namespace varve {

struct SessionOptions {
  std::string source;      // shown as the mount's device
  std::string mountpoint;  // absolute
  bool read_only = false;
  bool allow_other = false;
  /// nosuid, noexec and the like; the names of mount(8). nosuid and nodev hold unless suid and dev
  /// are given.
  std::vector<std::string> kernel_flags;
  size_t threads = 8;  // requests handled at once; rarely more than one thread is busy
  /// Further ones, started when the first thread waits for a remote: each serves in place of one
  /// that waits.
  size_t substitutes = kRemoteWaitsMax;
  /// Whether requests come over io_uring where the kernel offers it.
  bool io_uring = true;
  /// Whether SIGTERM, SIGINT and SIGHUP end run(); they must have been blocked before the first
  /// thread was started.
  bool watch_signals = false;
};

/// To be called before the first thread is started, by a program whose session watches signals.
void block_termination_signals();

class FuseSession final : public KernelCache {
 public:
  /// `filesystem` must outlive the session.
  FuseSession(Filesystem& filesystem, SessionOptions options);
  /// Unmounts what is still mounted, as request_stop() and run() would.
  ~FuseSession() override;
  FuseSession(const FuseSession&) = delete;
  FuseSession& operator=(const FuseSession&) = delete;

  /// kNotFound, kNotDirectory, kPermission and the like if the kernel refuses. Once.
  Result<void> mount();
  /// Returns when the mount has ended. Once, after mount() succeeded.
  Result<void> run();
  /// Ends run(): open files are synced, the mount goes away, requests in flight are answered. Any
  /// thread; async-signal-safe.
  void request_stop();

  /// Whether requests come over io_uring; known once mount() has given.
  bool uses_io_uring() const;

  /// Before mount() and after run() these do nothing. Any thread.
  void invalidate_entry(Ino parent, std::string_view name) override;
  void invalidate_node(Ino node) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace varve
