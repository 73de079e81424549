// varve status: what a store holds and, where it is mounted, what its daemon is doing.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "catalog/local_place.h"
#include "dedup/pack_format.h"
#include "dedup/store_config.h"
#include "replicator/replication.h"
#include "tools/commands.h"
#include "tools/daemon_call.h"
#include "tools/exit_codes.h"
#include "tools/report.h"
#include "tools/succession_line.h"

namespace varve {
namespace {

struct StatusOptions {
  std::string path;
  bool json = false;
};

struct Found {
  uint64_t files = 0, bytes = 0;
};

/// Files in one of the store's folders, by their lengths; hidden and foreign names do not count.
Result<Found> count_files(Storage& storage, const std::string& folder) {
  Found found;
  for (const StorageEntry& entry : VARVE_TRY(storage.list(folder))) {
    const std::string path = folder + "/" + entry.name;
    if (entry.is_directory) {
      const Found below = VARVE_TRY(count_files(storage, path));
      found.files += below.files;
      found.bytes += below.bytes;
    } else if (FileHash::from_hex(entry.name)) {
      found.files++;
      found.bytes += VARVE_TRY(VARVE_TRY(storage.open_read(path))->length());
    }
  }
  return found;
}

/// What can be said without a key, from the files alone.
Result<nlohmann::json> status_of_store(const std::string& path) {
  const std::unique_ptr<Storage> storage = VARVE_TRY(open_store_storage(path));
  const StoreConfig config = VARVE_TRY(in_context(read_store_config(*storage), path));
  nlohmann::json status = {
      {"store", {{"id", config.store_id.hex()}, {"path", path}, {"created", config.created}}},
      {"mounted", false}};
  const std::string succession = VARVE_TRY(succession_line(path, *storage, config));
  if (!succession.empty()) status["succeeded"] = succession;
  uint64_t stored = 0;
  for (const char* folder : {"packs", "catalog", "lists", "snapshots", "records", "keys"}) {
    const Found found = VARVE_TRY(count_files(*storage, folder));
    status["files"][folder] = {{"count", found.files}, {"bytes", found.bytes}};
    stored += found.bytes;
  }
  status["bytes"] = {{"stored", stored}};
  return status;
}

Result<nlohmann::json> status_of(const std::string& path) {
  if (Result<MountedPath> mounted = find_mounted(path); mounted.ok())
    return call_daemon(*mounted, {{"command", "status"}});
  MountedPath store;
  store.control = control_socket(path);
  if (Result<nlohmann::json> answer = call_daemon(store, {{"command", "status"}}); answer.ok())
    return answer;
  return status_of_store(path);
}

/// A remote as its ledger and the process that replicates know it: nothing here asks the remote.
Result<nlohmann::json> status_of_remote(const std::string& root, Storage& storage,
                                        const StoreConfig& config, const RemoteConfig& remote) {
  const ReplicationStanding standing =
      VARVE_TRY(replication_standing(root, storage, config, remote));
  nlohmann::json fields = nlohmann::json::parse(standing.saved_state, nullptr, false);
  if (!fields.is_object()) fields = nlohmann::json::object();
  const uint64_t rate = standing.running ? fields.value("bytes_per_second", uint64_t{0}) : 0;
  fields["bytes_per_second"] = rate;
  fields["running"] = standing.running;
  if (!standing.running) fields.erase("stalled_since");
  fields["name"] = remote.name;
  fields["directory"] = remote.directory;
  fields["catalog"] = name_of(remote.catalog);
  fields["on_link_loss"] = name_of(remote.on_link_loss);
  fields["disaster_copy"] = remote.catalog == CatalogMode::kReplicated;
  fields["files_behind"] = standing.missing.files_left;
  fields["packs_behind"] = standing.missing.packs_left;
  fields["bytes_behind"] = standing.missing.bytes_left;
  if (standing.last_complete != 0)
    fields["last_complete"] = utc_iso(standing.last_complete * 1'000'000'000);
  if (rate > 0) fields["seconds_left"] = standing.missing.bytes_left / rate;
  return fields;
}

Result<nlohmann::json> status_of_remotes(const std::string& root) {
  const auto storage = VARVE_TRY(open_store_storage(root));
  const StoreConfig config = VARVE_TRY(in_context(read_store_config(*storage), root));
  nlohmann::json all = nlohmann::json::array();
  for (const RemoteConfig& remote : VARVE_TRY(list_remotes(*storage))) {
    all.push_back(VARVE_TRY(status_of_remote(root, *storage, config, remote)));
  }
  return all;
}

std::string behind(const nlohmann::json& remote) {
  const std::string last = remote.value("last_complete", "");
  const bool complete = remote.value("disaster_copy", true);
  if (remote.value("files_behind", uint64_t{0}) == 0)
    return complete ? "everything is there"
                    : "everything but catalog packs is there: not a disaster copy";
  std::string text =
      fmt::format("behind by {} packs, {}, {}", remote.value("packs_behind", uint64_t{0}),
                  human_bytes(remote.value("bytes_behind", uint64_t{0})),
                  last.empty() ? "never complete so far" : "since " + last);
  if (remote.contains("seconds_left"))
    text += fmt::format(", {} minutes to go", remote.value("seconds_left", uint64_t{0}) / 60 + 1);
  if (!complete) text += "; not a disaster copy";
  return text;
}

std::string doing(const nlohmann::json& remote) {
  if (const std::string stalled = remote.value("stalled_since", ""); !stalled.empty())
    return "stalled since " + stalled;
  return remote.value("running", false) ? remote.value("phase", "") : "not running";
}

void print_remotes(const nlohmann::json& remotes) {
  if (remotes.empty()) return;
  std::vector<std::vector<std::string>> rows;
  for (const nlohmann::json& remote : remotes)
    rows.push_back({remote.value("name", ""), doing(remote), behind(remote)});
  fmt::print("\n{}", table({"REMOTE", "NOW", ""}, rows));
  for (const nlohmann::json& remote : remotes) {
    if (const std::string error = remote.value("error", ""); !error.empty())
      fmt::print("{}: last error, {}: {}\n", remote.value("name", ""), remote.value("error_at", ""),
                 error);
    for (const nlohmann::json& problem : remote.value("problems", nlohmann::json::array()))
      fmt::print("{}: {}\n", remote.value("name", ""), problem.get<std::string>());
  }
}

std::string ratio(const nlohmann::json& value) {
  return value.is_number() ? fmt::format("{:.2f}", value.get<double>()) : "-";
}

void print_unmounted(const nlohmann::json& status) {
  fmt::print("store      {} ({}), not mounted\n", status["store"].value("path", ""),
             status["store"].value("id", ""));
  fmt::print("created    {}\n", status["store"].value("created", ""));
  std::vector<std::vector<std::string>> rows;
  for (const char* folder : {"packs", "catalog", "lists", "snapshots", "records", "keys"}) {
    const nlohmann::json& found = status["files"][folder];
    rows.push_back({folder, fmt::format("{}", found["count"].get<uint64_t>()),
                    human_bytes(found["bytes"].get<uint64_t>())});
  }
  fmt::print("stored     {}\n\n{}", human_bytes(status["bytes"]["stored"].get<uint64_t>()),
             table({"FOLDER", "FILES", "SIZE"}, rows));
  fmt::print("\nNames and contents need the passphrase: varve snapshots, or mount it.\n");
}

void print_bytes(const nlohmann::json& bytes) {
  const auto size = [&](const char* name) { return human_bytes(bytes.value(name, uint64_t{0})); };
  fmt::print("live files {}\n", size("logical"));
  fmt::print("stored     {} in packs\n", size("stored_in_packs"));
  if (bytes.value("evicted", uint64_t{0}) > 0)
    fmt::print("evicted    {} are at a remote alone, which holds them\n", size("evicted"));
  fmt::print(
      "this mount {} written, {} of it new (deduplication {}), compressed to {} (compression {})\n",
      size("ingested"), size("ingested_new"),
      ratio(bytes.value("deduplication_ratio", nlohmann::json())), size("compressed"),
      ratio(bytes.value("compression_ratio", nlohmann::json())));
  fmt::print("on its way {} in memory\n",
             human_bytes(bytes.value("dirty", uint64_t{0}) + bytes.value("pending", uint64_t{0})));
}

void print_mounted(const nlohmann::json& status) {
  fmt::print("store      {} ({})\n", status["store"].value("path", ""),
             status["store"].value("id", ""));
  fmt::print("mounted    {} since {} by process {}\n", status.value("mountpoint", ""),
             status.value("since", ""), status.value("pid", 0));
  if (status["store"].value("only_read", false))
    fmt::print("only read  working state in {}\n", status["store"].value("local", ""));
  print_bytes(status["bytes"]);
  const nlohmann::json disk = status.value("disk", nlohmann::json::object());
  fmt::print("disk       {} free of {}\n", human_bytes(disk.value("available", uint64_t{0})),
             human_bytes(disk.value("total", uint64_t{0})));
  uint64_t errors = 0;
  for (const auto& [what, count] : status["errors"].items()) {
    errors += count.get<uint64_t>();
    if (count.get<uint64_t>() > 0)
      fmt::print("ERRORS     {} {} (see the log)\n", count.get<uint64_t>(), what);
  }
  if (errors == 0) fmt::print("errors     none\n");
  std::vector<std::vector<std::string>> rows;
  for (const nlohmann::json& set : status["sets"]) {
    rows.push_back({set.value("name", ""), fmt::format("{}", set.value("snapshots", uint64_t{0})),
                    set.value("live", true) ? "live" : "removed"});
  }
  if (!rows.empty()) fmt::print("\n{}", table({"SET", "SNAPSHOTS", ""}, rows));
}

Result<void> status(const StatusOptions& options) {
  nlohmann::json found = VARVE_TRY(status_of(options.path));
  found.erase("ok");
  if (!found.contains("mounted")) found["mounted"] = true;
  // A store that is only read has no remotes, and its place may hang.
  found["remotes"] = nlohmann::json::array();
  if (!found["store"].value("only_read", false))
    found["remotes"] = VARVE_TRY(status_of_remotes(found["store"].value("path", options.path)));
  if (options.json) {
    fmt::print("{}\n", found.dump());
  } else if (found["mounted"].get<bool>()) {
    print_mounted(found);
  } else {
    print_unmounted(found);
  }
  if (!options.json) print_remotes(found["remotes"]);
  if (const std::string succession = found.value("succeeded", "");
      !options.json && !succession.empty())
    fmt::print("\n{}\n", succession);
  return {};
}

}  // namespace

void add_status_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<StatusOptions>();
  CLI::App* command =
      app.add_subcommand("status", "Say what a store holds and what its daemon is doing");
  command->add_option("path", options->path, "STORE or MNT")->required();
  command->add_flag("--json", options->json, "Print JSON");
  command->footer("Examples: varve status /mnt/b\n          varve status --json /srv/store");
  command->callback([options, &exit_code] {
    const Result<void> done = status(*options);
    exit_code = done.ok() ? kExitOk : report_error(done.error());
  });
}

}  // namespace varve
