// varve remote: the places that a store is replicated to.
#include <fmt/format.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "catalog/local_place.h"
#include "dedup/base/posix_storage.h"
#include "replicator/limit.h"
#include "replicator/remote.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/real_path.h"
#include "tools/report.h"

namespace varve {
namespace {

struct RemoteOptions {
  std::string store, name, directory, limit, catalog, on_link_loss;
  bool limit_given = false, same_disk = false, json = false, yes = false;
};

/// A store, opened to be looked after without a key.
struct OpenedStore {
  std::unique_ptr<Storage> storage;
  StoreConfig config;
};

Result<OpenedStore> open_store(const std::string& root) {
  OpenedStore store;
  store.storage = VARVE_TRY(open_store_storage(root));
  store.config = VARVE_TRY(in_context(read_store_config(*store.storage), root));
  return store;
}

Result<std::string> absolute(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                         &std::free);
  if (!real) return error_from_errno(errno, path);
  return std::string(real.get());
}

/// A directory that cannot be what was meant: the store itself, or one that goes with its disk.
Result<void> check_apart(const std::string& store, const std::string& directory, bool same_disk) {
  if (is_within(directory, store) || is_within(store, directory))
    return Error(Errc::kInvalid, directory + " and the store lie in one another");
  struct stat here, there;
  if (::stat(store.c_str(), &here) != 0) return error_from_errno(errno, store);
  if (::stat(directory.c_str(), &there) != 0) return error_from_errno(errno, directory);
  if (here.st_dev != there.st_dev || same_disk) return {};
  return Error(Errc::kInvalid, directory +
                                   " is on the disk that the store is on: is something not mounted "
                                   "there? --same-disk if it is meant");
}

Result<void> check_limit(const std::string& limit) {
  VARVE_TRY(BandwidthLimit::parse(limit));
  return {};
}

void add_link_loss_option(CLI::App* command, RemoteOptions& options) {
  command
      ->add_option("--on-link-loss", options.on_link_loss,
                   "stop: jobs that ask (varve ready) wait while the remote is not reached. go-on: "
                   "they do not")
      ->type_name("WHAT");
}

/// What was asked for; `present` if nothing was.
Result<OnLinkLoss> chosen_on_link_loss(const RemoteOptions& options, OnLinkLoss present) {
  return options.on_link_loss.empty() ? present : parse_on_link_loss(options.on_link_loss);
}

void add_catalog_options(CLI::App* command, RemoteOptions& options) {
  command
      ->add_option("--catalog", options.catalog,
                   "replicated: catalog packs go there too. distributed: they stay here, and the "
                   "remote is\nno disaster copy, for nothing can be restored from it alone")
      ->type_name("MODE");
  command->add_flag("--yes", options.yes, "It is meant that the remote is no disaster copy");
}

/// What was asked for; `present` if nothing was. A place that is to lose its worth is not made so
/// by a slip.
Result<CatalogMode> chosen_mode(const RemoteOptions& options, CatalogMode present) {
  if (options.catalog.empty()) return present;
  const CatalogMode mode = VARVE_TRY(parse_catalog_mode(options.catalog));
  const bool leaves = mode == CatalogMode::kDistributed && present == CatalogMode::kReplicated;
  if (!leaves || options.yes) return mode;
  return Error(
      Errc::kInvalid,
      "'" + options.name +
          "' would be no disaster copy: nothing can be restored from it without the catalog "
          "packs that stay here. --yes if that is meant");
}

Result<void> add_remote(const RemoteOptions& options) {
  VARVE_TRY(check_remote_name(options.name));
  const CatalogMode mode = VARVE_TRY(chosen_mode(options, CatalogMode::kReplicated));
  const OnLinkLoss on_link_loss = VARVE_TRY(chosen_on_link_loss(options, OnLinkLoss::kGoOn));
  VARVE_TRY(check_limit(options.limit));
  const OpenedStore store = VARVE_TRY(open_store(options.store));
  const std::vector<RemoteConfig> remotes = VARVE_TRY(list_remotes(*store.storage));
  for (const RemoteConfig& remote : remotes) {
    if (remote.name == options.name)
      return Error(Errc::kExists, "there is a remote '" + options.name + "' already");
  }
  const std::string directory = VARVE_TRY(absolute(options.directory));
  VARVE_TRY(check_apart(VARVE_TRY(absolute(options.store)), directory, options.same_disk));
  const auto place = VARVE_TRY(open_posix_storage(directory));
  VARVE_TRY(check_place_for_files(*place, store.config, directory));
  const ReplicaId replica = VARVE_TRY(
      in_context(settle_remote(*place, *store.storage, store.config, system_random()), directory));
  for (const RemoteConfig& remote : remotes) {
    if (remote.replica == replica)
      return Error(Errc::kExists, directory + " is the remote '" + remote.name + "' already");
  }
  VARVE_TRY(
      write_remote(*store.storage, {options.name, directory, replica, utc_iso(system_clock().now()),
                                    options.limit, mode, on_link_loss}));
  fmt::print("remote '{}': {} (replica {})\n", options.name, directory, replica.hex());
  return {};
}

Result<void> list_them(const RemoteOptions& options) {
  const OpenedStore store = VARVE_TRY(open_store(options.store));
  nlohmann::json all = nlohmann::json::array();
  std::vector<std::vector<std::string>> rows;
  for (const RemoteConfig& remote : VARVE_TRY(list_remotes(*store.storage))) {
    all.push_back({{"name", remote.name},
                   {"directory", remote.directory},
                   {"replica", remote.replica.hex()},
                   {"added", remote.added},
                   {"limit", remote.limit},
                   {"catalog", name_of(remote.catalog)},
                   {"on_link_loss", name_of(remote.on_link_loss)}});
    rows.push_back({remote.name, remote.directory, remote.limit.empty() ? "-" : remote.limit,
                    name_of(remote.catalog), remote.added});
  }
  if (options.json) {
    fmt::print("{}\n", all.dump());
  } else if (rows.empty()) {
    fmt::print("no remotes: varve remote add {} NAME DIR makes one\n", options.store);
  } else {
    fmt::print("{}", table({"NAME", "DIRECTORY", "LIMIT", "CATALOG", "ADDED"}, rows));
  }
  return {};
}

Result<void> change_remote(const RemoteOptions& options) {
  const OpenedStore store = VARVE_TRY(open_store(options.store));
  RemoteConfig remote = VARVE_TRY(find_remote(*store.storage, options.name));
  remote.catalog = VARVE_TRY(chosen_mode(options, remote.catalog));
  remote.on_link_loss = VARVE_TRY(chosen_on_link_loss(options, remote.on_link_loss));
  if (options.limit_given) {
    VARVE_TRY(check_limit(options.limit));
    remote.limit = options.limit;
  }
  if (!options.directory.empty()) {
    remote.directory = VARVE_TRY(absolute(options.directory));
    const auto place = VARVE_TRY(open_posix_storage(remote.directory));
    VARVE_TRY(check_remote_identity(*place, store.config, remote));
  }
  return write_remote(*store.storage, remote);
}

Result<void> remove_one(const RemoteOptions& options) {
  const OpenedStore store = VARVE_TRY(open_store(options.store));
  const RemoteConfig remote = VARVE_TRY(find_remote(*store.storage, options.name));
  VARVE_TRY(remove_remote(*store.storage, options.name));
  fmt::print("remote '{}' is forgotten; what lies in {} stays\n", options.name, remote.directory);
  return {};
}

using Verb = Result<void> (*)(const RemoteOptions&);

void run_as(CLI::App* command, const std::shared_ptr<RemoteOptions>& options, int& exit_code,
            Verb verb) {
  command->callback([options, &exit_code, verb] {
    const Result<void> done = verb(*options);
    exit_code = done.ok() ? kExitOk : report_error(done.error());
  });
}

}  // namespace

void add_remote_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<RemoteOptions>();
  CLI::App* command = app.add_subcommand("remote", "The places that a store is replicated to");
  command->require_subcommand(1);
  command->footer(
      "Example: varve remote add /srv/store offsite /mnt/provider/acme --limit 'mon-fri "
      "08:00-18:00 2M, else 20M'\n"
      "         varve remote set /srv/store offsite --catalog distributed --yes");
  const std::string limit_help =
      "Bytes a second (K, M, G), by a weekly calendar if wanted: 'mon-fri 08:00-18:00 2M, else "
      "20M'";

  CLI::App* add = command->add_subcommand("add", "Make a directory a remote of the store");
  add->add_option("store", options->store, "STORE")->required();
  add->add_option("name", options->name, "NAME to call it by")->required();
  add->add_option("directory", options->directory,
                  "A mounted directory: empty, or with files of this store")
      ->required();
  add->add_option("--limit", options->limit, limit_help)->type_name("LIMIT");
  add->add_flag("--same-disk", options->same_disk, "It may lie on the disk that the store is on");
  add_catalog_options(add, *options);
  add_link_loss_option(add, *options);
  run_as(add, options, exit_code, add_remote);

  CLI::App* list = command->add_subcommand("list", "List the remotes of a store");
  list->add_option("store", options->store, "STORE")->required();
  list->add_flag("--json", options->json, "Print JSON");
  run_as(list, options, exit_code, list_them);

  CLI::App* set = command->add_subcommand(
      "set", "Change a remote's limit, catalog mode, what its loss stops, or where it is mounted");
  set->add_option("store", options->store, "STORE")->required();
  set->add_option("name", options->name, "NAME")->required();
  CLI::Option* limit = set->add_option("--limit", options->limit, limit_help + "; '' for none");
  limit->type_name("LIMIT");
  set->add_option("--directory", options->directory, "Where it is mounted now")->type_name("DIR");
  add_catalog_options(set, *options);
  add_link_loss_option(set, *options);
  set->parse_complete_callback([options, limit] { options->limit_given = limit->count() > 0; });
  run_as(set, options, exit_code, change_remote);

  CLI::App* remove = command->add_subcommand("remove", "Forget a remote; what lies there stays");
  remove->add_option("store", options->store, "STORE")->required();
  remove->add_option("name", options->name, "NAME")->required();
  run_as(remove, options, exit_code, remove_one);
}

}  // namespace varve
