// varve revert: a snapshot becomes the live tree.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tools/commands.h"
#include "tools/daemon_call.h"
#include "tools/exit_codes.h"
#include "tools/report.h"

namespace varve {
namespace {

struct RevertOptions {
  std::string path, name;
  bool json = false;
};

Result<void> revert(const RevertOptions& options) {
  const MountedPath mounted = VARVE_TRY(find_mounted(options.path));
  if (mounted.set.empty()) return Error(Errc::kInvalid, "name the backup set to revert: MNT/SET");
  const nlohmann::json answer = VARVE_TRY(
      call_daemon(mounted, {{"command", "revert"}, {"set", mounted.set}, {"name", options.name}}));
  const std::string saved = answer.value("saved", "");
  if (options.json) {
    fmt::print(
        "{}\n",
        nlohmann::json{{"set", mounted.set}, {"name", options.name}, {"saved", saved}}.dump());
  } else {
    fmt::print("{} is now as in {}; as it was before is in the snapshot {}\n", mounted.set,
               options.name, saved);
  }
  return {};
}

}  // namespace

void add_revert_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<RevertOptions>();
  CLI::App* command = app.add_subcommand(
      "revert", "Make a snapshot the live tree, at once; the state before is snapshotted first");
  command->add_option("set", options->path, "MNT/SET")->required();
  command->add_option("name", options->name, "The snapshot to go back to")->required();
  command->add_flag("--json", options->json, "Print JSON");
  command->footer("Example: varve revert /mnt/b/web01 monday");
  command->callback([options, &exit_code] {
    const Result<void> done = revert(*options);
    exit_code = done.ok() ? kExitOk : report_error(done.error());
  });
}

}  // namespace varve
