// Opening a working copy, step by step in the order of the header.
#include <algorithm>
#include <thread>

#include "catalog/recovery.h"
#include "catalog/repair.h"
#include "catalog/schema.h"
#include "catalog/working_copy_state.h"
#include "dedup/base/log.h"

namespace varve {

namespace {

constexpr const char* kDatabase = "local/db";
constexpr const char* kOpenPacks = "local/open";
constexpr const char* kIndex = "local/index";
constexpr size_t kCompressionQueue = 64;
constexpr size_t kReadAheadThreads = 2;
constexpr size_t kReadAheadQueue = 64;

Result<bool> is_empty(KvView& view) {
  const std::unique_ptr<KvCursor> cursor = VARVE_TRY(view.cursor());
  VARVE_TRY(cursor->seek(std::string(1, '\0')));
  return !cursor->valid();
}

}  // namespace

Result<std::unique_ptr<WorkingCopy>> WorkingCopy::open(const std::string& root,
                                                       const AccessSecret& secret,
                                                       const Options& options, Metrics& metrics) {
  return open(VARVE_TRY(open_world(root)), secret, options, metrics);
}

Result<std::unique_ptr<WorkingCopy>> WorkingCopy::open(std::unique_ptr<World> world,
                                                       const AccessSecret& secret,
                                                       const Options& options, Metrics& metrics) {
  const std::shared_ptr<World> shared = std::move(world);
  auto state = std::make_unique<State>(shared, options, metrics);
  Result<void> opened = state->open(secret);
  const auto failed_with = [&](Errc code) { return !opened.ok() && opened.error().code() == code; };
  const auto again = [&] {
    state.reset();
    state = std::make_unique<State>(shared, options, metrics);
    opened = state->open(secret);
  };
  while (failed_with(Errc::kNoSpace) && state->ballast && state->ballast->give()) again();
  // A database that was found damaged on the way is refused the second time.
  if (failed_with(Errc::kCorrupt) && state->kv) again();
  VARVE_TRY(std::move(opened));
  if (!options.read_only) state->ballast->take_if_room();
  return std::unique_ptr<WorkingCopy>(new WorkingCopy(std::move(state)));
}

Result<void> WorkingCopy::State::open(const AccessSecret& secret) {
  if (world->only_reads()) return open_for_reading(secret);
  VARVE_TRY(open_files(secret));
  VARVE_TRY(open_database());
  VARVE_TRY(open_history());
  VARVE_TRY(meet_successor());
  VARVE_TRY(choose_writer());
  VARVE_TRY(open_packs());
  VARVE_TRY(open_pipeline());
  VARVE_TRY(open_tree());
  if (rebuild) VARVE_TRY(take_first_checkpoint());
  if (guard->promoting) VARVE_TRY(complete_promotion());
  return release_orphans();
}

Result<void> WorkingCopy::State::open_files(const AccessSecret& secret) {
  config = VARVE_TRY(in_context(read_store_config(storage), root));
  VARVE_TRY(check_may_live_here());
  VARVE_TRY(storage.make_directories("local"));
  lock = VARVE_TRY(world->lock(options.mountpoint));
  ballast.emplace(storage);
  if (!options.read_only) ballast->take_over();
  keyring.emplace(VARVE_TRY(open_keyring(storage, config, secret)));
  for (const char* folder :
       {"packs", "catalog", "lists", "snapshots", "records", kDatabase, kOpenPacks, kIndex}) {
    VARVE_TRY(storage.make_directories(folder));
  }
  return {};
}

Result<void> WorkingCopy::State::check_may_live_here() {
  if (options.read_only && !VARVE_TRY(storage.exists("local"))) {
    return Error(Errc::kReadOnly,
                 root +
                     " has no working copy (local/), as a remote has none: to read it, mount it "
                     "with -o ro,local=DIR, where DIR is an empty directory on this machine");
  }
  const AskPlace place = [this] { return world->place(); };
  const GuardFound found = VARVE_TRY(read_guard(storage, place, config.store_id));
  if (!found.guard || !found.guard->anywhere || !found.guard->writer.is_zero())
    return world->check_local();
  return Error(Errc::kReadOnly,
               root +
                   " is a remote: to read it, mount it with -o ro,local=DIR, where DIR is an empty "
                   "directory on this machine; varve promote makes a live store of it");
}

// The database.

Result<bool> WorkingCopy::State::is_ours(Kv& database) {
  const std::unique_ptr<KvView> view = VARVE_TRY(database.view());
  const auto store = VARVE_TRY(view->get(key::meta("store")));
  const auto schema = VARVE_TRY(view->get(key::meta("schema")));
  if (!store || *store != as_text(config.store_id.view()) || !schema) return false;
  const Result<uint32_t> version = decode_u32(*schema);
  return version.ok() && *version == kSchemaVersion;
}

Result<void> WorkingCopy::State::move_aside(const std::string& why) {
  kv.reset();
  const std::string folder =
      VARVE_TRY(move_working_copy_aside(storage, world->local_directory(), clock));
  log_warning("the working copy in local/ is refused: " + why + "; it is moved to " + folder);
  return {};
}

Result<void> WorkingCopy::State::open_database() {
  // What it held is in a snapshot (catalog/rejoin.cc).
  if (options.on_return == Options::Return::kTakeTheirs)
    VARVE_TRY(world->erase_database(kDatabase));
  Result<std::unique_ptr<Kv>> opened = world->open_database(kDatabase);
  std::string refused = "it is of another version or another store";
  if (opened.ok()) {
    kv = std::move(opened).value();
    const std::unique_ptr<KvView> view = VARVE_TRY(kv->view());
    rebuild = VARVE_TRY(is_empty(*view));
    // Its name is durable before anything in it is promised; local/ itself is synced with the
    // writer's head.
    if (rebuild) return storage.sync_dir(kDatabase);
    Result<bool> ours = is_ours(*kv);
    if (ours.ok() && *ours) return {};
  } else {
    if (opened.error().code() != Errc::kCorrupt) return std::move(opened).error();
    refused = opened.error().message();
  }
  VARVE_TRY(move_aside(refused));
  rebuild = true;
  kv = VARVE_TRY(world->open_database(kDatabase));
  return storage.sync_dir(kDatabase);
}

// History and the writer.

Result<void> WorkingCopy::State::open_history() {
  GuardFound found = VARVE_TRY(read_guard(
      storage, [this] { return world->place(); }, config.store_id));
  guard = found.guard;
  if (guard && guard->promoting && options.read_only) {
    return Error(Errc::kReadOnly, root + " is not yet a live store in full: mount it without ro");
  }
  if (!guard) {
    fresh_guard = true;
    if (found.moved) {
      log_warning(root + " was copied or restored: it is a replica of its own from now on");
    }
    // Until this place's writer has a checkpoint, a rebuild goes by the newest one of any.
    guard = Guard{random.id<ReplicaId>(), WriterId()};
    VARVE_TRY(write_guard_here());
  }
  history = VARVE_TRY(History::open(storage, *keyring, clock, random, guard->replica));
  return {};
}

std::optional<Promotion> WorkingCopy::State::find_successor() const {
  std::vector<WriterId> mine = history->succeeded();
  mine.push_back(history->writer());
  mine.insert(mine.end(), found_writers.begin(), found_writers.end());
  return unsettled_promotion(history->promotions(), mine, guard->replica);
}

Result<void> WorkingCopy::State::meet_successor() {
  head = VARVE_TRY(read_writer_head(storage));
  if (guard->promoting) return {};  // by whom it was succeeded before is settled with that
  found_writers.push_back(guard->writer);
  if (head) {
    found_writers.push_back(head->writer);
    found_writers.insert(found_writers.end(), head->succeeded.begin(), head->succeeded.end());
  }
  succeeded_by = find_successor();
  if (options.on_return != Options::Return::kWait) {
    if (succeeded_by) return {};
    return Error(Errc::kInvalid, root + " was not succeeded elsewhere: there is nothing to rejoin");
  }
  if (!succeeded_by) return {};
  const std::string what = what_succession_asks(root, *succeeded_by);
  if (!options.read_only) return Error(Errc::kBusy, what);
  log_warning(what);
  return {};
}

/// It goes on as the writer that published the record of its joining.
bool WorkingCopy::State::has_just_joined() const {
  if (guard->writer != head->writer || !head->succeeded.empty()) return false;
  const auto published = history->head(head->writer);
  if (!published || published->sequence != head->sequence) return false;
  const auto is_its = [&](const SnapshotInfo& info) { return info.writer == head->writer; };
  return std::ranges::none_of(history->checkpoints(), is_its) &&
         std::ranges::none_of(history->snapshots(), is_its);
}

Result<void> WorkingCopy::State::choose_writer() {
  std::string renewed;
  // Whoever makes its database anew on purpose, or has just joined, knows what it gave.
  const bool is_new =
      !head || (rebuild && options.on_return != Options::Return::kTakeTheirs && !has_just_joined());
  if (is_new) {
    head = WriterHead{random.id<WriterId>(), 0, {}};
  } else if (succeeded_by && succeeded_by->from == head->writer && !options.read_only) {
    renewed = "writer " + head->writer.hex() + " was succeeded elsewhere";
  } else if (fresh_guard) {
    renewed = "the store was copied or restored";
  } else if (const auto published = history->head(head->writer);
             published && published->sequence > head->sequence) {
    renewed = "writer " + head->writer.hex() + " meets its own id with sequence " +
              std::to_string(published->sequence) + ", which it did not give";
  }
  if (!renewed.empty()) {
    const WriterId old = head->writer;
    head->writer = random.id<WriterId>();
    head->sequence = 0;
    head->succeeded.push_back(old);
    log_warning(renewed + "; it goes on as writer " + head->writer.hex());
  }
  // What stands there is not written again: on a full disk that would keep the store from mounting.
  if (is_new || !renewed.empty()) VARVE_TRY(write_writer_head(storage, *head));
  history->become(head->writer, head->succeeded);
  history->before_publish([this](const WriterId& writer, const std::vector<WriterId>& succeeded,
                                 uint64_t sequence) -> Result<void> {
    return write_writer_head(storage, {writer, sequence, succeeded});
  });
  // Locks go by the place's own clock.
  history->tell_time_by([this] { return world->machine_time(); });
  if (!options.read_only) history->save_time();
  return {};
}

// Packs and the pipeline.

Result<void> WorkingCopy::State::open_packs() {
  hasher = std::make_unique<Hasher>(*keyring);
  chunker = std::make_unique<Chunker>(*keyring, config.chunker);
  packs = std::make_unique<PackStore>(storage, *keyring, random, history->writer(), metrics);
  if (options.elsewhere != nullptr) look_elsewhere();
  tell_holds();
  auto late_index =
      std::make_unique<LateIndex>([this] { return open_chunk_index(storage, kIndex); });
  late = late_index.get();
  index = std::move(late_index);
  const std::unique_ptr<KvView> view = VARVE_TRY(kv->view());
  const std::string closed_row = key::meta(kClosed);
  const bool closed = VARVE_TRY(view->get(closed_row)).has_value();
  // Here packs go into the index: without one this is no mount.
  if (!closed || rebuild) VARVE_TRY(late->open());
  KvBatch changes = VARVE_TRY(recover_packs(*view, {*history, *packs, *index, closed || rebuild}));
  if (closed) changes[closed_row] = std::nullopt;
  if (rebuild) changes.merge(VARVE_TRY(rebuild_packs(*history, *packs, *index)));
  make_index_ready();
  // Of a rebuild nothing is stored before all of it is.
  staged = std::make_unique<StagedKv>(*kv);
  if (rebuild) {
    changes[key::meta("store")] = std::string(as_text(config.store_id.view()));
    staged->apply(std::move(changes));
  } else if (!changes.empty()) {
    Result<void> committed = kv->commit(changes);
    // On a full disk the next commit has them; until then another crash finds the same again.
    if (!committed.ok() && committed.error().code() != Errc::kNoSpace) return committed;
    if (!committed.ok()) staged->apply(std::move(changes));
  }
  return {};
}

void WorkingCopy::State::tell_holds() {
  for (const HoldInForce& one : history->holds()) {
    if (one.hold.replica == guard->replica) continue;
    for (const FileHash& list : one.hold.lists) {
      const auto held = history->packs_of_list(list);
      if (held.ok()) packs->hold(*held);
      if (!held.ok())
        log_warning("which packs are evicted is not all known: " + held.error().message());
    }
  }
}

void WorkingCopy::State::look_elsewhere() {
  if (options.read_only) return packs->look_elsewhere(options.elsewhere, {});
  mending = world->make_executor("varve-mend", 1, 1);
  mender = std::make_unique<PackMender>(storage, *options.elsewhere, *mending, metrics,
                                        [this](const PackInfo& info) { packs->mended(info); });
  packs->look_elsewhere(options.elsewhere, [this](const PackInfo& info) { mender->want(info); });
}

/// Beside all that follows, which waits where it needs the index.
void WorkingCopy::State::make_index_ready() {
  indexer = world->make_executor("varve-index", 1, 1);
  late->make_ready(*indexer,
                   [this](ChunkIndex& opened) { complete_index(storage, *packs, opened); });
}

Result<void> WorkingCopy::State::open_pipeline() {
  size_t threads = options.threads;
  if (threads == 0) threads = std::max(1U, std::thread::hardware_concurrency());
  compressors = world->make_executor("varve-compress", threads, kCompressionQueue);
  finisher = world->make_executor("varve-seal", 1, kFinishingPacksMax);
  read_ahead = world->make_executor("varve-ahead", kReadAheadThreads, kReadAheadQueue);
  Ingest::Options ingest_options;
  ingest_options.pending_bytes_max = options.pending_bytes_max;
  ingest_options.compression_level = options.compression_level;
  ingest_options.finisher = finisher.get();
  ingest = std::make_unique<Ingest>(*packs, *index, *hasher, *compressors, metrics, ingest_options);
  fetch = std::make_unique<Fetch>(*packs, *index, ingest.get(), read_ahead.get(), metrics,
                                  options.cache_bytes);
  return {};
}

// The tree.

Result<void> WorkingCopy::State::open_tree() {
  TreeUnfolder::NoteHint note;
  if (lazy != nullptr) {
    note = [this](const ChunkId& id, const ChunkPlace& place) { lazy->note(id, place); };
  }
  unfolder = std::make_unique<TreeUnfolder>(*fetch, std::move(note));
  tree = VARVE_TRY(LiveTree::open(*staged, unfolder.get(), clock, random));
  history->keep_lists([this] {
    std::vector<FileHash> lists;
    for (const LiveTree::Set& set : tree->sets()) {
      if (set.row.newest_list) lists.push_back(*set.row.newest_list);
    }
    return lists;
  });
  Committer::Options committing;
  committing.staged_bytes_max = options.staged_bytes_max;
  committing.find_space = [this] { return ballast->give(); };
  committer = std::make_unique<Committer>(*staged, *tree, *ingest, std::move(committing));
  snapshotter = std::make_unique<Snapshotter>(*staged, *tree, *committer, *ingest, *index, *packs,
                                              *fetch, *history, storage);
  if (rebuild) VARVE_TRY(rebuild_tree());
  return {};
}

Result<void> WorkingCopy::State::rebuild_tree() {
  const bool take_theirs = options.on_return == Options::Return::kTakeTheirs;
  std::optional<WriterId> wanted;
  if (!guard->writer.is_zero()) wanted = guard->writer;
  if (take_theirs) wanted = present_writer_after(*succeeded_by, history->promotions());
  const RebuiltTrees trees = VARVE_TRY(choose_live_trees(*history, wanted));
  if (take_theirs && (!trees.by_guard || trees.trees.empty())) {
    return Error(Errc::kNotFound,
                 "nothing is here that writer " + wanted->hex() + " has published");
  }
  if (trees.writer == history->writer()) {
    log_info("writer " + trees.writer->hex() + " has joined the store: it begins without sets; " +
             std::to_string(history->snapshots().size()) + " snapshots of other writers are here");
  } else if (trees.writer) {
    log_info(std::string(take_theirs ? "this store takes over where its successor is"
                                     : "local/ was missing or refused") +
             ": the working copy is rebuilt from the store's files: " +
             std::to_string(history->snapshots().size()) + " snapshots, " +
             std::to_string(packs->sealed_packs().size()) + " packs, live trees of " +
             std::to_string(trees.trees.size()) + " sets as writer " + trees.writer->hex() +
             " left them at " + utc_iso(trees.trees.empty() ? 0 : trees.trees[0].from.time));
    if (!trees.by_guard) {
      log_warning(
          "replica/guard names no writer of these files: the live trees are those of the "
          "writer with the newest checkpoint");
    }
    if (!take_theirs) VARVE_TRY(succeed(*trees.writer));
    VARVE_TRY(adopt_live_trees(trees, *history, storage, *tree, *staged));
  } else {
    guard->writer = history->writer();  // nobody has published anything: this one will
    VARVE_TRY(write_guard_here());
  }
  if (staged->freeze()) VARVE_TRY(staged->commit_frozen({}));
  return {};
}

/// The checkpoints of `old` are this writer's from now on.
Result<void> WorkingCopy::State::succeed(const WriterId& old) {
  std::vector<WriterId> succeeded = history->succeeded();
  succeeded.push_back(old);
  VARVE_TRY(write_writer_head(storage, {history->writer(), 0, succeeded}));
  history->become(history->writer(), succeeded);
  return {};
}

Result<void> WorkingCopy::State::take_first_checkpoint() {
  const std::vector<WriterId> succeeded = history->succeeded();
  if (succeeded.empty()) return {};  // a new store
  // Who follows the writers of this place finds the present one.
  if (succeeded.back() == guard->writer && options.on_return == Options::Return::kWait)
    VARVE_TRY(note_succession(guard->writer));
  VARVE_TRY(history->publish_base());
  const Result<void> taken = take_checkpoint();
  if (taken.ok()) return name_writer_in_guard();
  log_warning("no checkpoint after the rebuild: " + taken.error().message());
  return {};
}

Result<void> WorkingCopy::State::take_checkpoint() {
  const Snapshotter::Request request{SnapshotClass::kCheckpoint, 0, ""};
  const auto at_once = [](const Snapshotter::Moment& moment) { return moment(); };
  VARVE_TRY(snapshotter->take(request, at_once));
  return {};
}

Result<void> WorkingCopy::State::complete_promotion() {
  if (!has_checkpoint(history->writer())) {
    const Result<void> taken = take_checkpoint();
    if (!taken.ok()) {
      log_warning("the promotion is complete with the next checkpoint: " + taken.error().message());
      return {};
    }
  }
  return name_writer_in_guard();
}

Result<void> WorkingCopy::State::release_orphans() {
  const std::vector<Ino> orphans = VARVE_TRY(tree->orphans());
  for (const Ino ino : orphans) VARVE_TRY(tree->release(ino));
  return {};
}

}  // namespace varve
