#include "fs/history_handlers.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "catalog/expiry.h"
#include "catalog/set_policy.h"
#include "dedup/base/log.h"
#include "dedup/statement.h"

namespace varve {
namespace {

using nlohmann::json;

Result<std::string> text_in(const json& request, const char* field) {
  const auto found = request.find(field);
  if (found == request.end() || !found->is_string())
    return Error(Errc::kInvalid, fmt::format("'{}' must be a string", field));
  return found->get<std::string>();
}

class HistoryAnswers {
 public:
  HistoryAnswers(WorkingCopy& working_copy, HistoryDoor door)
      : working_copy_(working_copy), history_(working_copy.history()), door_(std::move(door)) {}

  /// Every set, and the whole mount under the name "".
  Result<json> sets() {
    json listed = json::array();
    for (const auto& [id, name] : names()) listed.push_back(VARVE_TRY(fields_of(id, name)));
    json answer;
    answer["sets"] = std::move(listed);
    return answer;
  }

  Result<json> set(const json& request) {
    const std::string name = VARVE_TRY(text_in(request, "set"));
    const SetId id = VARVE_TRY(set_by_name(working_copy_, name));
    const json settings = request.value("settings", json::array());
    if (!settings.is_array()) return Error(Errc::kInvalid, "'settings' must be a list");
    if (!settings.empty()) VARVE_TRY(change(id, settings));
    return fields_of(id, name);
  }

  Result<json> expire(const json& request) {
    const bool dry_run = request.value("dry_run", false);
    if (!dry_run) {
      VARVE_TRY(door_.may_publish());
      VARVE_TRY(door_.may_remove());
    }
    Names asked = names();
    if (request.contains("set")) {
      const std::string name = VARVE_TRY(text_in(request, "set"));
      asked = {{VARVE_TRY(set_by_name(working_copy_, name)), name}};
    }
    Expired expired;
    for (const auto& [id, name] : asked) VARVE_TRY(expire_set(id, name, dry_run, expired));
    return json{{"snapshots", expired.snapshots},
                {"without_rule", expired.without_rule},
                {"snapshots_kept", expired.kept},
                {"snapshots_expired", expired.gone}};
  }

  Result<json> lock(const json& request) {
    const SnapshotInfo snapshot = VARVE_TRY(named_snapshot(request));
    const auto until = request.find("until");
    if (until == request.end() || !until->is_number_integer())
      return Error(Errc::kInvalid, "'until' must be a number of seconds");
    VARVE_TRY(door_.may_publish());
    VARVE_TRY(history_.lock(snapshot.hash, until->get<int64_t>()));
    return json{{"set", snapshot.set_name},
                {"name", snapshot.name},
                {"hash", snapshot.hash.hex()},
                {"locked_until", utc_of_seconds(until->get<int64_t>())},
                {"clock", utc_iso(history_.lock_time())}};
  }

 private:
  using Names = std::map<SetId, std::string>;

  Names names() {
    Names names;
    for (const SetInfo& set : history_.sets()) names[set.id] = set.name;
    for (const LiveTree::Set& set : working_copy_.tree().sets()) {
      if (!set.row.removed) names[set.row.id] = set.row.name;
    }
    names[SetId{}] = "";
    return names;
  }

  Result<SetPolicy> policy_of(const SetId& set, const std::string& name) {
    const std::optional<std::string> text = history_.policy(set);
    if (!text) return SetPolicy();
    return in_context(parse_policy(*text),
                      fmt::format("the policy of '{}' is not understood", name));
  }

  Result<json> fields_of(const SetId& id, const std::string& name) {
    const SetPolicy policy = VARVE_TRY(policy_of(id, name));
    return json{{"set", name},
                {"set_id", id.hex()},
                {"snapshots", history_.snapshots_of(id).size()},
                {"policy", json::parse(policy_json(policy))}};
  }

  Result<void> change(const SetId& id, const json& settings) {
    VARVE_TRY(door_.may_publish());
    SetPolicy policy = VARVE_TRY(policy_of(id, "the set"));
    const std::string before = policy_json(policy);
    for (const json& setting : settings) {
      if (!setting.is_string()) return Error(Errc::kInvalid, "a setting must be a string");
      VARVE_TRY(change_policy(policy, setting.get<std::string>()));
    }
    const std::string after = policy_json(policy);
    if (after == before) return {};
    return history_.publish_record({policy_statement(id, after)});
  }

  // Expiry.

  struct Expired {
    json snapshots = json::array(), without_rule = json::array();
    uint64_t kept = 0, gone = 0;
  };

  Result<void> expire_set(const SetId& id, const std::string& name, bool dry_run,
                          Expired& expired) {
    const SetPolicy policy = VARVE_TRY(policy_of(id, name));
    if (policy.keep.empty()) {
      expired.without_rule.push_back(name);
      return {};
    }
    const RetentionRule rule = VARVE_TRY(parse_retention(policy.keep));
    const PackIsHere is_here = pack_is_here();
    for (const JudgedForExpiry& one : VARVE_TRY(judge_expiry(history_, id, rule, is_here))) {
      if (!one.kept && !dry_run) VARVE_TRY(drop(one.snapshot));
      (one.kept ? expired.kept : expired.gone)++;
      expired.snapshots.push_back({{"set", one.snapshot.set_name},
                                   {"name", one.snapshot.name},
                                   {"hash", one.snapshot.hash.hex()},
                                   {"time", utc_iso(one.snapshot.time)},
                                   {"kept", one.kept},
                                   {"why", one.why}});
    }
    return {};
  }

  Result<void> drop(const SnapshotInfo& snapshot) {
    VARVE_TRY(working_copy_.ballast().with_space([&] { return history_.drop(snapshot.hash); }));
    door_.removed(snapshot);
    log_info(fmt::format("snapshot {}/{} has expired by its set's policy", snapshot.set_name,
                         snapshot.name));
    return {};
  }

  PackIsHere pack_is_here() {
    auto evicted = std::make_shared<std::set<PackId>>();
    for (const PackInfo& pack : working_copy_.packs().evicted_packs()) evicted->insert(pack.pack);
    return [this, evicted](const PackInfo& info) -> Result<bool> {
      if (evicted->contains(info.pack)) return true;
      return working_copy_.storage().exists(pack_path(info.pack_class, info.hash));
    };
  }

  Result<SnapshotInfo> named_snapshot(const json& request) {
    const std::string set = VARVE_TRY(text_in(request, "set")),
                      name = VARVE_TRY(text_in(request, "name"));
    const auto found = history_.find(VARVE_TRY(set_by_name(working_copy_, set)), name);
    if (found) return *found;
    return Error(Errc::kNotFound, fmt::format("there is no snapshot '{}' of '{}'", name, set));
  }

  WorkingCopy& working_copy_;
  History& history_;
  const HistoryDoor door_;
};

}  // namespace

Result<SetId> set_by_name(WorkingCopy& working_copy, std::string_view name) {
  if (name.empty()) return SetId{};
  if (const auto live = working_copy.tree().set_named(name)) return live->row.id;
  for (const SetInfo& set : working_copy.history().sets()) {
    if (set.name == name) return set.id;
  }
  return Error(Errc::kNotFound, fmt::format("there is no set '{}'", name));
}

ControlHandlers history_handlers(WorkingCopy& working_copy, HistoryDoor door) {
  const auto answers = std::make_shared<HistoryAnswers>(working_copy, std::move(door));
  ControlHandlers handlers;
  handlers["sets"] = [answers](const json&) { return answers->sets(); };
  handlers["set"] = [answers](const json& request) { return answers->set(request); };
  handlers["expire"] = [answers](const json& request) { return answers->expire(request); };
  handlers["lock"] = [answers](const json& request) { return answers->lock(request); };
  return handlers;
}

}  // namespace varve
