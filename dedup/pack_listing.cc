#include <fmt/format.h>

#include "dedup/base/log.h"
#include "dedup/pack_store_state.h"

namespace varve {
namespace {

bool is_folder_name(const std::string& name) {
  return name.size() == 2 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// What a file says of itself; its name says its hash.
Result<PackInfo> look_at(Storage& storage, PackClass pack_class, const FileHash& hash,
                         const StoreId& store) {
  auto file = VARVE_TRY(storage.open_read(pack_path(pack_class, hash)));
  std::array<uint8_t, kPackHeaderBytes> bytes;
  VARVE_TRY(read_exactly(*file, 0, bytes));
  const PackHeader header = VARVE_TRY(decode_pack_header(bytes));
  if (header.store != store) return Error(Errc::kForeign, "belongs to store " + header.store.hex());
  if (header.pack_class != pack_class) return Error(Errc::kCorrupt, "lies in the wrong folder");
  return PackInfo{header.pack, hash, VARVE_TRY(file->length()), pack_class};
}

Result<std::vector<StorageEntry>> list_if_there(Storage& storage, const std::string& path) {
  auto entries = storage.list(path);
  if (!entries.ok() && entries.error().code() == Errc::kNotFound)
    return std::vector<StorageEntry>();
  return entries;
}

Result<void> list_folder(PackStore::State& state, PackClass pack_class, const std::string& folder,
                         std::vector<PackInfo>& out) {
  const std::string path = std::string(pack_folder(pack_class)) + "/" + folder;
  for (const StorageEntry& entry : VARVE_TRY(list_if_there(state.storage, path))) {
    auto hash = FileHash::from_hex(entry.name);
    // Upper-case digits make no name of ours, and the hash has to lie in its own folder.
    if (!hash || entry.is_directory || hash->hex() != entry.name ||
        entry.name.substr(0, 2) != folder)
      continue;
    auto info = look_at(state.storage, pack_class, *hash, state.keyring.store_id());
    if (info.ok()) {
      out.push_back(*info);
    } else {
      log_warning(fmt::format("{}/{} is left out: {}", path, entry.name, info.error().message()));
    }
  }
  return {};
}

}  // namespace

Result<std::vector<PackInfo>> PackStore::list_files() {
  std::vector<PackInfo> packs;
  for (PackClass pack_class : {PackClass::kData, PackClass::kCatalog}) {
    for (const StorageEntry& entry :
         VARVE_TRY(list_if_there(state_->storage, std::string(pack_folder(pack_class))))) {
      if (!entry.is_directory || !is_folder_name(entry.name)) continue;
      VARVE_TRY(list_folder(*state_, pack_class, entry.name, packs));
    }
  }
  return packs;
}

}  // namespace varve
