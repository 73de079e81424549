// varve snapshots: lists them, from the store's own files or, on a mount, from the daemon.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "catalog/store_reader.h"
#include "fs/snapshot_fields.h"
#include "tools/commands.h"
#include "tools/daemon_call.h"
#include "tools/exit_codes.h"
#include "tools/passphrase.h"
#include "tools/report.h"

namespace varve {
namespace {

struct SnapshotsOptions {
  std::string path, set;
  SecretSource secret;
  bool json = false;
};

Result<nlohmann::json> snapshots_of_store(const SnapshotsOptions& options) {
  AccessSecret secret = VARVE_TRY(read_access_secret(options.secret, options.path));
  const std::unique_ptr<StoreReader> store =
      VARVE_TRY(StoreReader::open(options.path, secret, 16 << 20));
  return snapshot_list(store->history())["snapshots"];
}

Result<nlohmann::json> snapshots_of_mount(const MountedPath& mounted) {
  nlohmann::json answer = VARVE_TRY(call_daemon(mounted, {{"command", "snapshots"}}));
  if (!answer.contains("snapshots")) return nlohmann::json::array();
  return std::move(answer["snapshots"]);
}

Result<void> list_snapshots(SnapshotsOptions options) {
  nlohmann::json listed;
  if (Result<MountedPath> mounted = find_mounted(options.path); mounted.ok()) {
    if (options.set.empty()) options.set = mounted->set;
    listed = VARVE_TRY(snapshots_of_mount(*mounted));
  } else {
    listed = VARVE_TRY(snapshots_of_store(options));
  }
  if (!options.set.empty()) {
    std::erase_if(listed.get_ref<nlohmann::json::array_t&>(),
                  [&](const nlohmann::json& s) { return s["set"] != options.set; });
  }
  if (options.json) {
    nlohmann::json printed;
    printed["snapshots"] = std::move(listed);
    fmt::print("{}\n", printed.dump());
    return {};
  }
  std::vector<std::vector<std::string>> rows;
  for (const nlohmann::json& s : listed) {
    const auto text = [&](const char* field) { return s[field].get_ref<const std::string&>(); };
    rows.push_back({text("set") + "/" + text("name"), text("time"), text("hash").substr(0, 12),
                    s.value("locked_until", "")});
  }
  fmt::print("{}", rows.empty() ? "no snapshots\n"
                                : table({"SNAPSHOT", "TAKEN (UTC)", "ID", "LOCKED UNTIL"}, rows));
  return {};
}

}  // namespace

void add_snapshots_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<SnapshotsOptions>();
  CLI::App* command = app.add_subcommand("snapshots", "List snapshots, oldest first");
  command->add_option("path", options->path, "STORE (needs the passphrase), or MNT, or MNT/SET")
      ->required();
  command->add_option("--set", options->set, "Only of this backup set");
  add_secret_options(*command, options->secret);
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "Examples: varve snapshots /mnt/b\n          varve snapshots --passphrase-file pw --json "
      "/srv/store");
  command->callback([options, &exit_code] {
    const Result<void> done = list_snapshots(*options);
    exit_code = done.ok() ? kExitOk : report_error(done.error());
  });
}

}  // namespace varve
