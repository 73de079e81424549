// varve heal: mends a store from another replica of it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "catalog/local_place.h"
#include "dedup/base/posix_storage.h"
#include "replicator/heal.h"
#include "replicator/remote.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/named_place.h"
#include "tools/progress_line.h"
#include "tools/report.h"
#include "tools/supervised.h"
#include "tools/transfer_output.h"

namespace varve {
namespace {

struct HealCommand {
  std::string store, from;
  bool lengths = false, evicted = false, json = false;
};

/// A remote that is named as one must be that one.
Result<std::string> directory_of(Storage& store, const std::string& from) {
  NamedPlace place = VARVE_TRY(find_place(store, from));
  if (!place.remote) return std::move(place.directory);
  const StoreConfig config = VARVE_TRY(read_store_config(store));
  const auto storage = VARVE_TRY(open_posix_storage(place.directory));
  VARVE_TRY(check_remote_identity(*storage, config, *place.remote));
  return std::move(place.directory);
}

Result<HealFigures> run_heal(const HealCommand& command) {
  const auto store = VARVE_TRY(open_store_storage(command.store));
  const std::string directory = VARVE_TRY(directory_of(*store, command.from));
  const auto from = VARVE_TRY(open_posix_storage(directory));
  ProgressLine line(!command.json);
  const auto show = [&](const HealFigures& figures) {
    line.show(fmt::format("{} files looked at ({}), {} healed", figures.files_looked_at,
                          human_bytes(figures.bytes_read), figures.brought.files_copied));
  };
  const HealLook look = command.lengths ? HealLook::kLengths : HealLook::kBytes;
  Result<HealFigures> done =
      heal(*store, *from, sender_of_source(absolute_path(directory)), look, show,
           command.evicted ? HealEvicted::kBring : HealEvicted::kLeave);
  line.clear();
  return in_context(std::move(done), command.store);
}

int report_heal(const HealFigures& figures, bool json) {
  if (json) {
    const nlohmann::json fields = {{"files_looked_at", figures.files_looked_at},
                                   {"bytes_read", figures.bytes_read},
                                   {"damaged", figures.damaged},
                                   {"missing", figures.missing},
                                   {"healed", figures.brought.files_copied},
                                   {"bytes_copied", figures.brought.bytes_copied},
                                   {"unhealed", figures.unhealed},
                                   {"problems", figures.brought.problems}};
    fmt::print("{}\n", fields.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    for (const std::string& problem : figures.brought.problems)
      fmt::print(stderr, "varve: there: {}\n", problem);
    for (const std::string& line : figures.unhealed) fmt::print(stderr, "varve: {}\n", line);
    fmt::print("{} files looked at ({}): {} damaged, {} missing, {} healed ({})\n",
               figures.files_looked_at, human_bytes(figures.bytes_read), figures.damaged,
               figures.missing, figures.brought.files_copied,
               human_bytes(figures.brought.bytes_copied));
  }
  return figures.unhealed.empty() ? kExitOk : kExitCorrupt;
}

}  // namespace

void add_heal_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<HealCommand>();
  CLI::App* command = app.add_subcommand(
      "heal", "Replace what is damaged or missing in a store by copies from another place; no key");
  command->add_option("store", options->store, "STORE, or a remote of it; mounted or not")
      ->required();
  command
      ->add_option("--from", options->from,
                   "A remote's name, or a directory (with a '/'): the store of a remote, too")
      ->type_name("REMOTE|DIR")
      ->required();
  command->add_flag("--lengths", options->lengths,
                    "Do not read every file: damaged is what has another length there");
  command->add_flag("--evicted", options->evicted, "Bring evicted packs back, too");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "Examples: varve heal /srv/store --from offsite\n"
      "          varve heal /mnt/provider/acme --from /srv/store\n"
      "Missing is what the snapshots that are here need. Nothing else is brought: varve absorb "
      "does "
      "that.");
  command->callback([options, &exit_code] {
    exit_code = run_supervised([&] {
      const Result<HealFigures> done = run_heal(*options);
      return done.ok() ? report_heal(*done, options->json) : report_error(done.error());
    });
  });
}

}  // namespace varve
