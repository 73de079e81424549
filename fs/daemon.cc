#include "fs/daemon.h"

#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>

#include "catalog/working_copy.h"
#include "dedup/base/log.h"
#include "dedup/base/posix_storage.h"
#include "fs/check_fields.h"
#include "fs/collect_fields.h"
#include "fs/control.h"
#include "fs/evict_fields.h"
#include "fs/fuse_session.h"
#include "fs/history_handlers.h"
#include "fs/snapshot_fields.h"
#include "fs/status.h"
#include "fs/upkeep.h"
#include "fs/volume.h"
#include "replicator/holding_remotes.h"

namespace varve {
namespace {

constexpr const char* kControlSocket = "/control";

/// A field of a request: a string, or nothing.
Result<std::string> text_of(const nlohmann::json& request, const char* field) {
  auto at = request.find(field);
  if (at == request.end() || at->is_null()) return std::string();
  if (!at->is_string()) return Error(Errc::kInvalid, fmt::format("'{}' must be a string", field));
  return at->get<std::string>();
}

std::map<std::string, ControlHandler> control_handlers(Volume& volume, Status& status,
                                                       WorkingCopy& working_copy,
                                                       RemotePlaces* remotes,
                                                       const std::atomic<bool>& ending) {
  using nlohmann::json;
  const History& history = working_copy.history();
  HistoryDoor door;
  door.may_publish = [&volume] { return volume.check_history_writable(); };
  door.may_remove = [&volume] { return volume.check_snapshots_removable(); };
  door.removed = [&volume](const SnapshotInfo& snapshot) { volume.snapshot_removed(snapshot); };
  std::map<std::string, ControlHandler> handlers = history_handlers(working_copy, std::move(door));
  handlers["check"] = [&working_copy, &ending](const json& request) -> Result<json> {
    CheckOptions options;
    options.read_data = request.value("read_data", false);
    auto holding = holding_remotes(working_copy.storage());
    if (holding.ok()) options.remotes = std::move(*holding);
    options.stopped = [&ending] { return ending.load(); };  // an umount does not wait for it
    return check_fields(VARVE_TRY(working_copy.check(options)));
  };
  handlers["snapshots"] = [&history](const json&) -> Result<json> {
    return snapshot_list(history);
  };
  handlers["status"] = [&](const json&) -> Result<json> { return status.fields(); };
  handlers["sync"] = [&](const json&) -> Result<json> {
    VARVE_TRY(volume.sync_all());
    return json();
  };
  handlers["snapshot"] = [&](const json& request) -> Result<json> {
    std::string set = VARVE_TRY(text_of(request, "set")),
                name = VARVE_TRY(text_of(request, "name"));
    SnapshotInfo taken = VARVE_TRY(volume.take_snapshot(set, name));
    return json{{"name", taken.name}, {"hash", taken.hash.hex()}};
  };
  handlers["revert"] = [&](const json& request) -> Result<json> {
    std::string set = VARVE_TRY(text_of(request, "set")),
                name = VARVE_TRY(text_of(request, "name"));
    std::string saved = VARVE_TRY(volume.revert(set, name));
    return json{{"saved", saved}};
  };
  handlers["drop"] = [&](const json& request) -> Result<json> {
    std::string set = VARVE_TRY(text_of(request, "set")),
                name = VARVE_TRY(text_of(request, "name"));
    VARVE_TRY(volume.drop_snapshot(set, name));
    return json();
  };
  handlers["gc"] = [&](const json& request) -> Result<json> {
    return collect_fields(VARVE_TRY(volume.collect(request.value("dry_run", false))));
  };
  const auto one = std::make_shared<std::mutex>();  // eviction or release at a time
  handlers["evict"] = [&, remotes, one](const json& fields) -> Result<json> {
    const EvictRequest request = VARVE_TRY(evict_request_of(fields));
    VARVE_TRY(volume.check_history_writable());
    if (remotes == nullptr) return Error(Errc::kUnsupported, "this mount reads no remotes");
    std::lock_guard lock(*one);
    const FilesAt files_at = [remotes](const std::string& name) { return remotes->files_at(name); };
    return evict_fields(VARVE_TRY(evict(working_copy, files_at, request)));
  };
  handlers["release"] = [&, one](const json& fields) -> Result<json> {
    const EvictRequest request = VARVE_TRY(evict_request_of(fields));
    VARVE_TRY(volume.check_history_writable());
    std::lock_guard lock(*one);
    return release_fields(VARVE_TRY(release_holds(working_copy, request.remote, request.dry_run)));
  };
  return handlers;
}

SessionOptions session_options(const DaemonOptions& options) {
  SessionOptions result;
  result.source = options.source;
  result.mountpoint = options.mountpoint;
  result.read_only = options.mount.read_only;
  result.allow_other = options.mount.allow_other;
  result.kernel_flags = options.mount.kernel_flags;
  result.io_uring = options.mount.io_uring;
  result.watch_signals = true;
  return result;
}

/// What may hang, as far as there is any.
struct FarEnds {
  FetchedStorage* place = nullptr;  // what the store is read through; the working copy's
  RemotePlaces* remotes = nullptr;

  void stop() const {
    if (place != nullptr) place->stop();
    if (remotes != nullptr) remotes->stop();
  }
};

/// Everything of one mount, in the order in which it is made; it goes the other way round.
class Mount {
 public:
  Mount(std::unique_ptr<WorkingCopy> working_copy, Metrics& metrics, const DaemonOptions& options,
        const FarEnds& far)
      : working_copy_(std::move(working_copy)),
        far_(far),
        metrics_(metrics),
        options_(options),
        status_(*working_copy_, metrics, options.mountpoint, system_clock().now()),
        volume_(*working_copy_, system_clock(), metrics, volume_options()),
        session_(volume_, session_options(options)) {
    volume_.set_kernel_cache(&session_);
    status_.show(&volume_);
  }

  Result<void> begin() {
    VARVE_TRY(session_.mount());
    status_.transport(session_.uses_io_uring() ? "io_uring" : "device");
    working_copy_->enter(StoreLock::Stage::kMounted);
    VARVE_TRY(open_control());
    int64_t checkpoint_seconds = options_.mount.read_only ? 0 : options_.mount.checkpoint_seconds;
    Upkeep::Parts parts{*working_copy_, volume_, status_, session_, system_clock(), metrics_};
    upkeep_ = std::make_unique<Upkeep>(parts, checkpoint_seconds, options_.mount.dirty_bytes / 4);
    return {};
  }

  /// On a full disk the mount goes without: what can be removed there makes room for the next one.
  Result<void> open_control() {
    auto opened = ControlServer::start(
        working_copy_->local_directory() + kControlSocket,
        control_handlers(volume_, status_, *working_copy_, far_.remotes, ending_));
    if (opened.ok()) {
      control_ = std::move(opened).value();
      return {};
    }
    if (opened.error().code() != Errc::kNoSpace) return std::move(opened).error();
    log_warning(opened.error().message() + ": varve's commands do not reach this mount");
    return {};
  }

  Result<void> serve() {
    Result<void> served = session_.run();
    working_copy_->enter(StoreLock::Stage::kEnding);
    ending_ = true;
    far_.stop();
    control_.reset();
    upkeep_.reset();
    volume_.end_imports();
    Result<void> closed = working_copy_->finish(
        [this](const Snapshotter::Moment& moment) { return volume_.quiesce(moment); });
    if (!closed.ok()) working_copy_->enter(StoreLock::Stage::kEnding, closed.error().message());
    VARVE_TRY(std::move(closed));
    return served;
  }

 private:
  Volume::Options volume_options() {
    Volume::Options result;
    result.dirty_bytes_max = options_.mount.dirty_bytes;
    result.append_only_snapshots = options_.mount.append_only_snapshots;
    result.read_only = options_.mount.read_only;
    result.texts = {[this] { return status_.json(); }, [this] { return status_.prometheus(); }};
    return result;
  }

  std::unique_ptr<WorkingCopy> working_copy_;
  const FarEnds far_;
  Metrics& metrics_;
  const DaemonOptions& options_;
  Status status_;
  Volume volume_;
  FuseSession session_;
  std::atomic<bool> ending_{false};
  std::unique_ptr<ControlServer> control_;
  std::unique_ptr<Upkeep> upkeep_;
};

/// `place` is set where the store is read through a helper, whose starter goes there.
Result<std::unique_ptr<WorkingCopy>> open_store(DaemonOptions& options, Metrics& metrics,
                                                FarEnds& far) {
  WorkingCopy::Options how;
  how.cache_bytes = options.mount.cache_bytes;
  how.pending_bytes_max = options.mount.dirty_bytes / 2;
  how.staged_bytes_max = options.mount.dirty_bytes / 2;
  how.compression_level = options.mount.compression_level;
  how.mountpoint = options.mountpoint;
  how.read_only = options.mount.read_only;
  how.elsewhere = far.remotes;
  if (options.mount.local.empty())
    return WorkingCopy::open(options.store, options.secret, how, metrics);
  auto fetched = VARVE_TRY(open_fetched_storage(std::move(options.start_helper), fetch_limits()));
  far.place = fetched.get();
  auto world =
      VARVE_TRY(open_reading_world(options.store, std::move(fetched), options.mount.local));
  return WorkingCopy::open(std::move(world), options.secret, how, metrics);
}

Result<std::unique_ptr<RemotePlaces>> open_remotes(const DaemonOptions& options) {
  if (!options.mount.local.empty() || !options.start_remote_helper)
    return std::unique_ptr<RemotePlaces>();
  return std::make_unique<RemotePlaces>(VARVE_TRY(open_posix_storage(options.store)),
                                        options.start_remote_helper, fetch_limits());
}

}  // namespace

Result<int> run_daemon(DaemonOptions options,
                       const std::function<void(const Result<void>&)>& on_ready) {
  Metrics metrics;
  FarEnds far;
  const Result<std::unique_ptr<RemotePlaces>> remotes = open_remotes(options);
  if (remotes.ok()) far.remotes = remotes->get();
  Result<std::unique_ptr<WorkingCopy>> working_copy =
      remotes.ok() ? open_store(options, metrics, far) : remotes.error();
  if (!working_copy.ok()) {
    on_ready(working_copy.error());
    return std::move(working_copy).error();
  }
  Mount mount(std::move(*working_copy), metrics, options, far);
  Result<void> begun = mount.begin();
  on_ready(begun);
  if (!begun.ok()) return std::move(begun).error();
  log_info(fmt::format("{} is mounted at {}", options.store, options.mountpoint));
  VARVE_TRY(mount.serve());
  log_info(fmt::format("{} is unmounted", options.mountpoint));
  return 0;
}

}  // namespace varve
