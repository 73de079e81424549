#include "dedup/store_files.h"

#include <algorithm>

#include "dedup/access_folder.h"
#include "dedup/pack_format.h"

namespace varve {
namespace {

constexpr std::string_view kTemporaryPrefix = ".tmp-";
constexpr const char* kReplicaFolder = "replica";

std::string folder_of_class(FileClass file_class) {
  switch (file_class) {
    case FileClass::kKeys:
      return kKeysDirectory;
    case FileClass::kPack:
      return std::string(pack_folder(PackClass::kData));
    case FileClass::kCatalogPack:
      return std::string(pack_folder(PackClass::kCatalog));
    case FileClass::kList:
      return "lists";
    case FileClass::kSnapshot:
      return "snapshots";
    case FileClass::kRecord:
      return "records";
  }
  return "";
}

bool is_fanned_out(FileClass file_class) {
  return file_class == FileClass::kPack || file_class == FileClass::kCatalogPack;
}

bool is_fan(const StorageEntry& entry) {
  return entry.is_directory && entry.name.size() == 2 &&
         entry.name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// Files of one folder; with `fan`, only those whose names begin so.
Result<void> list_folder_of_class(Storage& storage, FileClass file_class, const std::string& fan,
                                  StoreFiles& out) {
  const std::string folder = folder_of_class(file_class) + (fan.empty() ? "" : "/" + fan);
  for (const StorageEntry& entry : VARVE_TRY(list_if_there(storage, folder))) {
    if (entry.is_directory) continue;
    if (entry.name.starts_with(kTemporaryPrefix))
      out.temporaries.push_back(folder + "/" + entry.name);
    const auto hash = FileHash::from_hex(entry.name);
    if (!hash || hash->hex() != entry.name || !entry.name.starts_with(fan)) continue;
    out.files.push_back({file_class, *hash});
  }
  return {};
}

Result<void> list_temporaries(Storage& storage, const std::string& folder, StoreFiles& out) {
  for (const StorageEntry& entry : VARVE_TRY(list_if_there(storage, folder))) {
    if (entry.is_directory || !entry.name.starts_with(kTemporaryPrefix)) continue;
    out.temporaries.push_back(folder.empty() ? entry.name : folder + "/" + entry.name);
  }
  return {};
}

}  // namespace

std::string path_of(const StoreFile& file) {
  const std::string name = file.hash.hex();
  const std::string folder = folder_of_class(file.file_class);
  return is_fanned_out(file.file_class) ? folder + "/" + name.substr(0, 2) + "/" + name
                                        : folder + "/" + name;
}

std::string folder_of(const StoreFile& file) {
  const std::string path = path_of(file);
  return path.substr(0, path.rfind('/'));
}

Result<std::vector<StorageEntry>> list_if_there(Storage& storage, const std::string& path) {
  auto entries = storage.list(path);
  if (!entries.ok() && entries.error().code() == Errc::kNotFound)
    return std::vector<StorageEntry>();
  return entries;
}

Result<std::vector<StoreFile>> list_files_of(Storage& storage, FileClass file_class) {
  StoreFiles out;
  VARVE_TRY(list_folder_of_class(storage, file_class, "", out));
  return std::move(out.files);
}

Result<StoreFiles> list_store_files(Storage& storage) {
  StoreFiles out;
  for (const FileClass file_class : {FileClass::kKeys, FileClass::kPack, FileClass::kCatalogPack,
                                     FileClass::kList, FileClass::kSnapshot, FileClass::kRecord}) {
    if (!is_fanned_out(file_class)) {
      VARVE_TRY(list_folder_of_class(storage, file_class, "", out));
      continue;
    }
    const std::string folder = folder_of_class(file_class);
    VARVE_TRY(list_temporaries(storage, folder, out));
    for (const StorageEntry& entry : VARVE_TRY(list_if_there(storage, folder))) {
      if (is_fan(entry)) VARVE_TRY(list_folder_of_class(storage, file_class, entry.name, out));
    }
  }
  VARVE_TRY(list_temporaries(storage, "", out));
  VARVE_TRY(list_temporaries(storage, kReplicaFolder, out));
  std::sort(out.files.begin(), out.files.end());
  return out;
}

}  // namespace varve
