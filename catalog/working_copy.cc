#include "catalog/working_copy.h"

#include <algorithm>

#include "catalog/recovery.h"
#include "catalog/schema.h"
#include "catalog/snapshot_needs.h"
#include "catalog/snapshot_results.h"
#include "catalog/working_copy_state.h"
#include "dedup/base/log.h"

namespace varve {

namespace {

constexpr uint32_t kViewNumberMax = (1U << 22) - 1;

}  // namespace

WorkingCopy::WorkingCopy(std::unique_ptr<State> state) : state_(std::move(state)) {}
WorkingCopy::~WorkingCopy() = default;

void WorkingCopy::enter(StoreLock::Stage stage, std::string_view trouble) {
  if (state_->lock) state_->lock->enter(stage, trouble);
}

const std::string& WorkingCopy::root() const {
  return state_->root;
}
std::string WorkingCopy::local_directory() const {
  return state_->world->local_directory();
}
bool WorkingCopy::only_reads() const {
  return state_->world->only_reads();
}
const StoreConfig& WorkingCopy::config() const {
  return state_->config;
}
const Chunker& WorkingCopy::chunker() const {
  return *state_->chunker;
}
LiveTree& WorkingCopy::tree() {
  return *state_->tree;
}
Committer& WorkingCopy::committer() {
  return *state_->committer;
}
Snapshotter& WorkingCopy::snapshotter() {
  return *state_->snapshotter;
}
History& WorkingCopy::history() {
  return *state_->history;
}
Ingest& WorkingCopy::ingest() {
  return *state_->ingest;
}
Fetch& WorkingCopy::fetch() {
  return *state_->fetch;
}
ChunkIndex& WorkingCopy::index() {
  return *state_->index;
}
PackStore& WorkingCopy::packs() {
  return *state_->packs;
}
Storage& WorkingCopy::storage() {
  return state_->storage;
}
Ballast& WorkingCopy::ballast() {
  return *state_->ballast;
}

Result<bool> WorkingCopy::is_bundled(const PackId& pack) {
  return !VARVE_TRY(state_->staged->get(key::unbundled(pack))).has_value();
}

void WorkingCopy::look_after_packs() {
  if (state_->options.elsewhere == nullptr) return;
  state_->packs->rest();
  state_->options.elsewhere->rest();
  if (state_->mender) state_->mender->try_again();
}

// Ending.

Result<void> WorkingCopy::State::seal_packs() {
  VARVE_TRY(committer->seal_open(PackClass::kData));
  VARVE_TRY(committer->seal_open(PackClass::kCatalog));
  KvBatch closed;
  closed.emplace(key::meta(kClosed), "");
  staged->apply(std::move(closed));
  return committer->commit();
}

Result<void> WorkingCopy::State::write_guard_here() {
  if (guard->anywhere) return write_unbound_guard(storage, config.store_id, *guard);
  return write_guard(
      storage, [this] { return world->place(); }, config.store_id, *guard);
}

bool WorkingCopy::State::has_checkpoint(const WriterId& writer) const {
  const std::vector<SnapshotInfo> all = history->checkpoints();
  return std::any_of(all.begin(), all.end(), [&](const auto& one) { return one.writer == writer; });
}

Result<void> WorkingCopy::State::note_succession(const WriterId& from) {
  const WriterId writer = history->writer();
  for (const Promotion& known : history->promotions()) {
    if (known.from == from && known.to == writer && known.replica == guard->replica) return {};
  }
  return history->publish_record({promotion_statement({from, writer, guard->replica})});
}

Result<void> WorkingCopy::State::name_writer_in_guard() {
  const WriterId writer = history->writer();
  if (guard->writer == writer && !guard->promoting) return {};
  if (!has_checkpoint(writer)) return {};
  if (guard->promoting) {
    VARVE_TRY(note_succession(guard->writer));
  } else if (find_successor()) {
    return {};  // until that is settled, this place is the one that was succeeded
  }
  guard->writer = writer;
  guard->promoting = false;
  return write_guard_here();
}

WorkingCopy::State::~State() {
  if (mender) mender->stop();
  // These run what is queued, while all that it needs is there.
  indexer.reset();
  read_ahead.reset();
  mending.reset();
  snapshotter.reset();
  committer.reset();
  tree.reset();
  unfolder.reset();
  staged.reset();
  fetch.reset();
  ingest.reset();
  finisher.reset();
  compressors.reset();
  index.reset();
  packs.reset();
  history.reset();
  kv.reset();
  lock.reset();
}

Result<void> WorkingCopy::finish(
    const std::function<Result<void>(const Snapshotter::Moment&)>& quiesce) {
  State& state = *state_;
  // Whether a checkpoint is due is seen in the tree, so everything has to be there first. Without
  // one the working copy has all that is committed: an error here must not keep that from it.
  Result<void> checkpointed =
      state.ballast->with_space([&] { return quiesce([] { return Result<void>(); }); });
  if (checkpointed.ok() && !state.options.read_only && state.snapshotter->checkpoint_due()) {
    auto taken = state.snapshotter->take({SnapshotClass::kCheckpoint, 0, ""}, quiesce);
    if (!taken.ok()) checkpointed = std::move(taken).error();
  }
  VARVE_TRY(in_context(state.committer->commit(),
                       "what was written since the last commit could not be stored"));
  Result<void> sealed = state.seal_packs();
  VARVE_TRY(
      in_context(std::move(checkpointed),
                 "no checkpoint at the end: what came after the last one is in local/ alone"));
  VARVE_TRY(in_context(std::move(sealed),
                       "packs stay open in local/ until the next mount finishes them"));
  if (!state.options.read_only) {
    state.history->save_time();
    VARVE_TRY(after_checkpoint());
  }
  return state.index->settle();
}

Result<void> WorkingCopy::after_checkpoint() {
  VARVE_TRY(state_->history->prune_checkpoints());
  return state_->name_writer_in_guard();
}

// Promotion and return.

bool WorkingCopy::is_promoting() const {
  return state_->guard->promoting;
}

std::optional<Promotion> WorkingCopy::succeeded_by() const {
  return state_->find_successor();
}

Result<void> WorkingCopy::settle_return() {
  if (!state_->has_checkpoint(state_->history->writer())) VARVE_TRY(state_->take_checkpoint());
  // Each of them settles one.
  while (const std::optional<Promotion> promotion = state_->find_successor()) {
    VARVE_TRY(state_->note_succession(promotion->from));
  }
  return state_->name_writer_in_guard();
}

// Revert.

namespace {

Result<SnapshotTree> tree_of_set(const SnapshotBody& body, const SetId& set) {
  for (const SnapshotTree& tree : body.trees) {
    if (tree.set == set) return tree;
  }
  return Error(Errc::kNotFound, "the snapshot does not hold that set");
}

}  // namespace

Result<void> WorkingCopy::revert(uint32_t set, const SnapshotInfo& snapshot) {
  State& state = *state_;
  const std::optional<LiveTree::Set> live = state.tree->set(set);
  if (!live || live->row.removed) return Error(Errc::kNotFound, "there is no such set");
  const SnapshotBody body = VARVE_TRY(state.history->body(snapshot.hash));
  const SnapshotTree from = VARVE_TRY(tree_of_set(body, live->row.id));

  // The next list has to name the packs of what becomes live, and is written out flat: what it
  // built on may not know them.
  const std::vector<PackInfo> packs = VARVE_TRY(state.needs_of(snapshot));
  // The live tree finds its chunks by the index, which has only what is in the table.
  std::vector<PackInfo> strange;
  for (const PackInfo& info : packs) {
    if (!VARVE_TRY(state.staged->get(key::pack(info.pack)))) strange.push_back(info);
  }
  state.know_packs(packs, true);
  index_packs(strange, *state.packs, *state.index);
  VARVE_TRY(build_next_list_on(set, std::nullopt, packs, *state.tree, *state.staged));
  // The tree bears no marks, for nothing in it has changed; but the last checkpoint has another.
  KvBatch due;
  due.emplace(key::meta(kNotCheckpointed), "1");
  state.staged->apply(std::move(due));
  const uint64_t next_number = std::max(live->row.next_number, from.next_number);
  VARVE_TRY(state.tree->replace_tree(set, from.top.inode, from.top.xattrs, from.top.below,
                                     from.links, next_number));
  return state.committer->commit();
}

// Views.

void WorkingCopy::State::know_packs(const std::vector<PackInfo>& listed, bool for_ever) {
  KvBatch rows;
  for (const PackInfo& info : listed) {
    if (!packs->find(info.pack)) packs->add(info);
    if (for_ever) rows.emplace(key::pack(info.pack), encode(info));
  }
  if (!rows.empty()) staged->apply(std::move(rows));
}

Result<std::vector<PackInfo>> WorkingCopy::State::needs_of(const SnapshotInfo& snapshot) const {
  return std::move(VARVE_TRY(SnapshotNeeds(*history, lies_in(storage)).of(snapshot)).packs);
}

Result<void> WorkingCopy::State::know_packs_of(const SnapshotInfo& snapshot) {
  if (lazy != nullptr) {
    lazy->expect(snapshot.header.list, snapshot.header.set);
    return {};
  }
  const std::vector<WriterId> mine = history->succeeded();
  if (snapshot.writer == history->writer()) return {};
  if (std::find(mine.begin(), mine.end(), snapshot.writer) != mine.end()) return {};
  std::lock_guard guarded(views_mutex);
  if (viewed.contains(snapshot.hash)) return {};
  know_packs(VARVE_TRY(needs_of(snapshot)), false);
  viewed.insert(snapshot.hash);
  return {};
}

Result<SnapshotBody> WorkingCopy::look_into(const SnapshotInfo& snapshot) {
  const Result<void> known_packs = state_->know_packs_of(snapshot);
  if (!known_packs.ok()) log_warning(known_packs.error().message());
  return state_->history->body(snapshot.hash);
}

Result<uint32_t> WorkingCopy::view_number(const FileHash& snapshot, const SetId& set) {
  State& state = *state_;
  std::lock_guard lock(state.views_mutex);
  const std::string row = key::view(snapshot, set);
  if (const auto known = VARVE_TRY(state.staged->get(row))) return decode_u32(*known);
  const std::string counter = key::meta("views");
  uint32_t number = 1;
  if (const auto last = VARVE_TRY(state.staged->get(counter))) {
    number = VARVE_TRY(decode_u32(*last)) + 1;
  }
  if (number > kViewNumberMax) {
    return Error(Errc::kNoSpace, "there are no more numbers for snapshots' views");
  }
  KvBatch batch;
  batch.emplace(row, encode_u32(number));
  batch.emplace(counter, encode_u32(number));
  state.staged->apply(std::move(batch));
  return number;
}

}  // namespace varve
