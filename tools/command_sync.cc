// varve sync: everything written so far becomes durable.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tools/commands.h"
#include "tools/daemon_call.h"
#include "tools/exit_codes.h"
#include "tools/report.h"

namespace varve {
namespace {

Result<void> sync(const std::string& path) {
  const MountedPath mounted = VARVE_TRY(find_mounted(path));
  VARVE_TRY(call_daemon(mounted, {{"command", "sync"}}));
  return {};
}

}  // namespace

void add_sync_command(CLI::App& app, int& exit_code) {
  auto path = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(
      "sync",
      "Make everything that was written so far durable (sync(1) does not reach a FUSE filesystem)");
  command->add_option("mountpoint", *path, "MNT")->required();
  command->footer("Example: varve sync /mnt/b");
  command->callback([path, &exit_code] {
    const Result<void> done = sync(*path);
    exit_code = done.ok() ? kExitOk : report_error(done.error());
  });
}

}  // namespace varve
