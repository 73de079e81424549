#include "fs/evict_fields.h"

#include <nlohmann/json.hpp>

namespace varve {

using nlohmann::json;

json evict_request_fields(const EvictRequest& request) {
  json fields = {{"command", "evict"}, {"remote", request.remote}, {"dry_run", request.dry_run}};
  if (request.bytes) fields["bytes"] = *request.bytes;
  if (request.keep_free) fields["keep_free"] = *request.keep_free;
  return fields;
}

Result<EvictRequest> evict_request_of(const json& fields) {
  EvictRequest request;
  const auto remote = fields.find("remote");
  if (remote == fields.end() || !remote->is_string())
    return Error(Errc::kInvalid, "'remote' must be a string");
  request.remote = remote->get<std::string>();
  for (const auto& [name, value] :
       {std::pair("bytes", &request.bytes), std::pair("keep_free", &request.keep_free)}) {
    const auto field = fields.find(name);
    if (field == fields.end()) continue;
    if (!field->is_number_unsigned())
      return Error(Errc::kInvalid, std::string("'") + name + "' must be a number");
    *value = field->get<uint64_t>();
  }
  const auto dry_run = fields.find("dry_run");
  request.dry_run = dry_run != fields.end() && dry_run->is_boolean() && dry_run->get<bool>();
  return request;
}

json evict_fields(const EvictFigures& figures) {
  return {{"packs", figures.packs},
          {"bytes", figures.bytes},
          {"waiting_packs", figures.waiting_packs},
          {"waiting_bytes", figures.waiting_bytes},
          {"newly_held_packs", figures.newly_held_packs},
          {"kept_packs", figures.kept_packs},
          {"kept_bytes", figures.kept_bytes},
          {"unreplicated_packs", figures.unreplicated_packs},
          {"unbundled_packs", figures.unbundled_packs},
          {"lost_packs", figures.lost_packs}};
}

json release_fields(const ReleaseFigures& figures) {
  return {{"holds", figures.holds},
          {"packs", figures.packs},
          {"bytes", figures.bytes},
          {"kept_holds", figures.kept_holds},
          {"away_packs", figures.away_packs}};
}

}  // namespace varve
