// The daemon of one mount: opens the store, shows it at the mountpoint until it is unmounted,
// closes the store.
//
// The composition root: every part of a mounted varve is made here and handed to the others. To be
// called in a process that has no other threads, after every fork, with SIGTERM, SIGINT and SIGHUP
// blocked (block_termination_signals).
#pragma once

#include <functional>
#include <string>

#include "dedup/base/result.h"
#include "dedup/fetched_storage.h"
#include "dedup/keyring.h"
#include "fs/mount_options.h"
#include "fs/remote_places.h"

namespace varve {

struct DaemonOptions {
  std::string store;       // absolute: the daemon's working directory is /
  std::string mountpoint;  // absolute
  std::string source;      // the store as the user named it: what mount(8) shows
  MountOptions mount;
  AccessSecret secret;
  /// Starts the process that reads the store, where its place may hang; with mount.local.
  StartHelper start_helper;
  /// Gives what starts the process that reads a remote, for packs that are missing here.
  RemotePlaces::StartAt start_remote_helper;
  bool foreground = false;
};

/// Calls `on_ready` exactly once: with success as soon as the mount answers, or with what went
/// wrong before that (which is then also the result). The value is the exit code of a mount that
/// came to its end.
Result<int> run_daemon(DaemonOptions options,
                       const std::function<void(const Result<void>&)>& on_ready);

}  // namespace varve
