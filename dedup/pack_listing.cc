#include <fmt/format.h>

#include "dedup/base/checksum.h"
#include "dedup/base/limits.h"
#include "dedup/base/log.h"
#include "dedup/pack_store_state.h"
#include "dedup/store_files.h"

namespace varve {
namespace {

constexpr size_t kHashedAtOnceBytes = 1 * kMiB;

bool is_folder_name(const std::string& name) {
  return name.size() == 2 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// What a file says of itself; its name says its hash.
Result<PackStore::Stranger> look_at(Storage& storage, PackClass pack_class, const FileHash& hash,
                                    const StoreId& store) {
  auto file = VARVE_TRY(storage.open_read(pack_path(pack_class, hash)));
  std::array<uint8_t, kPackHeaderBytes> bytes;
  VARVE_TRY(read_exactly(*file, 0, bytes));
  const PackHeader header = VARVE_TRY(decode_pack_header(bytes));
  if (header.store != store) return Error(Errc::kForeign, "belongs to store " + header.store.hex());
  if (header.pack_class != pack_class) return Error(Errc::kCorrupt, "lies in the wrong folder");
  return PackStore::Stranger{{header.pack, hash, VARVE_TRY(file->length()), pack_class},
                             header.writer};
}

using KnownFiles = std::set<FileHash>;

struct Listing {
  PackStore::State& state;
  KnownFiles skipped;
  std::vector<PackStore::Stranger> found;
};

Result<void> list_folder(Listing& listing, PackClass pack_class, const std::string& folder) {
  PackStore::State& state = listing.state;
  const std::string path = std::string(pack_folder(pack_class)) + "/" + folder;
  for (const StorageEntry& entry : VARVE_TRY(list_if_there(state.storage, path))) {
    auto hash = FileHash::from_hex(entry.name);
    // Upper-case digits make no name of ours, and the hash has to lie in its own folder.
    if (!hash || entry.is_directory || hash->hex() != entry.name ||
        entry.name.substr(0, 2) != folder)
      continue;
    if (listing.skipped.contains(*hash)) continue;
    auto info = look_at(state.storage, pack_class, *hash, state.keyring.store_id());
    if (info.ok()) {
      listing.found.push_back(*info);
    } else {
      log_warning(fmt::format("{}/{} is left out: {}", path, entry.name, info.error().message()));
    }
  }
  return {};
}

Result<void> list_all(Listing& listing) {
  for (PackClass pack_class : {PackClass::kData, PackClass::kCatalog}) {
    const std::string parent(pack_folder(pack_class));
    for (const StorageEntry& entry : VARVE_TRY(list_if_there(listing.state.storage, parent))) {
      if (!entry.is_directory || !is_folder_name(entry.name)) continue;
      VARVE_TRY(list_folder(listing, pack_class, entry.name));
    }
  }
  return {};
}

}  // namespace

Result<std::vector<PackInfo>> PackStore::list_files() {
  Listing listing{*state_, {}, {}};
  VARVE_TRY(list_all(listing));
  std::vector<PackInfo> packs;
  for (const Stranger& file : listing.found) packs.push_back(file.info);
  return packs;
}

Result<std::vector<PackStore::Stranger>> PackStore::list_strangers() {
  Listing listing{*state_, {}, {}};
  for (const PackInfo& info : sealed_packs()) listing.skipped.insert(info.hash);
  VARVE_TRY(list_all(listing));
  return std::move(listing.found);
}

Result<void> PackStore::check_hash(const PackInfo& info) {
  const std::string path = pack_path(info.pack_class, info.hash);
  auto file = VARVE_TRY(state_->storage.open_read(path));
  Sha256 hash;
  Buffer piece(kHashedAtOnceBytes);
  for (uint64_t offset = 0;;) {
    const size_t count = VARVE_TRY(file->read_at(offset, piece.span()));
    hash.update(piece.view().first(count));
    offset += count;
    if (count < piece.size()) break;
  }
  if (hash.finish() == info.hash) return {};
  return Error(Errc::kCorrupt, path + ": its bytes do not hash to its name");
}

Result<void> PackStore::remove_file(const PackInfo& info) {
  const std::string path = pack_path(info.pack_class, info.hash);
  VARVE_TRY(state_->storage.unlink(path));
  return state_->storage.sync_dir(path.substr(0, path.rfind('/')));
}

}  // namespace varve
