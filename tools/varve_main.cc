// varve: the commands. Each is in a file of its own, command_<verb>.cc.
#include <CLI/CLI.hpp>

#include "dedup/base/secret.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/fetch_process.h"

int main(int argc, char** argv) {
  varve::become_fetch_process(argc, argv);
  varve::forbid_dumps();
  CLI::App app("varve: look after stores of backups, mounted or not.\n");
  app.require_subcommand(1);
  app.set_version_flag("--version", "varve 0.1.0, store format 1");
  app.footer(
      std::string(
          "Each command has --help. To make a store: mkfs.varve; to mount one: mount.varve.\n") +
      varve::kExitCodesHelp);
  int exit_code = varve::kExitOk;
  varve::add_status_command(app, exit_code);
  varve::add_snapshot_command(app, exit_code);
  varve::add_snapshots_command(app, exit_code);
  varve::add_sync_command(app, exit_code);
  varve::add_revert_command(app, exit_code);
  varve::add_restore_command(app, exit_code);
  varve::add_verify_command(app, exit_code);
  varve::add_remote_command(app, exit_code);
  varve::add_replicate_command(app, exit_code);
  varve::add_inventory_command(app, exit_code);
  varve::add_absorb_command(app, exit_code);
  varve::add_carry_command(app, exit_code);
  varve::add_heal_command(app, exit_code);
  varve::add_gc_command(app, exit_code);
  varve::add_evict_command(app, exit_code);
  varve::add_promote_command(app, exit_code);
  varve::add_rejoin_command(app, exit_code);
  varve::add_expire_command(app, exit_code);
  varve::add_ready_command(app, exit_code);
  varve::add_key_command(app, exit_code);
  varve::add_set_command(app, exit_code);
  varve::add_lock_command(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? varve::kExitOk : varve::kExitUsage;
  }
  return exit_code;
}
