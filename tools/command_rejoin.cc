// varve rejoin: a site that was succeeded by a promoted remote becomes an ordinary writer again.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "catalog/local_place.h"
#include "catalog/rejoin.h"
#include "catalog/store_lock.h"
#include "dedup/base/posix_storage.h"
#include "replicator/remote.h"
#include "replicator/transfer.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/named_place.h"
#include "tools/passphrase.h"
#include "tools/real_path.h"
#include "tools/report.h"
#include "tools/transfer_output.h"

namespace varve {
namespace {

constexpr std::chrono::seconds kStorePatience{15};

struct RejoinOptions {
  std::string store, from;
  SecretSource secret;
  bool keep_mine = false, json = false;
};

Result<void> bring(const RejoinOptions& options, Storage& store) {
  const std::string directory = VARVE_TRY(find_place(store, options.from)).directory;
  const auto from = VARVE_TRY(open_posix_storage(directory));
  TransferLine line(!options.json);
  const TransferFigures brought =
      VARVE_TRY(in_context(absorb(*from, store, sender_of_source(absolute_path(directory)),
                                  [&](const TransferFigures& figures) { line.show(figures); }),
                           directory));
  for (const std::string& problem : brought.problems)
    fmt::print(stderr, "varve: {}: {}\n", directory, problem);
  return {};
}

Result<void> check_unmounted(const std::string& store) {
  if (!read_store_lock(store).ok()) return {};
  return Error(Errc::kBusy, store + " is mounted or in use: unmount it first");
}

Result<Rejoined> run(const RejoinOptions& options) {
  const std::string root = VARVE_TRY(real_path_within(options.store, kStorePatience));
  const auto store = VARVE_TRY(open_store_storage(root));
  const StoreConfig config = VARVE_TRY(in_context(read_store_config(*store), root));
  VARVE_TRY(check_unmounted(root));
  const AccessSecret secret = VARVE_TRY(read_access_secret(options.secret, root));
  VARVE_TRY(open_keyring(*store, config, secret));
  if (!options.from.empty()) VARVE_TRY(bring(options, *store));
  return rejoin([&] { return open_world(root); }, secret, options.keep_mine, {}, system_clock());
}

void print(const Rejoined& done, const RejoinOptions& options) {
  if (options.json) {
    nlohmann::json fields = {{"writer", done.mine.hex()},
                             {"succeeded_by", done.promotion.to.hex()},
                             {"replica", done.promotion.replica.hex()}};
    if (!done.saved.empty()) fields["saved"] = done.saved;
    fmt::print("{}\n", fields.dump());
  } else if (done.saved.empty()) {
    fmt::print("{} goes on with its own live trees, as writer {}\n", options.store,
               done.mine.hex());
  } else {
    fmt::print(
        "{} has the live trees of writer {} now, and goes on as writer {}.\nAs it was before is in "
        "the snapshot /{} of the whole mount: MNT/.varve/snapshots/{}\n",
        options.store, done.theirs.hex(), done.mine.hex(), done.saved, done.saved);
  }
}

}  // namespace

void add_rejoin_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<RejoinOptions>();
  CLI::App* command = app.add_subcommand(
      "rejoin", "Go on with a store whose remote was promoted to a live store meanwhile");
  command->add_option("store", options->store, "STORE, not mounted")->required();
  command
      ->add_option("--from", options->from,
                   "Bring the files of the promoted place first, as varve absorb does: a remote's "
                   "name, or a directory (with a '/' in it)")
      ->type_name("NAME|DIR");
  command->add_flag("--keep-mine", options->keep_mine,
                    "Go on with the live trees of here (else those of the promoted place become "
                    "the live ones, and what is here is kept as a snapshot first)");
  add_secret_options(*command, options->secret);
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "Examples: varve rejoin --passphrase-file pw /srv/store --from offsite\n"
      "          varve rejoin /srv/store --from /mnt/provider/acme/site1 --keep-mine\n"
      "Both stores go on, each under a writer id of its own; varve absorb brings the files of one\n"
      "to the other. Nothing is lost; interrupted, run it again.");
  command->callback([options, &exit_code] {
    const Result<Rejoined> done = run(*options);
    if (done.ok()) print(*done, *options);
    exit_code = done.ok() ? kExitOk : report_error(done.error());
  });
}

}  // namespace varve
