// The verbs of the varve program: one file each, command_<verb>.cc. Each adds itself to the program
// with its help; chosen, it runs and leaves its exit code.
#pragma once

namespace CLI {
class App;
}

namespace varve {

void add_status_command(CLI::App& app, int& exit_code);
void add_snapshot_command(CLI::App& app, int& exit_code);
void add_snapshots_command(CLI::App& app, int& exit_code);
void add_sync_command(CLI::App& app, int& exit_code);
void add_revert_command(CLI::App& app, int& exit_code);
void add_restore_command(CLI::App& app, int& exit_code);
void add_verify_command(CLI::App& app, int& exit_code);
void add_remote_command(CLI::App& app, int& exit_code);
void add_replicate_command(CLI::App& app, int& exit_code);
void add_inventory_command(CLI::App& app, int& exit_code);
void add_absorb_command(CLI::App& app, int& exit_code);
void add_carry_command(CLI::App& app, int& exit_code);
void add_heal_command(CLI::App& app, int& exit_code);
void add_gc_command(CLI::App& app, int& exit_code);
void add_evict_command(CLI::App& app, int& exit_code);
void add_promote_command(CLI::App& app, int& exit_code);
void add_rejoin_command(CLI::App& app, int& exit_code);
void add_expire_command(CLI::App& app, int& exit_code);
void add_ready_command(CLI::App& app, int& exit_code);
void add_key_command(CLI::App& app, int& exit_code);
void add_set_command(CLI::App& app, int& exit_code);
void add_lock_command(CLI::App& app, int& exit_code);

}  // namespace varve
