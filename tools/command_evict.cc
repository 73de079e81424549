// varve evict: local packs that a remote holds make room.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "catalog/local_place.h"
#include "dedup/base/log.h"
#include "dedup/base/posix_storage.h"
#include "fs/evict.h"
#include "fs/evict_fields.h"
#include "fs/remote_places.h"
#include "replicator/replication.h"
#include "tools/commands.h"
#include "tools/daemon_call.h"
#include "tools/exit_codes.h"
#include "tools/fetch_process.h"
#include "tools/passphrase.h"
#include "tools/progress_line.h"
#include "tools/report.h"
#include "tools/store_call.h"

namespace varve {
namespace {

constexpr std::chrono::seconds kLookEvery{2};

struct EvictCommand {
  std::string path;
  EvictRequest request;
  uint64_t bytes = 0, keep_free = 0;
  SecretSource secret;
  bool release = false;  // holds, in place of evicting
  bool json = false;
};

Result<nlohmann::json> run_unmounted(const EvictCommand& command, WorkingCopy& copy,
                                     const FilesAt& files_at) {
  const EvictRequest& request = command.request;
  if (command.release)
    return release_fields(VARVE_TRY(release_holds(copy, request.remote, request.dry_run)));
  return evict_fields(VARVE_TRY(evict(copy, files_at, request)));
}

Result<nlohmann::json> evict_unmounted(const EvictCommand& command) {
  const AccessSecret secret = VARVE_TRY(read_access_secret(command.secret, command.path));
  RemotePlaces places(VARVE_TRY(open_posix_storage(command.path)), fetch_process_starter,
                      fetch_limits());
  Metrics metrics;
  WorkingCopy::Options how;
  how.elsewhere = &places;
  const auto copy = VARVE_TRY(WorkingCopy::open(command.path, secret, how, metrics));
  const FilesAt files_at = [&](const std::string& name) { return places.files_at(name); };
  Result<nlohmann::json> done = run_unmounted(command, *copy, files_at);
  places.stop();
  VARVE_TRY(copy->finish([](const Snapshotter::Moment& moment) { return moment(); }));
  return done;
}

Result<nlohmann::json> evict_once(const EvictCommand& command, const MountedPath& store) {
  if (store.control.empty()) return evict_unmounted(command);
  nlohmann::json fields = evict_request_fields(command.request);
  if (command.release) fields["command"] = "release";
  return call_daemon(store, fields);
}

/// Whether somebody is about to bring the hold to the remote, and nothing is in the way.
Result<bool> is_replicating(const EvictCommand& command, const MountedPath& store) {
  const auto storage = VARVE_TRY(open_store_storage(store.store));
  const StoreConfig config = VARVE_TRY(read_store_config(*storage));
  const RemoteConfig remote = VARVE_TRY(find_remote(*storage, command.request.remote));
  const ReplicationStanding standing =
      VARVE_TRY(replication_standing(store.store, *storage, config, remote));
  const nlohmann::json state = nlohmann::json::parse(standing.saved_state, nullptr, false);
  return standing.running && state.is_object() && !state.contains("stalled_since") &&
         !state.contains("error") && !state.contains("problems");
}

void add_to(nlohmann::json& sum, const nlohmann::json& figures) {
  for (const char* name : {"packs", "bytes"})
    sum[name] = sum.value(name, uint64_t{0}) + figures.value(name, uint64_t{0});
  for (const auto& [name, value] : figures.items()) {
    if (name != "packs" && name != "bytes") sum[name] = value;
  }
}

/// What waits for its hold is waited for as long as a replicator runs.
Result<nlohmann::json> evict_all(EvictCommand command) {
  const MountedPath store = store_at(command.path);
  nlohmann::json sum = nlohmann::json::object();
  ProgressLine line(!command.json);
  for (;;) {
    const nlohmann::json figures = VARVE_TRY(evict_once(command, store));
    add_to(sum, figures);
    const bool waits = figures.value("waiting_packs", uint64_t{0}) > 0;
    if (!waits || command.request.dry_run || !VARVE_TRY(is_replicating(command, store))) return sum;
    const uint64_t gone = figures.value("bytes", uint64_t{0});
    if (command.request.bytes)
      command.request.bytes = *command.request.bytes - std::min(*command.request.bytes, gone);
    line.show("waiting for varve replicate to bring the hold to " + command.request.remote);
    std::this_thread::sleep_for(kLookEvery);
    line.clear();
  }
}

void print_release(const EvictCommand& command, const nlohmann::json& figures) {
  const auto number = [&](const char* name) { return figures.value(name, uint64_t{0}); };
  fmt::print("{} holds of {} packs ({}) at {} {} released\n", number("holds"), number("packs"),
             human_bytes(number("bytes")), command.request.remote,
             command.request.dry_run ? "can be" : "are");
  if (number("kept_holds") > 0) {
    fmt::print(
        "{} holds stay: {} of their packs are not here, or not whole (varve heal STORE --from {} "
        "--evicted brings them)\n",
        number("kept_holds"), number("away_packs"), command.request.remote);
  }
}

void print(const EvictCommand& command, const nlohmann::json& figures) {
  if (command.release) return print_release(command, figures);
  const auto number = [&](const char* name) { return figures.value(name, uint64_t{0}); };
  fmt::print("{} packs ({}) {} evicted; {} holds them\n", number("packs"),
             human_bytes(number("bytes")), command.request.dry_run ? "can be" : "are",
             command.request.remote);
  if (number("waiting_packs") > 0) {
    fmt::print(
        "{} more packs ({}) wait for a hold at {} that counts: replicate, then run this again\n",
        number("waiting_packs"), human_bytes(number("waiting_bytes")), command.request.remote);
  }
  if (number("kept_packs") > 0) {
    fmt::print(
        "{} packs ({}) stay: {} are not at every remote yet, {} are in no snapshot yet or hold "
        "too many small chunks\n",
        number("kept_packs"), human_bytes(number("kept_bytes")), number("unreplicated_packs"),
        number("unbundled_packs"));
  }
  if (number("lost_packs") > 0) {
    fmt::print("{} packs stay that {} has lost: varve replicate --relist sends them again\n",
               number("lost_packs"), command.request.remote);
  }
}

}  // namespace

void add_evict_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<EvictCommand>();
  CLI::App* command = app.add_subcommand(
      "evict", "Remove local data packs that a remote holds; they are read from there");
  command->add_option("path", options->path, "STORE or MNT")->required();
  command->add_option("--remote", options->request.remote, "The remote that is to hold them")
      ->required();
  auto* bytes = command->add_option("--bytes", options->bytes, "Evict that much, e.g. 100G")
                    ->transform(CLI::AsSizeValue(false));
  auto* keep_free = command
                        ->add_option("--keep-free", options->keep_free,
                                     "Evict until the store's disk has that much free, e.g. 50G")
                        ->transform(CLI::AsSizeValue(false));
  bytes->excludes(keep_free);
  command->add_flag("--dry-run", options->request.dry_run, "Change nothing, say what would go");
  command
      ->add_flag("--release", options->release,
                 "Evict nothing: release the holds there whose packs are all here again")
      ->excludes(bytes)
      ->excludes(keep_free);
  command->add_flag("--json", options->json, "Print JSON");
  add_secret_options(*command, options->secret);
  command->footer(
      "Examples: varve evict /mnt/b --remote offsite --keep-free 50G\n"
      "          varve evict --passphrase-file pw /srv/store --remote offsite --dry-run\n"
      "          varve heal /srv/store --from offsite --evicted && varve evict /mnt/b --remote "
      "offsite --release\n"
      "The oldest go first. A pack goes once a hold for it lies at the remote: the first run "
      "publishes it,\nvarve replicate brings it there, and a second run evicts (or this one, "
      "while varve replicate --watch runs).\nWhat is evicted is at the remote alone: reading it "
      "needs the remote.");
  command->callback([options, bytes, keep_free, &exit_code] {
    if (bytes->count() > 0) options->request.bytes = options->bytes;
    if (keep_free->count() > 0) options->request.keep_free = options->keep_free;
    const Result<nlohmann::json> done = evict_all(*options);
    if (!done.ok()) {
      exit_code = report_error(done.error());
      return;
    }
    if (options->json) {
      fmt::print("{}\n", done->dump());
    } else {
      print(*options, *done);
    }
  });
}

}  // namespace varve
