// varve inventory: what a drive or any other copy of a store holds, without a key.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "dedup/base/posix_storage.h"
#include "dedup/catalog_mode.h"
#include "replicator/carried_history.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/report.h"
#include "tools/supervised.h"

namespace varve {
namespace {

struct InventoryOptions {
  std::string directory;
  bool json = false;
};

const char* word_of(SnapshotClass snapshot_class) {
  switch (snapshot_class) {
    case SnapshotClass::kSet:
      return "snapshot";
    case SnapshotClass::kMount:
      return "whole mount";
    case SnapshotClass::kCheckpoint:
      return "checkpoint";
  }
  return "";
}

nlohmann::json fields_of(const CarriedSnapshot& snapshot, const Lacking& lacking) {
  uint64_t bytes = 0, catalog_packs = 0;
  for (const PackInfo& pack : lacking.packs) {
    bytes += pack.length;
    if (pack.pack_class == PackClass::kCatalog) catalog_packs++;
  }
  nlohmann::json fields = {{"hash", snapshot.hash.hex()},
                           {"time", utc_iso(snapshot.time)},
                           {"class", word_of(snapshot.header.snapshot_class)},
                           {"writer", snapshot.writer.hex()},
                           {"whole", lacking.nothing()},
                           {"packs_missing", lacking.packs.size()},
                           {"bytes_missing", bytes},
                           {"catalog_packs_missing", catalog_packs},
                           {"lists_missing", lacking.lists.size()}};
  if (!snapshot.header.set.is_zero()) fields["set"] = snapshot.header.set.hex();
  return fields;
}

/// Without keys/ no signature can be checked: then the snapshots are not told, only the files.
Result<nlohmann::json> take_inventory(const std::string& directory) {
  const auto storage = VARVE_TRY(open_posix_storage(directory));
  const StoreConfig config = VARVE_TRY(in_context(read_store_config(*storage), directory));
  const StoreFiles files = VARVE_TRY(list_store_files(*storage));
  const std::set<StoreFile> here(files.files.begin(), files.files.end());
  nlohmann::json counts = nlohmann::json::object(), snapshots = nlohmann::json::array(),
                 problems = nlohmann::json::array();
  for (const StoreFile& file : files.files) {
    const std::string path = path_of(file), folder = path.substr(0, path.find('/'));
    counts[folder] = counts.value(folder, uint64_t{0}) + 1;
  }
  CarriedHistory history;
  if (const Result<void> read = history.refresh(*storage, config, files); !read.ok())
    problems.push_back(read.error().message() + ": which snapshots are here cannot be told");
  for (const CarriedSnapshot& snapshot : history.snapshots()) {
    const auto is_here = [&](const StoreFile& file) { return here.contains(file); };
    snapshots.push_back(fields_of(snapshot, history.lacking(snapshot, is_here)));
  }
  for (const auto& [file, problem] : history.problems()) problems.push_back(problem);
  const std::vector<std::string> senders = VARVE_TRY(senders_without_catalog(*storage));
  return nlohmann::json{{"store", config.store_id.hex()},
                        {"files", counts},
                        {"unfinished", files.temporaries.size()},
                        {"snapshots", snapshots},
                        {"no_disaster_copy", senders.empty() ? "" : no_disaster_copy(senders)},
                        {"problems", problems}};
}

std::string lacks(const nlohmann::json& snapshot) {
  if (snapshot["whole"].get<bool>()) return "whole";
  const auto lists = snapshot["lists_missing"].get<uint64_t>();
  const auto catalog_packs = snapshot["catalog_packs_missing"].get<uint64_t>();
  if (lists == 0 && catalog_packs == snapshot["packs_missing"].get<uint64_t>())
    return fmt::format("whole but for {} catalog packs", catalog_packs);
  std::string text = fmt::format("lacks {} packs, {}", snapshot["packs_missing"].get<uint64_t>(),
                                 human_bytes(snapshot["bytes_missing"].get<uint64_t>()));
  if (lists > 0) text += fmt::format(", and {} lists (of which packs is not known)", lists);
  return text;
}

void print_inventory(const nlohmann::json& found) {
  fmt::print("store {}\n", found["store"].get<std::string>());
  std::vector<std::vector<std::string>> rows;
  for (const auto& [folder, count] : found["files"].items())
    rows.push_back({folder, fmt::format("{}", count.get<uint64_t>())});
  fmt::print("\n{}", table({"FOLDER", "FILES"}, rows));
  rows.clear();
  for (const nlohmann::json& snapshot : found["snapshots"]) {
    rows.push_back({snapshot["time"].get<std::string>(), snapshot["class"].get<std::string>(),
                    snapshot.value("set", "-").substr(0, 8),
                    snapshot["hash"].get<std::string>().substr(0, 12), lacks(snapshot)});
  }
  if (!rows.empty()) fmt::print("\n{}", table({"TIME", "KIND", "SET", "FILE", ""}, rows));
  if (const std::string kept = found["no_disaster_copy"].get<std::string>(); !kept.empty())
    fmt::print("\n{}\n", kept);
  for (const nlohmann::json& problem : found["problems"])
    fmt::print("{}\n", problem.get<std::string>());
  fmt::print(
      "\nBy names alone: varve verify --no-key reads the bytes. Names of sets need the "
      "passphrase.\n");
}

Result<void> inventory(const InventoryOptions& options) {
  const nlohmann::json found = VARVE_TRY(take_inventory(options.directory));
  if (options.json) {
    fmt::print("{}\n", found.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    print_inventory(found);
  }
  return {};
}

}  // namespace

void add_inventory_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<InventoryOptions>();
  CLI::App* command = app.add_subcommand(
      "inventory", "Say what a drive or remote holds: snapshots, whole or what they lack; no key");
  command->add_option("directory", options->directory, "DIR with files of a store")->required();
  command->add_flag("--json", options->json, "Print JSON");
  command->footer("Example: varve inventory /media/usb/seed");
  command->callback([options, &exit_code] {
    exit_code = run_supervised([&] {
      const Result<void> done = inventory(*options);
      return done.ok() ? kExitOk : report_error(done.error());
    });
  });
}

}  // namespace varve
