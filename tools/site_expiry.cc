#include "tools/site_expiry.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tools/exit_codes.h"
#include "tools/report.h"
#include "tools/store_call.h"

namespace varve {
namespace {

using Json = nlohmann::json;

void print(const SiteExpiryOptions& options, const Json& answer) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& one : answer["snapshots"]) {
    const bool kept = one.value("kept", true);
    if (kept && !options.dry_run) continue;
    rows.push_back({one.value("set", "") + "/" + one.value("name", ""), one.value("time", ""),
                    kept ? "kept" : "expires", one.value("why", "")});
  }
  if (!rows.empty()) fmt::print("{}", table({"SNAPSHOT", "TAKEN (UTC)", "", "WHY"}, rows));
  fmt::print("{}{} snapshots kept, {} expired\n", options.dry_run ? "would be: " : "",
             answer.value("snapshots_kept", uint64_t{0}),
             answer.value("snapshots_expired", uint64_t{0}));
  for (const Json& name : answer["without_rule"]) {
    const std::string set = name.get<std::string>();
    if (!set.empty()) fmt::print("{}: no rule, nothing expires (varve set keep=)\n", set);
  }
}

Result<Json> ask(const SiteExpiryOptions& options) {
  const MountedPath store = store_at(options.path);
  Json request = {{"command", "expire"}, {"dry_run", options.dry_run}};
  if (options.set) {
    request["set"] = *options.set;
  } else if (!store.set.empty()) {
    request["set"] = store.set;
  }
  return call_store(store, options.secret, request);
}

}  // namespace

int expire_site(const SiteExpiryOptions& options) {
  Result<Json> answer = ask(options);
  if (!answer.ok()) return report_error(answer.error());
  answer->erase("ok");
  if (options.json) {
    fmt::print("{}\n", answer->dump(-1, ' ', false, Json::error_handler_t::replace));
  } else {
    print(options, *answer);
  }
  return kExitOk;
}

}  // namespace varve
