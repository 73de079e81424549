// The store's remotes, as places that its packs are read from when they are missing or damaged
// here.
//
// Each is read by a helper process (dedup/fetched_storage.h), which is started when it is first
// asked and let go when nobody has asked for a while, so that a remote can be unmounted. The daemon
// itself opens nothing there. Those that answer are asked before those that are silent; a place
// that shows nothing of the store (a mountpoint without its mount) counts as one that does not
// answer. Of threads that wait at once there are kRemoteWaitsMax at most. Any thread.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "dedup/elsewhere.h"
#include "dedup/fetched_storage.h"
#include "replicator/remote.h"

namespace varve {

class RemotePlaces final : public Elsewhere {
 public:
  /// Gives what starts a helper for a directory.
  using StartAt = std::function<StartHelper(const std::string& directory)>;
  /// `store` is the store's own files, where its remotes are configured.
  RemotePlaces(std::unique_ptr<Storage> store, StartAt start, const FetchLimits& limits);

  Result<void> ask(const PackInfo& pack, const Read& read) override;
  bool has_places() override;
  /// The files of that remote, read through its helper. kIo if it cannot be had.
  Result<std::shared_ptr<Storage>> files_at(const std::string& name);
  void stop() override;
  void rest() override;

 private:
  using SteadyClock = std::chrono::steady_clock;
  using Files = std::shared_ptr<FetchedStorage>;
  struct Remote {
    std::string directory;
    Files files;
    SteadyClock::time_point started_at = {}, used_at = {};
    bool is_silent = false;
  };
  enum class Said { kGiven, kReaderFailed, kNotThere, kDamaged, kNothing };

  Result<void> ask_all(const Read& read);
  Said ask_one(const std::string& name, const Read& read, Error& error);
  Result<Files> files_of(const std::string& name);
  /// Those that answer first.
  std::vector<std::string> in_order();
  void note(const std::string& name, const Files& files, bool answered);
  /// Under mutex_: the next to ask gets a new helper.
  void retire(Remote& remote);
  void read_configuration();

  const std::unique_ptr<Storage> store_;
  const StartAt start_;
  const FetchLimits limits_;

  std::mutex mutex_;  // guards what follows; not held over a request
  std::map<std::string, Remote> remotes_;
  std::vector<Files> retired_;  // until nobody has a file of theirs any more
  size_t waiting_ = 0;
  bool stopped_ = false;
  bool configuration_failed_ = false;
};

}  // namespace varve
