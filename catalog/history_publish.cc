// Publishing and taking away, in the one order: lists < snapshots < records; removal the other way
// round.
#include <algorithm>

#include "catalog/history_state.h"
#include "catalog/set_policy.h"
#include "catalog/snapshot_needs.h"
#include "dedup/base/checksum.h"
#include "dedup/base/log.h"
#include "dedup/statement.h"

namespace varve {

// The state's own acts.

Result<void> History::State::announce(uint64_t count) {
  if (writer.is_zero()) return Error(Errc::kReadOnly, "this store is open for reading only");
  if (highest_sequence > kSequenceMax - count)
    return Error(Errc::kNoSpace, "this store's history has no sequence numbers left");
  if (!before_publish) return {};
  return before_publish(writer, succeeded, highest_sequence + count);
}

Bytes History::State::file_of(const Publication& publication, const WriterId& author) const {
  Envelope envelope;
  envelope.kind = publication.kind;
  envelope.store = keyring.store_id();
  envelope.writer = author;
  envelope.sequence = highest_sequence + 1;
  const auto head = heads.find(author);
  if (head != heads.end()) envelope.previous = head->second.hash;
  envelope.time = publication.time;
  envelope.readable = publication.readable;
  envelope.sealed_plain = publication.sealed_plain;
  envelope.sealed = publication.sealed;
  return encode_envelope(envelope, keyring, random);
}

Result<FileHash> History::State::publish(const Publication& publication) {
  const Bytes file = file_of(publication, writer);
  const FileHash hash = sha256(file);
  VARVE_TRY(storage.make_directories(folder_of(publication.kind)));
  VARVE_TRY(write_whole(storage, history_path(publication.kind, hash), file));
  highest_sequence++;
  heads[writer] = {writer, highest_sequence, hash};
  return hash;
}

Result<FileHash> History::State::publish_list(std::vector<FileHash> bases,
                                              const std::vector<PackInfo>& rows, Nanoseconds time) {
  PackList list;
  int depth = 0;
  for (const FileHash& base : bases) {
    const ListNode* node = VARVE_TRY(list_node(base));
    depth = std::max(depth, node->depth + 1);
  }
  std::map<PackId, PackInfo> own;
  for (const PackInfo& row : rows) own.emplace(row.pack, row);
  if (depth > kListDepthMax) {
    for (const FileHash& base : bases) {
      for (const PackInfo& row : VARVE_TRY(packs_of(base))) own.emplace(row.pack, row);
    }
    bases.clear();
    depth = 0;
  }
  list.depth = static_cast<uint8_t>(depth);
  list.bases = std::move(bases);
  for (const auto& [pack, row] : own) list.rows.push_back(row);
  const FileHash hash =
      VARVE_TRY(publish({HistoryKind::kList, encode_pack_list(list), {}, false, time}));
  lists.insert(hash);
  list_nodes[hash] = {list.depth, list.bases, highest_sequence, writer, {}};
  return hash;
}

Result<void> History::State::publish_statements(const std::vector<Statement>& statements) {
  for (const Statement& statement : statements) VARVE_TRY(subject_of(statement));
  VARVE_TRY(announce(1));
  auto [readable, sealed_plain] = encode_statements(statements);
  const bool sealed = !sealed_plain.empty();
  const FileHash hash = VARVE_TRY(publish(
      {HistoryKind::kRecord, std::move(readable), std::move(sealed_plain), sealed, clock.now()}));
  records.insert(hash);
  for (const Statement& statement : statements) {
    apply_statement(writer, highest_sequence, statement);
  }
  changed();
  return {};
}

bool History::State::has_own(const SetId& set, const std::string& name) const {
  for (const auto& [hash, info] : snapshots) {
    const bool checkpoint = info.header.snapshot_class == SnapshotClass::kCheckpoint;
    if (checkpoint || info.writer != writer || info.header.set != set) continue;
    if (info.name == name && !is_dropped(hash)) return true;
  }
  return false;
}

BaseRecord History::State::base() const {
  BaseRecord base;
  for (const auto& [id, head] : heads) base.heads.push_back(head);
  for (const auto& [hash, info] : snapshots) {
    if (is_dropped(hash)) continue;
    base.snapshots.push_back(
        {hash, info.writer, info.sequence, info.time, info.header, info.set_name, info.name});
  }
  for (const auto& [subject, one] : in_force) base.statements.push_back(one);
  return base;
}

History::State::Publication History::State::publication_of(const BaseRecord& base) const {
  auto [readable, sealed_plain] = encode_statements({encode_base(base)});
  const bool sealed = !sealed_plain.empty();
  return {HistoryKind::kRecord, std::move(readable), std::move(sealed_plain), sealed, clock.now()};
}

Result<void> History::State::publish_base() {
  VARVE_TRY(announce(1));
  BaseRecord covering = base();
  const FileHash hash = VARVE_TRY(publish(publication_of(covering)));
  newest_base_sequence = highest_sequence;
  covered.clear();
  for (BaseRecord::Snapshot& snapshot : covering.snapshots) {
    covered.emplace(snapshot.hash, std::move(snapshot));
  }
  const std::set<FileHash> before = std::exchange(records, {hash});
  for (const FileHash& record : before) {
    const Result<void> removed = remove_file(HistoryKind::kRecord, record);
    if (!removed.ok()) log_warning("an old record stays: " + removed.error().message());
  }
  return storage.sync_dir(folder_of(HistoryKind::kRecord));
}

void History::State::publish_base_if_due() {
  if (highest_sequence - newest_base_sequence < kPublicationsPerBase) return;
  const Result<void> published = publish_base();
  if (!published.ok()) log_warning("no base record now: " + published.error().message());
}

Result<void> History::State::remove_file(HistoryKind kind, const FileHash& hash) {
  Result<void> removed = storage.unlink(history_path(kind, hash));
  if (!removed.ok() && removed.error().code() != Errc::kNotFound) return removed;
  return {};
}

Result<void> History::State::remove_unnamed_lists(std::vector<FileHash> candidates,
                                                  const std::vector<FileHash>& kept) {
  std::map<FileHash, size_t> named;
  for (const FileHash& list : kept) named[list]++;
  for (const auto& [key, list] : newest_born) named[list]++;
  for (const auto& [hash, info] : snapshots) named[info.header.list]++;
  for (const HoldInForce& held : holds()) {
    for (const FileHash& list : held.hold.lists) named[list]++;
  }
  for (const FileHash& list : lists) {
    for (const FileHash& base : VARVE_TRY(list_node(list))->bases) named[base]++;
  }
  while (!candidates.empty()) {
    const FileHash list = candidates.back();
    candidates.pop_back();
    if (named[list] > 0 || !lists.contains(list)) continue;
    const std::vector<FileHash> bases = VARVE_TRY(list_node(list))->bases;
    VARVE_TRY(remove_file(HistoryKind::kList, list));
    lists.erase(list);
    list_nodes.erase(list);
    for (const FileHash& base : bases) {
      if (--named[base] == 0) candidates.push_back(base);
    }
  }
  return storage.sync_dir(folder_of(HistoryKind::kList));
}

void History::State::tidy_lists(std::vector<FileHash> candidates,
                                const std::vector<FileHash>& kept) {
  const Result<void> removed = remove_unnamed_lists(std::move(candidates), kept);
  if (!removed.ok()) log_warning("pack lists stay: " + removed.error().message());
}

// The public face.

Result<SnapshotInfo> History::publish_snapshot(const NewSnapshot& snapshot) {
  std::lock_guard lock(state_->mutex);
  State& state = *state_;
  if (snapshot.snapshot_class != SnapshotClass::kCheckpoint &&
      state.has_own(snapshot.set, snapshot.body.name)) {
    return Error(Errc::kExists, "there is a snapshot '" + snapshot.body.name + "' already");
  }
  const bool is_checkpoint = snapshot.snapshot_class == SnapshotClass::kCheckpoint;
  const std::optional<int64_t> locked =
      is_checkpoint ? std::nullopt : state.lock_of_new(snapshot.set);
  VARVE_TRY(state.announce(2));
  const Nanoseconds time = state.clock.now();
  SnapshotInfo info;
  info.header = {snapshot.set, snapshot.snapshot_class, {}};
  info.header.list = VARVE_TRY(state.publish_list(snapshot.bases, snapshot.rows, time));
  info.hash = VARVE_TRY(state.publish({HistoryKind::kSnapshot, encode_snapshot_header(info.header),
                                       encode_snapshot_body(snapshot.body), true, time}));
  info.writer = state.writer;
  info.sequence = state.highest_sequence;
  info.time = time;
  info.name = snapshot.body.name;
  const bool of_set = snapshot.snapshot_class == SnapshotClass::kSet;
  if (of_set && !snapshot.body.trees.empty()) info.set_name = snapshot.body.trees[0].set_name;
  state.snapshots[info.hash] = info;
  const std::string born = (of_set ? "s" : "m") + snapshot.set.hex();
  state.newest_born[born] = info.header.list;
  state.changed();
  if (locked) {
    VARVE_TRY(in_context(state.publish_statements({lock_statement(info.hash, *locked)}),
                         "the snapshot '" + info.name + "' is taken, but not locked"));
  }
  state.publish_base_if_due();
  return info;
}

namespace {

/// The lists of those that the statements release.
std::vector<FileHash> lists_let_go(const std::vector<HoldInForce>& holds,
                                   const std::vector<Statement>& statements) {
  std::vector<FileHash> lists;
  for (const Statement& statement : statements) {
    if (statement.type != StatementType::kHold) continue;
    const Result<Hold> released = decode_hold(statement);
    if (!released.ok() || released->held) continue;
    for (const HoldInForce& one : holds) {
      if (one.hold.id != released->id) continue;
      lists.insert(lists.end(), one.hold.lists.begin(), one.hold.lists.end());
    }
  }
  return lists;
}

}  // namespace

Result<void> History::publish_record(const std::vector<Statement>& statements) {
  std::function<std::vector<FileHash>()> keep;
  {
    std::lock_guard lock(state_->mutex);
    if (!lists_let_go(state_->holds(), statements).empty()) keep = state_->keep_lists;
  }
  const std::vector<FileHash> kept = keep ? keep() : std::vector<FileHash>();

  std::lock_guard lock(state_->mutex);
  std::vector<FileHash> let_go = lists_let_go(state_->holds(), statements);
  VARVE_TRY(state_->publish_statements(statements));
  if (!let_go.empty()) state_->tidy_lists(std::move(let_go), kept);
  state_->publish_base_if_due();
  return {};
}

Result<HoldInForce> History::publish_hold(const ReplicaId& replica,
                                          const std::vector<PackInfo>& packs) {
  std::lock_guard lock(state_->mutex);
  State& state = *state_;
  VARVE_TRY(state.announce(2));
  HoldInForce held;
  held.hold.id = state.random.id<HoldId>();
  held.hold.replica = replica;
  held.hold.lists = {VARVE_TRY(state.publish_list({}, packs, state.clock.now()))};
  VARVE_TRY(state.publish_statements({encode_hold(held.hold)}));
  held.writer = state.writer;
  held.sequence = state.highest_sequence;
  state.publish_base_if_due();
  return held;
}

Result<void> History::drop(const FileHash& snapshot) {
  std::function<std::vector<FileHash>()> keep;
  {
    std::lock_guard lock(state_->mutex);
    keep = state_->keep_lists;
  }
  const std::vector<FileHash> kept = keep ? keep() : std::vector<FileHash>();

  std::lock_guard lock(state_->mutex);
  State& state = *state_;
  const auto found = state.snapshots.find(snapshot);
  if (found == state.snapshots.end()) return Errc::kNotFound;
  if (state.replica.is_zero()) {
    return Error(Errc::kReadOnly, "this place has no guard file, so nothing can be dropped here");
  }
  if (const auto until = state.locked_until(snapshot)) {
    return Error(Errc::kPermission, "the snapshot '" + found->second.name + "' is locked until " +
                                        utc_of_seconds(*until) + "; by replica/clock it is " +
                                        utc_iso(state.lock_time()));
  }
  const FileHash list = found->second.header.list;
  VARVE_TRY(state.publish_statements({drop_statement(snapshot, state.replica)}));
  VARVE_TRY(state.remove_file(HistoryKind::kSnapshot, snapshot));
  VARVE_TRY(state.storage.sync_dir(folder_of(HistoryKind::kSnapshot)));
  state.snapshots.erase(snapshot);
  state.changed();
  state.tidy_lists({list}, kept);
  state.publish_base_if_due();
  return {};
}

Result<History::FirstRecord> History::first_record_of(const WriterId& newcomer) const {
  std::lock_guard lock(state_->mutex);
  const State& state = *state_;
  if (state.highest_sequence >= kSequenceMax)
    return Error(Errc::kNoSpace, "this store's history has no sequence numbers left");
  return FirstRecord{state.file_of(state.publication_of(state.base()), newcomer),
                     state.highest_sequence + 1};
}

std::set<FileHash> History::superseded_of_others(const std::vector<SnapshotInfo>& newest_first,
                                                 const std::set<WriterId>& mine) const {
  std::map<WriterId, size_t> kept;
  std::set<FileHash> superseded;
  SnapshotNeeds needs(*this, lies_in(state_->storage));
  for (const SnapshotInfo& info : newest_first) {
    if (mine.contains(info.writer)) continue;
    if (kept[info.writer] == kCheckpointsKept) {
      superseded.insert(info.hash);
      continue;
    }
    // Only one that can be read counts as kept; one that came without its packs may not be all.
    const Result<bool> whole = needs.is_whole(info);
    if (whole.ok() && *whole && body(info.hash).ok()) kept[info.writer]++;
  }
  return superseded;
}

Result<void> History::prune_checkpoints() {
  std::function<std::vector<FileHash>()> keep;
  {
    std::lock_guard lock(state_->mutex);
    keep = state_->keep_lists;
  }
  const std::vector<FileHash> kept_lists = keep ? keep() : std::vector<FileHash>();
  const std::vector<SnapshotInfo> newest_first = checkpoints();
  const std::vector<WriterId> before = succeeded();
  std::set<WriterId> mine(before.begin(), before.end());
  mine.insert(writer());
  const std::set<FileHash> of_others = superseded_of_others(newest_first, mine);

  std::lock_guard lock(state_->mutex);
  State& state = *state_;
  size_t kept = 0;
  std::vector<FileHash> lists;
  for (const SnapshotInfo& info : newest_first) {
    const bool is_mine = mine.contains(info.writer);
    if (!is_mine && !of_others.contains(info.hash)) continue;
    if (!state.snapshots.contains(info.hash)) continue;
    if (is_mine && kept < kCheckpointsKept) {
      // Only one that can be read counts as kept.
      if (state.read_verified(HistoryKind::kSnapshot, info.hash)) kept++;
      continue;
    }
    VARVE_TRY(state.remove_file(HistoryKind::kSnapshot, info.hash));
    state.snapshots.erase(info.hash);
    lists.push_back(info.header.list);
  }
  if (lists.empty()) return {};
  VARVE_TRY(state.storage.sync_dir(folder_of(HistoryKind::kSnapshot)));
  state.changed();
  state.tidy_lists(std::move(lists), kept_lists);
  return {};
}

Result<void> History::publish_base() {
  std::lock_guard lock(state_->mutex);
  return state_->publish_base();
}

}  // namespace varve
