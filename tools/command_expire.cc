// varve expire: at the site by policies, or, keyless, at a remote by whoever holds it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "dedup/base/posix_storage.h"
#include "replicator/expirer.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/report.h"
#include "tools/site_expiry.h"
#include "tools/supervised.h"

namespace varve {
namespace {

constexpr uint32_t kWaitDefault = 60;  // seconds; sshfs shows what it knew for 20

struct ExpireOptions {
  std::string remote, keep;  // of the keyless form
  SiteExpiryOptions site;
  bool no_key = false, dry_run = false, json = false;
  uint32_t wait = kWaitDefault;
};

const char* name_of(SnapshotClass snapshot_class) {
  switch (snapshot_class) {
    case SnapshotClass::kSet:
      return "set";
    case SnapshotClass::kMount:
      return "mount";
    case SnapshotClass::kCheckpoint:
      return "checkpoint";
  }
  return "";
}

Result<ExpiryReport> run_expire(const ExpireOptions& options) {
  ExpiryOptions wanted;
  wanted.rule = VARVE_TRY(in_context(parse_retention(options.keep), "--keep"));
  wanted.dry_run = options.dry_run;
  wanted.wait = [&]() -> Result<void> {
    std::this_thread::sleep_for(std::chrono::seconds(options.wait));
    return {};
  };
  const auto remote = VARVE_TRY(open_posix_storage(options.remote));
  const StoreConfig config = VARVE_TRY(in_context(read_store_config(*remote), options.remote));
  VARVE_TRY(in_context(check_place_to_expire(*remote, config), options.remote));
  const MachineTime machine = VARVE_TRY(machine_time());
  std::optional<ExpiryLock> lock;
  if (!options.dry_run) lock = VARVE_TRY(ExpiryLock::acquire(options.remote));
  return in_context(expire(*remote, wanted, machine), options.remote);
}

nlohmann::json fields_of(const ExpiryReport& report) {
  nlohmann::json snapshots = nlohmann::json::array();
  for (const JudgedSnapshot& snapshot : report.snapshots) {
    snapshots.push_back({{"snapshot", snapshot.hash.hex()},
                         {"set", snapshot.set.hex()},
                         {"class", name_of(snapshot.snapshot_class)},
                         {"time", utc_iso(snapshot.time)},
                         {"kept", snapshot.kept},
                         {"whole", snapshot.whole},
                         {"why", snapshot.why}});
  }
  return {{"clock", utc_iso(report.now)},
          {"snapshots", snapshots},
          {"snapshots_kept", report.snapshots_kept},
          {"snapshots_expired", report.snapshots_expired},
          {"files_condemned", report.files_condemned},
          {"bytes_condemned", report.bytes_condemned},
          {"files_deleted", report.files_deleted},
          {"bytes_deleted", report.bytes_deleted},
          {"files_returned", report.files_returned},
          {"strangers", report.strangers},
          {"unknown", report.unknown}};
}

void print_snapshots(const ExpiryReport& report) {
  std::vector<std::vector<std::string>> rows;
  for (const JudgedSnapshot& snapshot : report.snapshots) {
    rows.push_back({utc_iso(snapshot.time), name_of(snapshot.snapshot_class),
                    snapshot.set.hex().substr(0, 8), snapshot.hash.hex().substr(0, 12),
                    snapshot.kept ? "kept" : "expires", snapshot.why});
  }
  if (!rows.empty()) fmt::print("{}", table({"TIME", "OF", "SET", "SNAPSHOT", "", "WHY"}, rows));
}

int report_expiry(const ExpiryReport& report, const ExpireOptions& options) {
  if (options.json) {
    fmt::print("{}\n",
               fields_of(report).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    if (options.dry_run) print_snapshots(report);
    for (const std::string& line : report.unknown) fmt::print(stderr, "varve: {}\n", line);
    if (!report.unknown.empty()) {
      fmt::print(stderr,
                 "varve: what is needed is not known, so nothing was removed: varve heal or varve "
                 "replicate brings what is damaged or missing\n");
    }
    fmt::print(
        "{}{} snapshots kept, {} expired; {} files ({}) condemned, {} ({}) deleted, {} "
        "brought back\n",
        options.dry_run ? "would be: " : "", report.snapshots_kept, report.snapshots_expired,
        report.files_condemned, human_bytes(report.bytes_condemned), report.files_deleted,
        human_bytes(report.bytes_deleted), report.files_returned);
    if (report.strangers > 0) {
      fmt::print("{} packs are named by no list and stay: they may be on their way in\n",
                 report.strangers);
    }
  }
  return report.unknown.empty() ? kExitOk : kExitCorrupt;
}

/// What makes sense in one form only.
Result<int> run_form(ExpireOptions& options) {
  if (options.no_key) {
    if (options.keep.empty()) return Error(Errc::kInvalid, "--no-key needs --keep RULE");
    if (options.site.set) return Error(Errc::kInvalid, "without a key no set has a name");
    return report_expiry(VARVE_TRY(run_expire(options)), options);
  }
  if (!options.keep.empty()) {
    return Error(Errc::kInvalid,
                 "the rule of a set is its policy: varve set MNT/SET keep=RULE; --keep is for a "
                 "remote, with --no-key");
  }
  options.site.path = options.remote;
  options.site.dry_run = options.dry_run;
  options.site.json = options.json;
  return expire_site(options.site);
}

void add_keyless_options(CLI::App& command, ExpireOptions& options) {
  command.add_flag("--no-key", options.no_key,
                   "At a remote, without the store's key; its directory, best where its disk is");
  command
      .add_option(
          "--keep", options.keep,
          "With --no-key, what stays of each set's snapshots: last, daily, weekly, monthly, "
          "yearly and a number, within and a time (h, d, w)")
      ->type_name("RULE");
  command
      .add_option("--wait", options.wait,
                  "With --no-key, before anything leaves its place: longer than mounts of the "
                  "remote elsewhere may show what was, for replicators at work there")
      ->type_name("SECONDS")
      ->capture_default_str();
}

constexpr const char* kFooter =
    "Examples: varve expire /mnt/b --dry-run\n"
    "          varve expire /mnt/b/web01\n"
    "          varve expire --passphrase-file pw /srv/store --set web01\n"
    "          varve expire --no-key /srv/remotes/acme --keep 'last 7, daily 14, monthly 12'\n"
    "At the site the rule is each set's policy (varve set MNT/SET keep=...); a set without one "
    "keeps all.\n"
    "What expires here stays at remotes; its space comes back by collection.\n"
    "At a remote (--no-key) it takes two runs: one moves to replica/condemned/ what no kept "
    "snapshot,\n"
    "lock or hold needs, the next one looks again and deletes it. Replicators and readers may be "
    "at work.\n"
    "Days and weeks are UTC; within counts from the set's newest snapshot. Locked snapshots and "
    "each\n"
    "set's newest whole one stay. Exit code 5: something is damaged or missing, and nothing was "
    "removed.";

}  // namespace

void add_expire_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<ExpireOptions>();
  CLI::App* command = app.add_subcommand(
      "expire", "Remove snapshots by rule: at the site by policies, at a remote without a key");
  command->add_option("path", options->remote, "MNT/SET, MNT or STORE; with --no-key a remote")
      ->required();
  command->add_option("--set", options->site.set,
                      "Of this backup set alone; '': of the whole mount's snapshots");
  add_keyless_options(*command, *options);
  add_secret_options(*command, options->site.secret);
  command->add_flag("--dry-run", options->dry_run, "Say what would go, and change nothing");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(kFooter);
  command->callback([options, &exit_code] {
    const auto run = [&] {
      const Result<int> done = run_form(*options);
      return done.ok() ? *done : report_error(done.error());
    };
    exit_code = options->no_key ? run_supervised(run) : run();
  });
}

}  // namespace varve
