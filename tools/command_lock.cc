// varve lock: a snapshot cannot be removed before a date.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "catalog/set_policy.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/report.h"
#include "tools/store_call.h"

namespace varve {
namespace {

struct LockOptions {
  std::string path, name, until;
  bool json = false;
  SecretSource secret;
};

/// A name with a '/' in it is SET/NAME.
Result<nlohmann::json> lock(const LockOptions& options) {
  const MountedPath store = store_at(options.path);
  std::string set = store.set, name = options.name;
  if (const size_t slash = name.find('/'); store.set.empty() && slash != std::string::npos) {
    set = name.substr(0, slash);
    name = name.substr(slash + 1);
  } else if (store.set.empty()) {
    return Error(Errc::kInvalid, "name the snapshot by SET/NAME, or /NAME for the whole mount's");
  }
  const int64_t until = VARVE_TRY(in_context(parse_utc_seconds(options.until), "--until"));
  return call_store(store, options.secret,
                    {{"command", "lock"}, {"set", set}, {"name", name}, {"until", until}});
}

}  // namespace

void add_lock_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<LockOptions>();
  CLI::App* command = app.add_subcommand(
      "lock", "Keep a snapshot from being removed until a date; longer later, never shorter");
  command->add_option("path", options->path, "MNT/SET, MNT, or STORE (needs the passphrase)")
      ->required();
  command
      ->add_option("name", options->name, "The snapshot; behind MNT or STORE: SET/NAME, or /NAME")
      ->required();
  command
      ->add_option("--until", options->until, "2027-01-31 (its beginning) or 2027-01-31T12:00:00Z")
      ->type_name("DATE")
      ->required();
  add_secret_options(*command, options->secret);
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "Examples: varve lock /mnt/b/web01 monday --until 2027-01-31\n"
      "          varve lock --passphrase-file pw /srv/store web01/monday --until 2027-01-31\n"
      "Neither rmdir nor expiry removes it before, here and where the record is replicated. The\n"
      "time is that of replica/clock, which no wall clock moves forward. root can still unlink\n"
      "the store's files: only a remote that this machine cannot delete at makes a lock real.");
  command->callback([options, &exit_code] {
    Result<nlohmann::json> done = lock(*options);
    if (!done.ok()) {
      exit_code = report_error(done.error());
      return;
    }
    done->erase("ok");
    if (options->json) {
      fmt::print("{}\n", done->dump());
    } else {
      fmt::print("{}/{} is locked until {}\n", done->value("set", ""), done->value("name", ""),
                 done->value("locked_until", ""));
    }
  });
}

}  // namespace varve
