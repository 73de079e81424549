#include "fs/snapshot_fields.h"

#include <nlohmann/json.hpp>

#include "catalog/set_policy.h"

namespace varve {

nlohmann::json snapshot_fields(const SnapshotInfo& snapshot) {
  return {{"set", snapshot.set_name},
          {"name", snapshot.name},
          {"time", utc_iso(snapshot.time)},
          {"hash", snapshot.hash.hex()},
          {"set_id", snapshot.header.set.hex()},
          {"writer", snapshot.writer.hex()},
          {"sequence", snapshot.sequence},
          {"class", snapshot.header.snapshot_class == SnapshotClass::kMount ? "mount" : "set"}};
}

nlohmann::json snapshot_list(const History& history) {
  nlohmann::json listed = nlohmann::json::array();
  for (const SnapshotInfo& snapshot : history.snapshots()) {
    listed.push_back(snapshot_fields(snapshot));
    if (const auto until = history.locked_until(snapshot.hash))
      listed.back()["locked_until"] = utc_of_seconds(*until);
  }
  nlohmann::json answer;  // an initializer list would copy them all
  answer["snapshots"] = std::move(listed);
  return answer;
}

}  // namespace varve
