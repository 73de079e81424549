#include "catalog/store_reader.h"

#include <deque>
#include <mutex>
#include <set>

#include "dedup/base/executor.h"
#include "dedup/base/log.h"
#include "dedup/base/posix_storage.h"
#include "dedup/guard.h"

namespace varve {

namespace {

constexpr size_t kReadAheadThreads = 2;
constexpr size_t kReadAheadQueue = 64;

/// An index that reads packs' own indexes when a chunk is asked for that none of those read so far
/// has: with good hints it stays empty. Catalog packs come first, and newer lists' packs before
/// older ones. Any thread.
class LazyIndex final : public ChunkIndex {
 public:
  void read_from(PackStore& packs) { packs_ = &packs; }

  /// The pack may be asked.
  void expect(const PackInfo& info) {
    std::lock_guard lock(mutex_);
    if (!expected_.insert(info.pack).second) return;
    if (info.pack_class == PackClass::kCatalog) {
      waiting_.push_front(info);
    } else {
      waiting_.push_back(info);
    }
  }

  Result<std::optional<ChunkPlace>> find(const ChunkId& id) override {
    std::lock_guard lock(mutex_);
    for (;;) {
      std::optional<ChunkPlace> place = VARVE_TRY(read_->find(id));
      if (place || waiting_.empty()) return place;
      read_next();
    }
  }

  void add(const PackId&, uint32_t, const std::vector<IndexedChunk>&) override {}
  void add_pack(const PackId&, const PackIndex&) override {}
  Result<void> add_packs(const std::vector<SealedPack>&) override { return {}; }
  void remove_pack(const PackId&) override {}
  std::vector<PackId> packs_on_disk() override { return {}; }
  Result<void> settle() override { return {}; }
  Figures figures() override {
    std::lock_guard lock(mutex_);
    return read_->figures();
  }

 private:
  void read_next() {
    const PackInfo info = waiting_.front();
    waiting_.pop_front();
    const Result<PackIndex> content = packs_->readable_index(info.pack);
    if (content.ok()) {
      read_->add_pack(info.pack, *content);
    } else {
      log_warning(pack_path(info.pack_class, info.hash) + ": " + content.error().message());
    }
  }

  std::mutex mutex_;
  PackStore* packs_ = nullptr;
  std::unique_ptr<ChunkIndex> read_ = make_memory_chunk_index();
  std::set<PackId> expected_;
  std::deque<PackInfo> waiting_;
};

}  // namespace

struct StoreReader::State {
  std::unique_ptr<Storage> storage;
  StoreConfig config;
  std::optional<Keyring> keyring;
  Metrics metrics;
  std::unique_ptr<History> history;
  LazyIndex index;
  std::unique_ptr<PackStore> packs;
  std::unique_ptr<Fetch> fetch;
  std::unique_ptr<Executor>
      read_ahead;  // goes first: runs what is queued while all that it needs is there

  Result<void> open(const std::string& root, const AccessSecret& secret, size_t cache_bytes);
  void know_packs_of(const FileHash& list);
};

Result<void> StoreReader::State::open(const std::string& root, const AccessSecret& secret,
                                      size_t cache_bytes) {
  storage = VARVE_TRY(open_posix_storage(root));
  config = VARVE_TRY(in_context(read_store_config(*storage), root));
  keyring.emplace(VARVE_TRY(open_keyring(*storage, config, secret)));
  const GuardFound found = VARVE_TRY(read_guard(*storage, root, config.store_id));
  const ReplicaId replica = found.guard ? found.guard->replica : ReplicaId();
  history = VARVE_TRY(History::open(*storage, *keyring, system_clock(), system_random(), replica));
  packs = std::make_unique<PackStore>(*storage, *keyring, system_random(), WriterId(), metrics);
  index.read_from(*packs);
  read_ahead = make_thread_pool("varve-ahead", kReadAheadThreads, kReadAheadQueue);
  fetch = std::make_unique<Fetch>(*packs, index, nullptr, read_ahead.get(), metrics, cache_bytes);
  return {};
}

void StoreReader::State::know_packs_of(const FileHash& list) {
  Result<std::vector<PackInfo>> listed = history->packs_of_list(list);
  if (!listed.ok()) {
    log_warning(listed.error().message() + "; packs are looked up in all other lists");
    listed = history->listed_packs();
  }
  for (const PackInfo& info : *listed) {
    if (!packs->find(info.pack)) packs->add(info);
    index.expect(info);
  }
}

StoreReader::StoreReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
StoreReader::~StoreReader() = default;

Result<std::unique_ptr<StoreReader>> StoreReader::open(const std::string& root,
                                                       const AccessSecret& secret,
                                                       size_t cache_bytes) {
  auto state = std::make_unique<State>();
  VARVE_TRY(state->open(root, secret, cache_bytes));
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
    state_->know_packs_of(info.header.list);
    return SnapshotReader(*state_->fetch, std::move(tree));
  }
  return Error(Errc::kNotFound, "the snapshot does not hold that set");
}

}  // namespace varve
