#include "catalog/store_reader.h"

#include "catalog/lazy_packs.h"
#include "dedup/base/executor.h"
#include "dedup/base/log.h"
#include "dedup/base/posix_storage.h"
#include "dedup/guard.h"

namespace varve {

namespace {

constexpr size_t kReadAheadThreads = 2;
constexpr size_t kReadAheadQueue = 64;
constexpr size_t kHistoryReaders = 32;                 // the store may be a remote
constexpr std::chrono::hours kFindPatience{24 * 365};  // who reads a store so has time

}  // namespace

struct StoreReader::State {
  std::unique_ptr<Storage> storage;
  StoreConfig config;
  std::optional<Keyring> keyring;
  Metrics metrics;
  std::unique_ptr<Executor> history_readers;
  std::unique_ptr<History> history;
  std::unique_ptr<PackStore> packs;
  std::unique_ptr<LazyPacks> index;
  std::unique_ptr<Fetch> fetch;
  std::unique_ptr<Executor>
      read_ahead;  // goes first: runs what is queued while all that it needs is there

  Result<void> open(const std::string& root, const AccessSecret& secret, size_t cache_bytes,
                    Elsewhere* elsewhere);
};

Result<void> StoreReader::State::open(const std::string& root, const AccessSecret& secret,
                                      size_t cache_bytes, Elsewhere* elsewhere) {
  storage = VARVE_TRY(open_posix_storage(root));
  config = VARVE_TRY(in_context(read_store_config(*storage), root));
  keyring.emplace(VARVE_TRY(open_keyring(*storage, config, secret)));
  const GuardFound found = VARVE_TRY(read_guard(*storage, root, config.store_id));
  const ReplicaId replica = found.guard ? found.guard->replica : ReplicaId();
  history_readers = make_thread_pool("varve-history", kHistoryReaders, kHistoryReaders);
  history = VARVE_TRY(History::open(*storage, *keyring, system_clock(), system_random(), replica,
                                    history_readers.get()));
  packs = std::make_unique<PackStore>(*storage, *keyring, system_random(), WriterId(), metrics);
  if (elsewhere != nullptr) packs->look_elsewhere(elsewhere, [](const PackInfo&) {});
  index = std::make_unique<LazyPacks>(*history, *packs, *history_readers, make_memory_chunk_index(),
                                      kFindPatience);
  read_ahead = make_thread_pool("varve-ahead", kReadAheadThreads, kReadAheadQueue);
  fetch = std::make_unique<Fetch>(*packs, *index, nullptr, read_ahead.get(), metrics, cache_bytes);
  return {};
}

StoreReader::StoreReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
StoreReader::~StoreReader() = default;

Result<std::unique_ptr<StoreReader>> StoreReader::open(const std::string& root,
                                                       const AccessSecret& secret,
                                                       size_t cache_bytes, Elsewhere* elsewhere) {
  auto state = std::make_unique<State>();
  VARVE_TRY(state->open(root, secret, cache_bytes, elsewhere));
  return std::unique_ptr<StoreReader>(new StoreReader(std::move(state)));
}

History& StoreReader::history() {
  return *state_->history;
}
Fetch& StoreReader::fetch() {
  return *state_->fetch;
}

Result<SnapshotReader> StoreReader::snapshot(const SnapshotInfo& info, const SetId& set) {
  SnapshotBody body = VARVE_TRY(state_->history->body(info.hash));
  for (SnapshotTree& tree : body.trees) {
    if (tree.set != set) continue;
    state_->index->expect(info.header.list, info.header.set);
    return SnapshotReader(*state_->fetch, std::move(tree));
  }
  return Error(Errc::kNotFound, "the snapshot does not hold that set");
}

}  // namespace varve
