// The immutable files of a store, by their names alone; and what unfinished writes have left beside
// them.
//
// Needs no key. Names of any other form are not varve's and are passed over.
#pragma once

#include <string>
#include <vector>

#include "dedup/base/id.h"
#include "dedup/base/storage.h"

namespace varve {

/// In the order of publishing.
enum class FileClass : uint8_t { kKeys, kPack, kCatalogPack, kList, kSnapshot, kRecord };

struct StoreFile {
  FileClass file_class = FileClass::kPack;
  FileHash hash;
  friend auto operator<=>(const StoreFile&, const StoreFile&) = default;
};

/// "packs/ab/<hash>", "lists/<hash>" and so on.
std::string path_of(const StoreFile& file);
/// "packs/ab", "lists": what path_of() lies in.
std::string folder_of(const StoreFile& file);

struct StoreFiles {
  std::vector<StoreFile> files;          // in the order of publishing, then by name
  std::vector<std::string> temporaries;  // paths of `.tmp-*`
};

/// Lists keys/, packs/, catalog/, lists/, snapshots/ and records/; folders may be missing.
Result<StoreFiles> list_store_files(Storage& storage);
/// Those of one class that lies in one folder: keys, lists, snapshots or records.
Result<std::vector<StoreFile>> list_files_of(Storage& storage, FileClass file_class);

/// Entries of a directory; none if it is not there.
Result<std::vector<StorageEntry>> list_if_there(Storage& storage, const std::string& path);

}  // namespace varve
