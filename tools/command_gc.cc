// varve gc: the space of what nothing needs any more is given back.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "catalog/store_lock.h"
#include "catalog/working_copy.h"
#include "dedup/base/log.h"
#include "dedup/base/posix_storage.h"
#include "fs/collect_fields.h"
#include "fs/remote_places.h"
#include "tools/commands.h"
#include "tools/daemon_call.h"
#include "tools/exit_codes.h"
#include "tools/fetch_process.h"
#include "tools/passphrase.h"
#include "tools/progress_line.h"
#include "tools/report.h"

namespace varve {
namespace {

struct GcCommand {
  std::string path;
  bool dry_run = false, json = false;
  SecretSource secret;
};

Result<nlohmann::json> collect_unmounted(const GcCommand& command) {
  const AccessSecret secret = VARVE_TRY(read_access_secret(command.secret, command.path));
  RemotePlaces places(VARVE_TRY(open_posix_storage(command.path)), fetch_process_starter,
                      fetch_limits());
  Metrics metrics;
  WorkingCopy::Options how;
  how.elsewhere = &places;
  const auto copy = VARVE_TRY(WorkingCopy::open(command.path, secret, how, metrics));
  ProgressLine line(!command.json);
  CollectRequest request;
  request.dry_run = command.dry_run;
  request.progress = [&](const std::string& what, uint64_t done) {
    line.show(fmt::format("{}: {}", what, done));
  };
  const Result<CollectFigures> done = copy->collect(request);
  line.clear();
  places.stop();
  VARVE_TRY(copy->finish([](const Snapshotter::Moment& moment) { return moment(); }));
  return collect_fields(VARVE_TRY(Result<CollectFigures>(done)));
}

Result<nlohmann::json> collect(const GcCommand& command) {
  const nlohmann::json request = {{"command", "gc"}, {"dry_run", command.dry_run}};
  if (Result<MountedPath> mounted = find_mounted(command.path); mounted.ok())
    return call_daemon(*mounted, request);
  if (!read_store_lock(command.path).ok()) return collect_unmounted(command);
  MountedPath store;
  store.store = command.path;
  store.control = control_socket(command.path);
  return call_daemon(store, request);
}

void print(const GcCommand& command, const nlohmann::json& figures) {
  const auto number = [&](const char* name) { return figures.value(name, uint64_t{0}); };
  fmt::print("{} packs ({}) {} removed; {} packs ({}) are kept\n", number("packs"),
             human_bytes(number("bytes")), command.dry_run ? "can be" : "are", number("kept_packs"),
             human_bytes(number("kept_bytes")));
  if (number("spared_packs") > 0) {
    fmt::print("{} packs ({}) of these are in use by what is being written, or cannot be judged\n",
               number("spared_packs"), human_bytes(number("spared_bytes")));
  }
  if (number("unknown_snapshots") > 0) {
    fmt::print(
        "{} snapshots are other writers' or cannot be followed: all packs that they list stay\n",
        number("unknown_snapshots"));
  }
  if (number("strange_packs") > 0) {
    fmt::print("{} packs ({}) are not this store's working copy's and are left alone\n",
               number("strange_packs"), human_bytes(number("strange_bytes")));
  }
}

}  // namespace

void add_gc_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<GcCommand>();
  CLI::App* command = app.add_subcommand(
      "gc", "Give back the space of what no snapshot and no file needs any more");
  command->add_option("path", options->path, "STORE or MNT")->required();
  command->add_flag("--dry-run", options->dry_run, "Change nothing, say what would go");
  command->add_flag("--json", options->json, "Print JSON");
  add_secret_options(*command, options->secret);
  command->footer(
      "Examples: varve gc /mnt/b\n"
      "          varve gc --passphrase-file pw /srv/store --dry-run\n"
      "Packs go as a whole, once nothing in them is needed; remotes keep theirs. The mount is used "
      "meanwhile as ever.");
  command->callback([options, &exit_code] {
    const Result<nlohmann::json> done = collect(*options);
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
