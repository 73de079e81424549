#include "dedup/catalog_mode.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "dedup/base/limits.h"
#include "dedup/store_files.h"

namespace varve {
namespace {

constexpr const char* kModesFolder = "replica/catalog";
constexpr std::string_view kTemporaryPrefix = ".tmp-";

std::string note_path(const std::string& sender) {
  return std::string(kModesFolder) + "/" + sender;
}

}  // namespace

const char* name_of(CatalogMode mode) {
  return mode == CatalogMode::kDistributed ? "distributed" : "replicated";
}

Result<CatalogMode> parse_catalog_mode(const std::string& name) {
  for (const CatalogMode mode : {CatalogMode::kReplicated, CatalogMode::kDistributed}) {
    if (name == name_of(mode)) return mode;
  }
  return Error(Errc::kInvalid, "'" + name + "' is no catalog mode: replicated or distributed");
}

Result<void> note_catalog_mode(Storage& place, const std::string& sender, CatalogMode mode) {
  const std::string path = note_path(sender);
  const bool kept_back = mode == CatalogMode::kDistributed;
  if (VARVE_TRY(place.exists(path)) == kept_back) return {};
  if (!kept_back) {
    VARVE_TRY(place.unlink(path));
    return place.sync_dir(kModesFolder);
  }
  VARVE_TRY(place.make_directories(kModesFolder));
  const nlohmann::json content = {{"format_version", kFormatVersion}, {"catalog", name_of(mode)}};
  return write_whole(place, path, as_bytes(content.dump() + "\n"));
}

Result<std::vector<std::string>> senders_without_catalog(Storage& place) {
  std::vector<std::string> senders;
  for (const StorageEntry& entry : VARVE_TRY(list_if_there(place, kModesFolder))) {
    if (!entry.is_directory && !entry.name.starts_with(kTemporaryPrefix))
      senders.push_back(entry.name);
  }
  std::sort(senders.begin(), senders.end());
  return senders;
}

std::string no_disaster_copy(const std::vector<std::string>& senders) {
  std::string names;
  for (const std::string& sender : senders)
    names += (names.empty() ? "" : ", ") + sender.substr(0, 8);
  return "not a disaster copy: catalog packs, without which nothing can be restored, stay at the "
         "site "
         "of " +
         names + " (catalog mode distributed)";
}

}  // namespace varve
