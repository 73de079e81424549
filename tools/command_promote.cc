// varve promote: a remote becomes a live store, when the site is gone.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "catalog/local_place.h"
#include "catalog/promotion.h"
#include "dedup/base/posix_storage.h"
#include "replicator/expirer.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/passphrase.h"
#include "tools/real_path.h"
#include "tools/report.h"

namespace varve {
namespace {

constexpr std::chrono::seconds kPlacePatience{15};

struct PromoteOptions {
  std::string directory, local, site;
  SecretSource secret;
  bool json = false;
};

/// Absolute and without links; nothing is made.
Result<std::string> local_path(const std::string& given, const std::string& directory) {
  std::error_code failed;
  std::string path =
      std::filesystem::weakly_canonical(std::filesystem::absolute(given), failed).string();
  if (failed) return error_from_errno(failed.value(), "--local " + given);
  if (path.size() > 1 && path.back() == '/') path.pop_back();
  if (!is_within(path, directory) && !is_within(directory, path)) return path;
  return Error(Errc::kInvalid, "--local " + given +
                                   " must be a directory of its own, on a local disk; without "
                                   "--local the working state lies in " +
                                   directory + "/local");
}

/// The working state lies in the place itself, which is on a local disk, or where it leads to.
Result<void> check_own_local(const std::string& directory) {
  if (VARVE_TRY(linked_local(directory))) return {};
  const Result<void> holds = check_holds_database(directory);
  if (holds.ok()) return {};
  return Error(Errc::kInvalid,
               holds.error().message() + "; name a directory on a local disk with --local");
}

struct Outcome {
  PromotionPlan plan;
  WriterId writer;
  std::string directory;
};

Result<Outcome> promote(const PromoteOptions& options) {
  Outcome outcome;
  outcome.directory = VARVE_TRY(real_path_within(options.directory, kPlacePatience));
  const std::string& directory = outcome.directory;
  const auto storage = VARVE_TRY(open_posix_storage(directory));
  VARVE_TRY(in_context(read_store_config(*storage), directory));
  PromotionPlace place{*storage, directory, [&] { return place_of(directory); }};
  place.unbound = !check_holds_database(directory).ok();
  place.elsewhere = !options.local.empty();
  std::string local;
  if (place.elsewhere) {
    local = VARVE_TRY(local_path(options.local, directory));
  } else {
    VARVE_TRY(check_own_local(directory));
  }
  const AccessSecret secret = VARVE_TRY(read_access_secret(options.secret, directory));
  std::optional<ExpiryLock> no_expiry = VARVE_TRY(ExpiryLock::acquire_if_any(directory));
  outcome.plan = VARVE_TRY(in_context(
      plan_promotion(place, secret, options.site, system_clock(), system_random()), directory));
  if (place.elsewhere) {
    VARVE_TRY(
        link_local(directory, local, outcome.plan.config.store_id, outcome.plan.guard.replica));
  }
  VARVE_TRY(in_context(begin_promotion(place, outcome.plan), directory));
  no_expiry.reset();
  outcome.writer = VARVE_TRY(complete_promotion(VARVE_TRY(open_world(directory)), secret, {}));
  return outcome;
}

void print(const Outcome& outcome, bool json) {
  const PromotionPlan& plan = outcome.plan;
  const std::string left_at = utc_iso(plan.left_at);
  if (json) {
    fmt::print("{}\n", nlohmann::json{{"store", outcome.directory},
                                      {"writer", outcome.writer.hex()},
                                      {"succeeded", plan.guard.writer.hex()},
                                      {"replica", plan.guard.replica.hex()},
                                      {"sets", plan.sets},
                                      {"snapshots", plan.snapshots},
                                      {"left_at", left_at}}
                           .dump());
    return;
  }
  fmt::print(
      "{} is a live store now, of writer {}: {} sets as writer {} left them at {}, {} snapshots.\n"
      "Mount it: mount.varve {} MOUNTPOINT. Replicators of the old site are refused from now on; "
      "when it\nreturns, varve rejoin there says how the two go on.\n",
      outcome.directory, outcome.writer.hex(), plan.sets, plan.guard.writer.hex(), left_at,
      plan.snapshots, outcome.directory);
}

}  // namespace

void add_promote_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<PromoteOptions>();
  CLI::App* command = app.add_subcommand(
      "promote", "Make a remote a live store, when the site that wrote to it is gone");
  command->add_option("directory", options->directory, "DIR: the remote")->required();
  command
      ->add_option("--local", options->local,
                   "Where its working state goes: an empty directory on a disk of this machine, "
                   "made if it is not there (else DIR/local, which must be on one itself)")
      ->type_name("PATH");
  command
      ->add_option("--site", options->site,
                   "Whose live trees go on, where several sites send to this remote: what the id "
                   "of their writer begins with")
      ->type_name("WRITER");
  add_secret_options(*command, options->secret);
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "Examples: varve promote --passphrase-file pw /srv/acme/site1\n"
      "          varve promote /mnt/provider/acme/site1 --local /var/lib/varve\n"
      "          varve promote /srv/acme/both --site 7c01\n"
      "The live trees are those of the newest checkpoint. All that they need must be here.\n"
      "Interrupted, run it again. DIR is mounted afterwards as any store: it says itself where\n"
      "its working state is.");
  command->callback([options, &exit_code] {
    const Result<Outcome> done = promote(*options);
    if (done.ok()) print(*done, options->json);
    exit_code = done.ok() ? kExitOk : report_error(done.error());
  });
}

}  // namespace varve
