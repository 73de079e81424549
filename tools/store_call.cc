#include "tools/store_call.h"

#include <nlohmann/json.hpp>

#include "catalog/store_lock.h"
#include "catalog/working_copy.h"
#include "fs/history_handlers.h"
#include "tools/daemon_call.h"

namespace varve {

MountedPath store_at(const std::string& path) {
  if (Result<MountedPath> mounted = find_mounted(path); mounted.ok()) return *mounted;
  MountedPath store;
  store.store = path;
  if (read_store_lock(path).ok()) store.control = control_socket(path);
  return store;
}

Result<nlohmann::json> call_store(const MountedPath& store, const SecretSource& source,
                                  const nlohmann::json& request) {
  if (!store.control.empty()) return call_daemon(store, request);
  const AccessSecret secret = VARVE_TRY(read_access_secret(source, store.store));
  Metrics metrics;
  const auto copy = VARVE_TRY(WorkingCopy::open(store.store, secret, {}, metrics));
  const ControlHandlers handlers = history_handlers(*copy, {});
  Result<nlohmann::json> answer = handlers.at(request.value("command", ""))(request);
  Result<void> closed = copy->finish([](const Snapshotter::Moment& moment) { return moment(); });
  if (answer.ok()) VARVE_TRY(std::move(closed));
  return answer;
}

}  // namespace varve
