#include "replicator/link.h"

#include <nlohmann/json.hpp>

#include "dedup/base/limits.h"

namespace varve {
namespace {

constexpr size_t kSavedStateBytesMax = 16 * kMiB;

std::string text_of(const nlohmann::json& state, const char* name) {
  const auto found = state.find(name);
  return found != state.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

Result<std::string> link_loss(Storage& store, const RemoteConfig& remote) {
  const Result<Bytes> saved =
      read_whole(store, replication_state_path(remote.replica), kSavedStateBytesMax);
  if (!saved.ok() && saved.error().code() == Errc::kNotFound) return std::string();
  if (!saved.ok()) return saved.error();
  const nlohmann::json state = nlohmann::json::parse(as_text(*saved), nullptr, false);
  if (!state.is_object()) return std::string();
  if (const std::string since = text_of(state, "stalled_since"); !since.empty())
    return "it has not answered since " + since;
  const std::string error = text_of(state, "error");
  return error.empty() ? error : "at " + text_of(state, "error_at") + ": " + error;
}

Result<std::vector<std::string>> lost_links(Storage& store) {
  std::vector<std::string> lost;
  for (const RemoteConfig& remote : VARVE_TRY(list_remotes(store))) {
    if (remote.on_link_loss == OnLinkLoss::kGoOn) continue;
    const std::string why = VARVE_TRY(link_loss(store, remote));
    if (!why.empty()) lost.push_back("remote '" + remote.name + "' is not reached: " + why);
  }
  return lost;
}

}  // namespace varve
