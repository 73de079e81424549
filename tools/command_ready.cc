// varve ready: may a scheduled backup begin, for those who want it to wait while the line is down.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "catalog/local_place.h"
#include "dedup/store_config.h"
#include "replicator/link.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/report.h"

namespace varve {
namespace {

/// Who replicates writes its state down every two seconds.
constexpr std::chrono::seconds kLookEvery{2};

struct ReadyOptions {
  std::string store;
  uint32_t wait = 0;  // seconds
  bool json = false;
};

/// Why it may not begin; empty if it may.
Result<std::vector<std::string>> wait_until_ready(const ReadyOptions& options) {
  const auto storage = VARVE_TRY(open_store_storage(options.store));
  VARVE_TRY(in_context(read_store_config(*storage), options.store));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(options.wait);
  for (;;) {
    std::vector<std::string> lost = VARVE_TRY(lost_links(*storage));
    if (lost.empty() || std::chrono::steady_clock::now() >= end) return lost;
    std::this_thread::sleep_for(kLookEvery);
  }
}

int report_ready(const std::vector<std::string>& lost, bool json) {
  if (json) {
    fmt::print("{}\n", nlohmann::json{{"ready", lost.empty()}, {"lost", lost}}.dump(
                           -1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    for (const std::string& line : lost) fmt::print(stderr, "varve: {}\n", line);
  }
  return lost.empty() ? kExitOk : kExitFailure;
}

}  // namespace

void add_ready_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<ReadyOptions>();
  CLI::App* command = app.add_subcommand(
      "ready", "Say whether a backup may begin: no remote is lost that jobs are to wait for");
  command->add_option("store", options->store, "STORE")->required();
  command
      ->add_option("--wait", options->wait, "Until it is so, but no longer than that (default: 0)")
      ->type_name("SECONDS");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "Examples: varve ready /srv/store && rsync -a /home/ /mnt/b/home/\n"
      "          ExecCondition=varve ready --wait 3600 /srv/store    (in a systemd service)\n"
      "Remotes count that were set so: varve remote set STORE NAME --on-link-loss stop. What "
      "varve\n"
      "replicate wrote down last is read, never the remote. The mount itself waits for no remote.\n"
      "Exit code 2: not ready.");
  command->callback([options, &exit_code] {
    const auto lost = wait_until_ready(*options);
    exit_code = lost.ok() ? report_ready(*lost, options->json) : report_error(lost.error());
  });
}

}  // namespace varve
