// Opening a store that is only read: everything of it is found as it is asked for, and nothing is
// written but local/, which is made anew each time but for what was read of indexes.
#include <algorithm>

#include "catalog/recovery.h"
#include "catalog/schema.h"
#include "catalog/working_copy_state.h"
#include "dedup/base/log.h"
#include "dedup/catalog_mode.h"
#include "dedup/store_files.h"

namespace varve {

namespace {

constexpr const char* kReadingLocal = "local";
constexpr const char* kReadingDatabase = "local/db";
constexpr const char* kReadingIndex = "local/index";
/// Says that this local/ is of a store that is read, and of which.
constexpr const char* kReadingMark = "local/reading";
constexpr const char* kLockName = "lock";
constexpr size_t kMarkBytesMax = 256;
/// They wait for the line, most of the time.
constexpr size_t kHistoryReaders = 64;
/// As a read waits for a place that does not answer.
constexpr std::chrono::seconds kFindPatience{60};

/// `local` is empty, or served the same purpose for the same store.
Result<void> check_local(Storage& storage, const StoreId& store, const std::string& local) {
  const Result<Bytes> mark = read_whole(storage, kReadingMark, kMarkBytesMax);
  if (mark.ok()) {
    if (as_text(*mark) == store.hex()) return {};
    return Error(Errc::kForeign, "local=" + local +
                                     " is in use for another store: name another directory, or "
                                     "remove what is in it");
  }
  if (mark.error().code() != Errc::kNotFound) return mark.error();
  for (const StorageEntry& entry : VARVE_TRY(storage.list(kReadingLocal))) {
    if (entry.name == kLockName || entry.name == "lost+found") continue;
    return Error(Errc::kInvalid, "local=" + local + " holds something else ('" + entry.name +
                                     "'): name an empty directory");
  }
  return {};
}

}  // namespace

Result<void> WorkingCopy::State::open_for_reading(const AccessSecret& secret) {
  config = VARVE_TRY(in_context(read_store_config(storage), root));
  if (const auto senders = VARVE_TRY(senders_without_catalog(storage)); !senders.empty())
    log_warning(root + ": " + no_disaster_copy(senders));
  VARVE_TRY(check_local(storage, config.store_id, world->local_directory()));
  lock = VARVE_TRY(world->lock(options.mountpoint));
  ballast.emplace(storage);
  keyring.emplace(VARVE_TRY(open_keyring(storage, config, secret)));
  VARVE_TRY(write_whole(storage, kReadingMark, as_bytes(config.store_id.hex())));
  VARVE_TRY(open_empty_database());
  // Where this is matters to who writes; and nothing but the storage may touch it.
  const AskPlace place = [] { return Place(); };
  const GuardFound found = VARVE_TRY(read_guard(storage, place, config.store_id));
  // Drops bind the replica that they name: a place that is none obeys none.
  guard = found.guard ? *found.guard : found.moved.value_or(Guard{});
  history_readers = world->make_executor("varve-history", kHistoryReaders, kHistoryReaders);
  history = VARVE_TRY(
      History::open(storage, *keyring, clock, random, guard->replica, history_readers.get()));
  hasher = std::make_unique<Hasher>(*keyring);
  chunker = std::make_unique<Chunker>(*keyring, config.chunker);
  packs = std::make_unique<PackStore>(storage, *keyring, random, WriterId(), metrics);
  auto lazy_packs = std::make_unique<LazyPacks>(*history, *packs, *history_readers,
                                                VARVE_TRY(open_chunk_index(storage, kReadingIndex)),
                                                kFindPatience);
  lazy = lazy_packs.get();
  index = std::move(lazy_packs);
  staged = std::make_unique<StagedKv>(*kv);
  VARVE_TRY(open_pipeline());
  VARVE_TRY(open_tree());
  return show_live_trees();
}

/// What it held can be had again from the store's files, at little cost.
Result<void> WorkingCopy::State::open_empty_database() {
  VARVE_TRY(storage.make_directories(kReadingDatabase));
  VARVE_TRY(world->erase_database(kReadingDatabase));
  kv = VARVE_TRY(world->open_database(kReadingDatabase));
  return {};
}

Result<void> WorkingCopy::State::show_live_trees() {
  std::optional<WriterId> guarded;
  if (!guard->writer.is_zero()) guarded = guard->writer;
  const RebuiltTrees trees = VARVE_TRY(choose_live_trees(*history, guarded));
  if (!trees.writer) {
    log_info(root + " is read: there is no snapshot and no checkpoint in it");
    return {};
  }
  for (const RebuiltTree& rebuilt : trees.trees) {
    VARVE_TRY(adopt_tree(rebuilt.tree, *tree));
    lazy->expect(rebuilt.list, rebuilt.from.header.set);
  }
  log_info(root + " is read: " + std::to_string(history->snapshots().size()) +
           " snapshots; live trees of " + std::to_string(trees.trees.size()) + " sets as writer " +
           trees.writer->hex() + (trees.by_guard ? "" : ", who has the newest checkpoint,") +
           " left them at " + utc_iso(trees.trees.empty() ? 0 : trees.trees[0].from.time));
  if (staged->freeze()) VARVE_TRY(staged->commit_frozen({}));
  return {};
}

}  // namespace varve
