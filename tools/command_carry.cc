// varve carry: copies what a remote lacks onto a drive.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "catalog/local_place.h"
#include "dedup/base/posix_storage.h"
#include "replicator/remote.h"
#include "replicator/transfer.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/report.h"
#include "tools/supervised.h"
#include "tools/transfer_output.h"

namespace varve {
namespace {

struct CarryOptions {
  std::string store, remote, directory;
  bool json = false;
};

Result<TransferFigures> run_carry(const CarryOptions& options) {
  const auto store = VARVE_TRY(open_store_storage(options.store));
  const StoreConfig config = VARVE_TRY(in_context(read_store_config(*store), options.store));
  const RemoteConfig remote = VARVE_TRY(find_remote(*store, options.remote));
  const auto ledger =
      VARVE_TRY(ReplicationLedger::read(*store, replication_ledger_path(remote.replica)));
  const auto drive = VARVE_TRY(open_posix_storage(options.directory));
  VARVE_TRY(check_place_for_files(*drive, config, options.directory));
  TransferLine line(!options.json);
  return in_context(
      carry(
          *store, *drive, config, sender_of_source(absolute_path(options.store)),
          [&](const StoreFile& file) {
            // What has expired there does not go there again.
            return ledger->is_there(file) ||
                   (file.file_class == FileClass::kSnapshot && ledger->is_condemned(file));
          },
          [&](const TransferFigures& figures) { line.show(figures); }),
      options.directory);
}

}  // namespace

void add_carry_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<CarryOptions>();
  CLI::App* command =
      app.add_subcommand("carry", "Copy what a remote lacks onto a drive, to be absorbed there");
  command->add_option("store", options->store, "STORE")->required();
  command->add_option("--since", options->remote, "The remote, as far as it is known here")
      ->type_name("REMOTE")
      ->required();
  command
      ->add_option("directory", options->directory,
                   "DIR on the drive: empty, or with files of the store")
      ->required();
  command->add_flag("--json", options->json, "Print JSON");
  command->footer("Example: varve carry /srv/store --since offsite /media/usb/seed");
  command->callback([options, &exit_code] {
    exit_code = run_supervised([&] {
      const Result<TransferFigures> done = run_carry(*options);
      return done.ok() ? report_transfer(*done, options->json) : report_error(done.error());
    });
  });
}

}  // namespace varve
