// varve absorb: brings what a drive holds into a store, verified.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>

#include "dedup/base/posix_storage.h"
#include "replicator/transfer.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/report.h"
#include "tools/supervised.h"
#include "tools/transfer_output.h"

namespace varve {
namespace {

struct AbsorbOptions {
  std::string directory, store;
  bool json = false;
};

Result<TransferFigures> run_absorb(const AbsorbOptions& options) {
  const auto from = VARVE_TRY(open_posix_storage(options.directory));
  const auto to = VARVE_TRY(open_posix_storage(options.store));
  TransferLine line(!options.json);
  return in_context(absorb(*from, *to, sender_of_source(absolute_path(options.directory)),
                           [&](const TransferFigures& figures) { line.show(figures); }),
                    options.directory);
}

}  // namespace

void add_absorb_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<AbsorbOptions>();
  CLI::App* command = app.add_subcommand(
      "absorb",
      "Bring what a drive holds into a store or remote, verified; mounted or not, no key");
  command
      ->add_option("directory", options->directory, "DIR with files of the store, any part of them")
      ->required();
  command->add_option("store", options->store, "STORE, or a remote of it")->required();
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "Example: varve absorb /media/usb/seed /mnt/provider/acme\nDrives may come in any order and "
      "again. A snapshot comes in when it is whole there: then\nabsorb the drive that has it once "
      "more, or let varve replicate send it.");
  command->callback([options, &exit_code] {
    exit_code = run_supervised([&] {
      const Result<TransferFigures> done = run_absorb(*options);
      return done.ok() ? report_transfer(*done, options->json) : report_error(done.error());
    });
  });
}

}  // namespace varve
