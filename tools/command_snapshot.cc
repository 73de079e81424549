// varve snapshot: takes a snapshot of a backup set or of the whole mount.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tools/commands.h"
#include "tools/daemon_call.h"
#include "tools/exit_codes.h"
#include "tools/report.h"

namespace varve {
namespace {

struct SnapshotOptions {
  std::string path, name;
  bool json = false;
};

Result<void> snapshot(const SnapshotOptions& options) {
  const MountedPath mounted = VARVE_TRY(find_mounted(options.path));
  const nlohmann::json answer = VARVE_TRY(call_daemon(
      mounted, {{"command", "snapshot"}, {"set", mounted.set}, {"name", options.name}}));
  if (options.json) {
    fmt::print("{}\n", nlohmann::json{{"set", mounted.set},
                                      {"name", answer.value("name", "")},
                                      {"hash", answer.value("hash", "")}}
                           .dump());
  } else {
    fmt::print("{}/{}\n", mounted.set, answer.value("name", ""));
  }
  return {};
}

}  // namespace

void add_snapshot_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<SnapshotOptions>();
  CLI::App* command =
      app.add_subcommand("snapshot", "Take a snapshot; it is durable when the command returns");
  command
      ->add_option("path", options->path,
                   "MNT/SET: of that backup set. MNT: of all sets at one moment")
      ->required();
  command->add_option("name", options->name,
                      "Its name; without one the time, e.g. 2026-11-22T053000Z");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "Example: varve snapshot /mnt/b/web01 before-upgrade\nThe same as mkdir "
      "/mnt/b/web01/.varve/snapshots/before-upgrade");
  command->callback([options, &exit_code] {
    const Result<void> done = snapshot(*options);
    exit_code = done.ok() ? kExitOk : report_error(done.error());
  });
}

}  // namespace varve
