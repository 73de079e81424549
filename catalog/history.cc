// What is in force, as asked.
#include "catalog/history.h"

#include <algorithm>

#include "catalog/history_state.h"
#include "dedup/base/log.h"
#include "dedup/statement.h"

namespace varve {

// The state's own questions.

bool History::State::is_dropped(const FileHash& snapshot) const {
  if (is_locked(snapshot)) return false;
  if (in_force.contains(forget_subject(snapshot))) return true;
  if (replica.is_zero()) return false;
  const auto drop = in_force.find(drop_subject(snapshot, replica));
  return drop != in_force.end() && drop->second.statement.type == StatementType::kDrop;
}

std::vector<HoldInForce> History::State::holds() const {
  std::vector<HoldInForce> result;
  for (const auto& [subject, one] : in_force) {
    if (one.statement.type != StatementType::kHold) continue;
    Result<Hold> hold = decode_hold(one.statement);
    if (hold.ok() && hold->held) result.push_back({std::move(*hold), one.writer, one.sequence});
  }
  return result;
}

Result<History::State::ReadList> History::State::read_list_file(const FileHash& list) const {
  Result<Envelope> envelope = read_envelope(HistoryKind::kList, list);
  if (!envelope.ok()) {
    const bool missing = envelope.error().code() == Errc::kNotFound;
    Error error = missing ? Error(Errc::kNotFound, "is missing") : std::move(envelope).error();
    return std::move(error).with_context("lists/" + list.hex());
  }
  ReadList read;
  read.content = VARVE_TRY(decode_pack_list(envelope->readable));
  read.node = {read.content.depth, read.content.bases, envelope->sequence, envelope->writer, {}};
  if (read.content.exact)
    read.node.snapshots = {read.content.snapshots.begin(), read.content.snapshots.end()};
  return read;
}

Result<PackList> History::State::read_pack_list(const FileHash& list) const {
  return std::move(VARVE_TRY(read_list_file(list)).content);
}

Result<PackList> History::State::read_list(const FileHash& list) {
  ReadList read = VARVE_TRY(read_list_file(list));
  list_nodes[list] = std::move(read.node);
  return std::move(read.content);
}

Result<const History::State::ListNode*> History::State::list_node(const FileHash& list) {
  const auto known = list_nodes.find(list);
  if (known != list_nodes.end()) return &known->second;
  VARVE_TRY(read_list(list));
  return &list_nodes[list];
}

Result<void> History::State::walk_lists(
    const FileHash& list,
    const std::function<Result<void>(const FileHash&, const PackList&)>& visit) {
  std::set<FileHash> met{list};
  std::vector<FileHash> waiting{list};
  while (!waiting.empty()) {
    const FileHash next = waiting.back();
    waiting.pop_back();
    const PackList decoded = VARVE_TRY(read_list(next));
    for (const FileHash& base : decoded.bases) {
      if (met.insert(base).second) waiting.push_back(base);
    }
    VARVE_TRY(visit(next, decoded));
  }
  return {};
}

Result<std::vector<PackInfo>> History::State::packs_of(const FileHash& list) {
  std::map<PackId, PackInfo> packs;
  VARVE_TRY(walk_lists(list, [&](const FileHash&, const PackList& decoded) -> Result<void> {
    for (const PackInfo& row : decoded.rows) packs.emplace(row.pack, row);
    return {};
  }));
  std::vector<PackInfo> result;
  result.reserve(packs.size());
  for (const auto& [pack, info] : packs) result.push_back(info);
  return result;
}

// The public face.

History::History(std::unique_ptr<State> state) : state_(std::move(state)) {}
History::~History() = default;

Result<std::unique_ptr<History>> History::open(Storage& storage, const Keyring& keyring,
                                               Clock& clock, Random& random,
                                               const ReplicaId& replica, Executor* readers) {
  auto state = std::make_unique<State>(storage, keyring, clock, random, replica, readers);
  const State::Names names = VARVE_TRY(state->names());
  std::unique_lock lock(state->mutex);
  state->load(names, lock);
  lock.unlock();
  return std::unique_ptr<History>(new History(std::move(state)));
}

Result<void> History::refresh() {
  std::unique_lock lock(state_->mutex);
  // What is listed without the lock misses what is published meanwhile.
  const bool only_reads = state_->writer.is_zero();
  if (only_reads) lock.unlock();
  const State::Names names = VARVE_TRY(state_->names());
  if (only_reads) lock.lock();
  state_->load(names, lock);
  return {};
}

uint64_t History::version() const {
  std::lock_guard lock(state_->mutex);
  return state_->version;
}

std::vector<SnapshotInfo> History::snapshots() const {
  std::lock_guard lock(state_->mutex);
  return state_->shown;
}

std::vector<SnapshotInfo> History::snapshots_of(const SetId& set) const {
  std::lock_guard lock(state_->mutex);
  std::vector<SnapshotInfo> result;
  for (const SnapshotInfo& info : state_->shown) {
    if (info.header.set == set) result.push_back(info);
  }
  return result;
}

std::vector<SetInfo> History::sets() const {
  std::map<SetId, SetInfo> newest;
  {
    std::lock_guard lock(state_->mutex);
    for (const SnapshotInfo& info : state_->shown) {
      if (info.header.snapshot_class != SnapshotClass::kSet) continue;
      newest[info.header.set] = {info.header.set, info.set_name, info.writer};
    }
  }
  std::vector<SetInfo> result;
  for (auto& [id, info] : newest) result.push_back(std::move(info));
  std::sort(result.begin(), result.end(),
            [](const SetInfo& a, const SetInfo& b) { return a.name < b.name; });
  return result;
}

std::vector<SnapshotInfo> History::checkpoints() const {
  std::lock_guard lock(state_->mutex);
  std::vector<SnapshotInfo> result;
  for (const auto& [hash, info] : state_->snapshots) {
    if (info.header.snapshot_class == SnapshotClass::kCheckpoint) result.push_back(info);
  }
  std::sort(result.begin(), result.end(), [](const SnapshotInfo& a, const SnapshotInfo& b) {
    return std::pair(a.sequence, a.writer) > std::pair(b.sequence, b.writer);
  });
  return result;
}

std::optional<SnapshotInfo> History::find(const SetId& set, std::string_view shown_name) const {
  std::lock_guard lock(state_->mutex);
  for (const SnapshotInfo& info : state_->shown) {
    if (info.header.set == set && info.name == shown_name) return info;
  }
  return std::nullopt;
}

Result<SnapshotBody> History::body(const FileHash& snapshot) const {
  std::unique_lock lock(state_->mutex);
  if (!state_->snapshots.contains(snapshot)) return Errc::kNotFound;
  const auto kept = state_->kept_bodies.find(snapshot);
  if (kept != state_->kept_bodies.end()) return kept->second;
  lock.unlock();
  Result<Envelope> envelope = state_->read_envelope(HistoryKind::kSnapshot, snapshot);
  lock.lock();
  // What the storage does not give now may be whole.
  if (!envelope.ok() && envelope.error().code() == Errc::kIo) return std::move(envelope).error();
  if (!envelope.ok()) {
    state_->refuse(HistoryKind::kSnapshot, snapshot, envelope.error());
    state_->snapshots.erase(snapshot);
    state_->changed();
    return Error(Errc::kNotFound, "snapshots/" + snapshot.hex() + " is missing or damaged");
  }
  return decode_snapshot_body(envelope->sealed_plain);
}

std::vector<Promotion> History::promotions() const {
  std::lock_guard lock(state_->mutex);
  std::vector<Promotion> result;
  for (const auto& [subject, one] : state_->in_force) {
    if (one.statement.type != StatementType::kPromotion) continue;
    const Result<Promotion> promotion = decode_promotion(one.statement, one.sequence);
    if (promotion.ok()) result.push_back(*promotion);
  }
  return result;
}

std::optional<std::string> History::policy(const SetId& set) const {
  std::lock_guard lock(state_->mutex);
  const auto found = state_->in_force.find(policy_subject(set));
  if (found == state_->in_force.end()) return std::nullopt;
  return std::string(as_text(found->second.statement.sealed));
}

std::vector<HoldInForce> History::holds() const {
  std::lock_guard lock(state_->mutex);
  return state_->holds();
}

Result<std::vector<PackInfo>> History::packs_of_list(const FileHash& list) const {
  std::lock_guard lock(state_->mutex);
  return state_->packs_of(list);
}

std::vector<FileHash> History::lists() const {
  std::lock_guard lock(state_->mutex);
  return {state_->lists.begin(), state_->lists.end()};
}

std::vector<FileHash> History::lists_of(const SetId& set) const {
  std::lock_guard lock(state_->mutex);
  std::vector<std::pair<uint64_t, FileHash>> by_sequence;
  for (const auto& [hash, info] : state_->snapshots) {
    const bool of_set = set.is_zero() || info.header.set == set;
    if (of_set || info.header.snapshot_class != SnapshotClass::kSet)
      by_sequence.emplace_back(info.sequence, info.header.list);
  }
  std::sort(by_sequence.rbegin(), by_sequence.rend());
  std::vector<FileHash> result;
  for (const auto& [sequence, list] : by_sequence) result.push_back(list);
  return result;
}

Result<PackList> History::list(const FileHash& list) const {
  {
    std::lock_guard lock(state_->mutex);
    const auto kept = state_->kept_lists.find(list);
    if (kept != state_->kept_lists.end()) return kept->second;
  }
  return state_->read_pack_list(list);
}

std::vector<PackInfo> History::listed_packs() const {
  std::lock_guard lock(state_->mutex);
  std::map<PackId, PackInfo> packs;
  for (const FileHash& list : state_->lists) {
    const Result<PackList> decoded = state_->read_list(list);
    if (!decoded.ok()) {
      state_->refuse(HistoryKind::kList, list, decoded.error());
      continue;
    }
    for (const PackInfo& row : decoded->rows) packs.emplace(row.pack, row);
  }
  std::vector<PackInfo> result;
  result.reserve(packs.size());
  for (const auto& [pack, info] : packs) result.push_back(info);
  return result;
}

Result<uint8_t> History::list_depth(const FileHash& list) const {
  std::lock_guard lock(state_->mutex);
  return VARVE_TRY(state_->list_node(list))->depth;
}

void History::become(const WriterId& writer, std::vector<WriterId> succeeded) {
  std::lock_guard lock(state_->mutex);
  state_->writer = writer;
  state_->succeeded = std::move(succeeded);
}

WriterId History::writer() const {
  std::lock_guard lock(state_->mutex);
  return state_->writer;
}

std::vector<WriterId> History::succeeded() const {
  std::lock_guard lock(state_->mutex);
  return state_->succeeded;
}

uint64_t History::highest_sequence() const {
  std::lock_guard lock(state_->mutex);
  return state_->highest_sequence;
}

std::optional<BaseRecord::Head> History::head(const WriterId& writer) const {
  std::lock_guard lock(state_->mutex);
  const auto found = state_->heads.find(writer);
  if (found == state_->heads.end()) return std::nullopt;
  return found->second;
}

void History::before_publish(BeforePublish callback) {
  std::lock_guard lock(state_->mutex);
  state_->before_publish = std::move(callback);
}

void History::keep_lists(std::function<std::vector<FileHash>()> callback) {
  std::lock_guard lock(state_->mutex);
  state_->keep_lists = std::move(callback);
}

}  // namespace varve
