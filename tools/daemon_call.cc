#include "tools/daemon_call.h"

#include <nlohmann/json.hpp>

#include "fs/control.h"

namespace varve {

Result<nlohmann::json> call_daemon(const MountedPath& mounted, const nlohmann::json& request) {
  return control_call(mounted.control, request);
}

}  // namespace varve
