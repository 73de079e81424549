#include "catalog/join.h"

#include "dedup/base/checksum.h"
#include "dedup/base/limits.h"
#include "dedup/writer_head.h"

namespace varve {
namespace {

constexpr size_t kConfigBytesMax = 64 * kKiB;

std::string key_path(const FileHash& hash) {
  return std::string(kKeysDirectory) + "/" + hash.hex();
}

}  // namespace

Result<std::unique_ptr<StoreToJoin>> StoreToJoin::open(const World& world,
                                                       const AccessSecret& secret) {
  Storage& storage = world.storage;
  const StoreConfig config = VARVE_TRY(read_store_config(storage));
  Keyring keyring = VARVE_TRY(open_keyring(storage, config, secret));
  std::unique_ptr<StoreToJoin> store(new StoreToJoin(world, std::move(keyring)));
  store->config_ = config;
  store->config_file_ = VARVE_TRY(read_whole(storage, kStoreConfigPath, kConfigBytesMax));
  if (sha256(store->config_file_) != config.hash)
    return Error(Errc::kCorrupt, "store.json changed while it was read");
  for (const FoundGeneration& found : VARVE_TRY(read_generations_in_force(storage, config))) {
    Bytes file = VARVE_TRY(read_whole(storage, key_path(found.hash), kGenerationBytesMax));
    if (sha256(file) != found.hash)
      return Error(Errc::kCorrupt, key_path(found.hash) + " changed while it was read");
    store->generations_.emplace_back(found.hash, std::move(file));
  }
  // As a reader that is no replica: no drop binds it.
  store->history_ = VARVE_TRY(History::open(storage, store->keyring_, world.clock, world.random,
                                            ReplicaId(), world.readers));
  return store;
}

Result<StoreToJoin::Joined> StoreToJoin::join(Storage& storage, const AskPlace& place) const {
  VARVE_TRY(check_nothing_in_the_way(storage));
  Joined joined{world_.random.id<WriterId>(), world_.random.id<ReplicaId>()};
  const History::FirstRecord first = VARVE_TRY(history_->first_record_of(joined.writer));
  joined.sequence = first.sequence;
  VARVE_TRY(make_store_folders(storage));
  for (const auto& [hash, file] : generations_) {
    VARVE_TRY(write_whole(storage, key_path(hash), file));
  }
  VARVE_TRY(write_whole(storage, "records/" + sha256(first.file).hex(), first.file));
  // The guard names the writer from the beginning: it has no live trees, and takes nobody else's.
  VARVE_TRY(write_guard(storage, place, config_.store_id, {joined.replica, joined.writer}));
  VARVE_TRY(write_writer_head(storage, {joined.writer, joined.sequence, {}}));
  VARVE_TRY(write_whole(storage, kStoreConfigPath, config_file_));
  return joined;
}

}  // namespace varve
