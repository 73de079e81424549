// varve set: shows and changes the policies of backup sets.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/report.h"
#include "tools/store_call.h"

namespace varve {
namespace {

using Json = nlohmann::json;

struct SetOptions {
  std::string path, set;
  std::vector<std::string> settings;
  bool json = false, has_set = false;
  SecretSource secret;
};

Result<Json> ask(const SetOptions& options) {
  const MountedPath store = store_at(options.path);
  const std::string set = options.has_set ? options.set : store.set;
  if (set.empty() && !options.has_set && options.settings.empty())
    return call_store(store, options.secret, {{"command", "sets"}});
  return call_store(store, options.secret,
                    {{"command", "set"}, {"set", set}, {"settings", options.settings}});
}

std::string name_of(const Json& set) {
  const std::string name = set.value("set", "");
  return name.empty() ? "(whole mount)" : name;
}

std::string words(const Json& list) {
  std::string text;
  for (const Json& word : list) text += (text.empty() ? "" : ",") + word.get<std::string>();
  return text;
}

std::string value_text(const Json& value) {
  if (value.is_array()) return words(value);
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void print_one(const Json& set) {
  fmt::print("{}: {} snapshots\n", name_of(set), set.value("snapshots", uint64_t{0}));
  if (set["policy"].empty()) fmt::print("no policy: nothing expires, nothing is locked\n");
  for (const auto& [name, value] : set["policy"].items())
    fmt::print("{}={}\n", name, value_text(value));
}

void print_all(const Json& sets) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& set : sets) {
    std::string policy;
    for (const auto& [name, value] : set["policy"].items())
      policy += fmt::format("{}{}='{}'", policy.empty() ? "" : " ", name, value_text(value));
    rows.push_back({name_of(set), fmt::format("{}", set.value("snapshots", uint64_t{0})), policy});
  }
  fmt::print("{}", table({"SET", "SNAPSHOTS", "POLICY"}, rows));
}

void print(const SetOptions& options, Json answer) {
  answer.erase("ok");
  if (options.json) {
    fmt::print("{}\n", answer.dump(-1, ' ', false, Json::error_handler_t::replace));
  } else if (answer.contains("sets")) {
    print_all(answer["sets"]);
  } else {
    print_one(answer);
  }
}

}  // namespace

void add_set_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<SetOptions>();
  CLI::App* command = app.add_subcommand(
      "set", "Show or change a backup set's policy: what expires, what is locked");
  command
      ->add_option("path", options->path,
                   "MNT/SET; MNT: of all sets, or, to change it, of the whole mount's snapshots; "
                   "STORE (needs the passphrase), with --set")
      ->required();
  command
      ->add_option("settings", options->settings,
                   "keep=RULE, lock=TIME (h, d, w), tags=A,B, groups=A,B; nothing behind the = "
                   "takes it away")
      ->type_name("NAME=VALUE");
  auto* set = command->add_option("--set", options->set,
                                  "That backup set; '': the whole mount's snapshots");
  add_secret_options(*command, options->secret);
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "Examples: varve set /mnt/b/web01 keep='last 7, daily 14, weekly 8, monthly 12, within 30d'\n"
      "          varve set /mnt/b/web01 lock=30d tags=production\n"
      "          varve set /mnt/b/web01 keep=\n"
      "          varve set --passphrase-file pw /srv/store --set web01\n"
      "keep is asked by varve expire: without it nothing ever expires. lock locks each new\n"
      "snapshot for that long. A policy is sealed, and goes wherever the store's records go.");
  command->callback([options, set, &exit_code] {
    options->has_set = set->count() > 0;
    Result<Json> answer = ask(*options);
    if (answer.ok()) print(*options, std::move(*answer));
    exit_code = answer.ok() ? kExitOk : report_error(answer.error());
  });
}

}  // namespace varve
