// varve key: who opens a store, listed and changed. Data is not touched, and the daemon of a
// mounted store need not know: it has the keys already.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "catalog/world.h"
#include "dedup/access_folder.h"
#include "dedup/base/posix_storage.h"
#include "dedup/base/unique_fd.h"
#include "dedup/key_change.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/mounted.h"
#include "tools/passphrase.h"
#include "tools/report.h"
#include "tools/terminal.h"

namespace varve {
namespace {

/// The secret that comes in, of which at most one is named.
struct NewSecret {
  std::string passphrase_file, key_file, recovery_key_file;
};

struct KeyOptions {
  std::string path, key;
  SecretSource secret;
  NewSecret added;
  bool json = false;
};

struct KeyedStore {
  std::string root;
  std::unique_ptr<Storage> storage;
  StoreConfig config;
};

Result<KeyedStore> open_keyed_store(const std::string& path) {
  KeyedStore store;
  const Result<MountedPath> mounted = find_mounted(path);
  store.root = mounted.ok() ? mounted->store : path;
  store.storage = VARVE_TRY(open_posix_storage(store.root));
  store.config = VARVE_TRY(in_context(read_store_config(*store.storage), store.root));
  return store;
}

/// While it is held no other varve key changes the store: two changes at once would both count.
Result<UniqueFd> lock_keys(const KeyedStore& store) {
  if (!VARVE_TRY(store.storage->exists("local"))) {
    return Error(Errc::kInvalid, store.root +
                                     " is no live store (it has no local/): change the keys where "
                                     "the store lives; varve replicate brings them here");
  }
  const std::string path = store.root + "/" + kKeysDirectory;
  UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return error_from_errno(errno, "opening " + path);
  if (::flock(folder.get(), LOCK_EX | LOCK_NB) == 0) return folder;
  if (errno != EWOULDBLOCK) return error_from_errno(errno, "locking " + path);
  return Error(Errc::kBusy, "another varve key is changing " + store.root);
}

std::string_view type_name(SlotType type) {
  switch (type) {
    case SlotType::kPassphrase:
      return "passphrase";
    case SlotType::kKeyFile:
      return "key file";
    case SlotType::kRecoveryKey:
      return "recovery key";
  }
  return "unknown";
}

// list

void print_generations(const std::vector<FoundGeneration>& generations) {
  std::vector<std::vector<std::string>> rows;
  for (const FoundGeneration& found : generations) {
    for (const AccessSlot& slot : found.generation.slots) {
      rows.push_back({slot.id.hex(), std::string(type_name(slot.type)),
                      std::to_string(found.generation.number)});
    }
  }
  fmt::print("{}", table({"KEY", "TYPE", "GENERATION"}, rows));
  if (generations.size() > 1) {
    fmt::print(
        "{} generations count, of sites that changed keys without knowing of each other: each of "
        "these keys opens the store\n",
        generations.size());
  }
}

nlohmann::json fields_of(const std::vector<FoundGeneration>& generations) {
  nlohmann::json listed = nlohmann::json::array();
  for (const FoundGeneration& found : generations) {
    nlohmann::json slots = nlohmann::json::array();
    for (const AccessSlot& slot : found.generation.slots)
      slots.push_back({{"id", slot.id.hex()}, {"type", type_name(slot.type)}});
    listed.push_back({{"hash", found.hash.hex()},
                      {"number", found.generation.number},
                      {"epochs", found.generation.epochs.size()},
                      {"keys", std::move(slots)}});
  }
  return {{"generations", std::move(listed)}};
}

Result<void> list_keys(const KeyOptions& options) {
  const KeyedStore store = VARVE_TRY(open_keyed_store(options.path));
  const auto generations = VARVE_TRY(read_generations_in_force(*store.storage, store.config));
  if (options.json) {
    fmt::print("{}\n", fields_of(generations).dump());
  } else {
    print_generations(generations);
  }
  return {};
}

// add, remove, change, rotate

/// Made before the store has its key, so that there is never one that was lost.
Result<void> write_recovery_key(const std::string& path, const Secret& key) {
  std::string text = print_recovery_key(key) + "\n";
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.valid()) {
    wipe({reinterpret_cast<uint8_t*>(text.data()), text.size()});
    return error_from_errno(errno, "making " + path);
  }
  const ssize_t count = ::write(file.get(), text.data(), text.size());
  const bool whole = count == static_cast<ssize_t>(text.size()) && ::fsync(file.get()) == 0;
  const int reason = count >= 0 && count < static_cast<ssize_t>(text.size()) ? ENOSPC : errno;
  wipe({reinterpret_cast<uint8_t*>(text.data()), text.size()});
  if (whole) return {};
  (void)::unlink(path.c_str());
  return error_from_errno(reason, "writing " + path);
}

Result<AccessSecret> new_recovery_key(const std::string& path) {
  Secret key(kKeyBytes);
  system_random().fill(key.span());
  VARVE_TRY(write_recovery_key(path, key));
  return AccessSecret{AccessSecret::Kind::kRecoveryKey, std::move(key)};
}

Result<AccessSecret> read_added(const NewSecret& added) {
  if (!added.passphrase_file.empty())
    return read_access_secret({added.passphrase_file, "", ""}, "");
  if (!added.key_file.empty()) return read_access_secret({"", added.key_file, ""}, "");
  if (!added.recovery_key_file.empty()) return new_recovery_key(added.recovery_key_file);
  if (on_terminal()) return ask_new_passphrase();
  return Error(Errc::kInvalid,
               "no new key: name it by --new-passphrase-file, --new-key-file or "
               "--new-recovery-key-file (there is no terminal to ask on)");
}

Result<SlotId> slot_named(const KeyedStore& store, const std::string& name) {
  std::optional<SlotId> named;
  for (const FoundGeneration& found :
       VARVE_TRY(read_generations_in_force(*store.storage, store.config))) {
    for (const AccessSlot& slot : found.generation.slots) {
      if (name.empty() || !slot.id.hex().starts_with(name) || named == slot.id) continue;
      if (named) return Error(Errc::kInvalid, "several keys begin with " + name);
      named = slot.id;
    }
  }
  if (named) return *named;
  return Error(Errc::kNotFound, store.root + " has no key " + name + ": varve key list shows them");
}

void print_change(const KeyOptions& options, const KeysAfter& after) {
  const AccessGeneration& made = after.generation;
  if (options.json) {
    fmt::print("{}\n", nlohmann::json{{"number", made.number},
                                      {"keys", made.slots.size()},
                                      {"epochs", made.epochs.size()},
                                      {"others_count", after.others_count}}
                           .dump());
    return;
  }
  fmt::print("{} keys open the store now (generation {}); remotes learn of it by varve replicate\n",
             made.slots.size(), made.number);
  if (after.others_count) {
    fmt::print(stderr,
               "varve: another site has changed the keys too, and this one does not open that "
               "change: its keys go on opening the store (varve key list)\n");
  }
}

using Prepare = std::function<Result<void>(const KeyedStore&, KeyChange&)>;

Result<void> change_store(const KeyOptions& options, const Prepare& prepare) {
  const KeyedStore store = VARVE_TRY(open_keyed_store(options.path));
  const UniqueFd lock = VARVE_TRY(lock_keys(store));
  const AccessSecret secret = VARVE_TRY(read_access_secret(options.secret, store.root));
  // Before a new secret is asked for or made.
  VARVE_TRY(open_keyring(*store.storage, store.config, secret));
  KeyChange change;
  VARVE_TRY(prepare(store, change));
  const Result<KeysAfter> after =
      change_keys(*store.storage, store.config, secret, change, system_random());
  if (after.ok()) {
    print_change(options, *after);
    return {};
  }
  // The file stays: the change may have reached the disk all the same.
  if (options.added.recovery_key_file.empty()) return after.error();
  return Error(after.error().code(), after.error().message() + " (" +
                                         options.added.recovery_key_file +
                                         " may open nothing: see varve key list)");
}

Result<void> add_key(const KeyOptions& options) {
  return change_store(options, [&](const KeyedStore&, KeyChange& change) -> Result<void> {
    change.add.push_back(VARVE_TRY(read_added(options.added)));
    return {};
  });
}

Result<void> remove_key(const KeyOptions& options) {
  return change_store(options, [&](const KeyedStore& store, KeyChange& change) -> Result<void> {
    change.remove.push_back(VARVE_TRY(slot_named(store, options.key)));
    return {};
  });
}

Result<void> change_key(const KeyOptions& options) {
  return change_store(options, [&](const KeyedStore&, KeyChange& change) -> Result<void> {
    change.add.push_back(VARVE_TRY(read_added(options.added)));
    change.remove_opener = true;
    return {};
  });
}

/// Not while it is mounted: the daemon would go on under the old key.
Result<void> rotate_keys(const KeyOptions& options) {
  const KeyedStore store = VARVE_TRY(open_keyed_store(options.path));
  const auto world = VARVE_TRY(open_world(store.root));
  const auto lock = VARVE_TRY(in_context(world->lock(""), "rotation needs the store unmounted"));
  return change_store(options, [](const KeyedStore&, KeyChange& change) -> Result<void> {
    change.new_epoch = true;
    return {};
  });
}

// The command line.

void add_new_secret_options(CLI::App& app, NewSecret& added) {
  auto* passphrase =
      app.add_option("--new-passphrase-file", added.passphrase_file,
                     "File that holds the new passphrase (else it is asked for on the terminal)");
  auto* key = app.add_option("--new-key-file", added.key_file, "File whose bytes are the new key");
  auto* recovery = app.add_option("--new-recovery-key-file", added.recovery_key_file,
                                  "New file, for a recovery key that is made: print it");
  passphrase->type_name("FILE")->excludes(key)->excludes(recovery);
  key->type_name("FILE")->excludes(recovery);
  recovery->type_name("FILE");
}

using KeyVerb = Result<void> (*)(const KeyOptions&);

CLI::App* add_verb(CLI::App& key, const std::shared_ptr<KeyOptions>& options, int& exit_code,
                   const std::string& name, const std::string& what, KeyVerb verb) {
  CLI::App* command = key.add_subcommand(name, what);
  command->add_option("store", options->path, "STORE or MNT")->required();
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &exit_code, verb] {
    const Result<void> done = verb(*options);
    exit_code = done.ok() ? kExitOk : report_error(done.error());
  });
  return command;
}

}  // namespace

void add_key_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<KeyOptions>();
  CLI::App* key = app.add_subcommand("key",
                                     "Who opens a store: passphrases, key files, recovery "
                                     "keys");
  key->require_subcommand(1);
  key->footer(
      "Examples: varve key list /srv/store\n"
      "          varve key add --passphrase-file pw --new-recovery-key-file /etc/varve/recovery "
      "/srv/store\n"
      "          varve key change --passphrase-file old --new-passphrase-file new /srv/store\n"
      "          varve key remove --passphrase-file pw /srv/store 3f2a\n"
      "          varve key rotate --passphrase-file pw /srv/store\n"
      "No data is read or written. docs/keys.md says what each of them does, and what it cannot.");
  add_verb(*key, options, exit_code, "list", "The keys that open the store; needs none", list_keys);
  CLI::App* add =
      add_verb(*key, options, exit_code, "add", "Add a key, by one that opens the store", add_key);
  CLI::App* remove = add_verb(*key, options, exit_code, "remove",
                              "Remove a key; the last one cannot be removed", remove_key);
  remove
      ->add_option("key", options->key,
                   "What varve key list shows of it, or as many of its digits as tell it apart")
      ->required();
  CLI::App* change = add_verb(*key, options, exit_code, "change",
                              "Put a new key in the place of the one that is given", change_key);
  CLI::App* rotate = add_verb(*key, options, exit_code, "rotate",
                              "What is written from now on is under a new key of the store; the "
                              "store is not mounted meanwhile",
                              rotate_keys);
  for (CLI::App* verb : {add, remove, change, rotate}) add_secret_options(*verb, options->secret);
  for (CLI::App* verb : {add, change}) add_new_secret_options(*verb, options->added);
}

}  // namespace varve
