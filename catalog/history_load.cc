// Reading what is there: records first, since a base vouches for snapshots; then lists and
// snapshots.
#include <algorithm>
#include <array>

#include "catalog/history_state.h"
#include "dedup/base/checksum.h"
#include "dedup/base/limits.h"
#include "dedup/base/log.h"
#include "dedup/base/parallel.h"
#include "dedup/statement.h"

namespace varve {

namespace {

constexpr size_t kHistoryFileBytesMax = 256 * kMiB;
constexpr size_t kReadAtOnce = 64;
constexpr size_t kKeptMax = 256;
constexpr size_t kKeptBytesMax = 64 * kKiB;

}  // namespace

const char* folder_of(HistoryKind kind) {
  switch (kind) {
    case HistoryKind::kList:
      return "lists";
    case HistoryKind::kSnapshot:
      return "snapshots";
    case HistoryKind::kRecord:
      return "records";
  }
  return "";
}

std::string history_path(HistoryKind kind, const FileHash& hash) {
  return std::string(folder_of(kind)) + "/" + hash.hex();
}

Result<History::State::Names> History::State::names() const {
  constexpr std::array kKinds{HistoryKind::kRecord, HistoryKind::kList, HistoryKind::kSnapshot};
  std::vector<Result<std::set<FileHash>>> found(kKinds.size(), Errc::kIo);
  const auto look = [&](size_t i) { found[i] = names_in(kKinds[i]); };
  if (readers != nullptr) {
    run_parallel(*readers, kKinds.size(), look);
  } else {
    for (size_t i = 0; i < kKinds.size(); i++) look(i);
  }
  return Names{VARVE_TRY(std::move(found[0])), VARVE_TRY(std::move(found[1])),
               VARVE_TRY(std::move(found[2]))};
}

void History::State::load(const Names& names, Locked& lock) {
  bool any = load_records(names.records, lock);
  load_lists(names.lists, lock);
  if (load_snapshots(names.snapshots, lock)) any = true;
  if (any) changed();
}

Result<std::set<FileHash>> History::State::names_in(HistoryKind kind) const {
  std::set<FileHash> names;
  auto entries = storage.list(folder_of(kind));
  if (!entries.ok() && entries.error().code() == Errc::kNotFound) return names;
  if (!entries.ok()) return std::move(entries).error();
  for (const StorageEntry& entry : *entries) {
    const std::optional<FileHash> hash = FileHash::from_hex(entry.name);
    if (hash && !entry.is_directory && hash->hex() == entry.name) names.insert(*hash);
  }
  return names;
}

Result<Envelope> History::State::read_envelope(HistoryKind kind, const FileHash& hash) const {
  const Bytes file = VARVE_TRY(read_whole(storage, history_path(kind, hash), kHistoryFileBytesMax));
  if (sha256(file) != hash) {
    return Error(Errc::kCorrupt, "is damaged: its bytes do not hash to its name");
  }
  Envelope envelope = VARVE_TRY(decode_envelope(file, keyring.store_id(), {}, &keyring));
  if (envelope.kind != kind) return Error(Errc::kCorrupt, "lies in the wrong folder");
  return envelope;
}

void History::State::refuse(HistoryKind kind, const FileHash& hash, const Error& error) {
  const std::string path = history_path(kind, hash);
  if (error.code() == Errc::kNotFound || !refused.insert(path).second) return;
  log_warning(path + ": " + error.message() + "; it counts as absent");
}

std::optional<Envelope> History::State::read_verified(HistoryKind kind, const FileHash& hash) {
  return verified(kind, hash, read_envelope(kind, hash));
}

std::optional<Envelope> History::State::verified(HistoryKind kind, const FileHash& hash,
                                                 Result<Envelope> envelope) {
  if (envelope.ok()) {
    refused.erase(history_path(kind, hash));
    return std::move(envelope).value();
  }
  refuse(kind, hash, envelope.error());
  return std::nullopt;
}

void History::State::read_all(HistoryKind kind, const std::vector<FileHash>& files, Locked& lock,
                              const Visit& visit) {
  const auto take = [&](const FileHash& hash, Result<Envelope> read) {
    const std::optional<Envelope> envelope = verified(kind, hash, std::move(read));
    if (envelope) visit(hash, *envelope);
  };
  if (readers == nullptr) {
    for (const FileHash& hash : files) take(hash, read_envelope(kind, hash));
    return;
  }
  for (size_t from = 0; from < files.size(); from += kReadAtOnce) {
    const size_t count = std::min(kReadAtOnce, files.size() - from);
    std::vector<Result<Envelope>> read(count, Errc::kIo);
    lock.unlock();
    run_parallel(*readers, count,
                 [&](size_t i) { read[i] = read_envelope(kind, files[from + i]); });
    lock.lock();
    for (size_t i = 0; i < count; i++) take(files[from + i], std::move(read[i]));
  }
}

void History::State::note_head(const WriterId& by, uint64_t sequence, const FileHash& hash) {
  highest_sequence = std::max(highest_sequence, sequence);
  BaseRecord::Head& head = heads[by];
  const bool newer = sequence > head.sequence;
  const bool fork = sequence == head.sequence && !head.hash.is_zero() && head.hash != hash;
  if (by == writer && !writer.is_zero() && (newer || fork)) {
    const WriterId renewed = random.id<WriterId>();
    log_warning("writer " + writer.hex() + " meets its own id with sequence " +
                std::to_string(sequence) +
                ", which it did not give: the store was copied or restored while it lived on "
                "elsewhere; it goes on as writer " +
                renewed.hex());
    succeeded.push_back(writer);
    writer = renewed;
  }
  if (newer) head = {by, sequence, hash};
}

void History::State::note_time(const WriterId& by, uint64_t sequence, Nanoseconds time) {
  PublishedAt& newest = newest_published[by];
  if (sequence > newest.sequence) newest = {sequence, time};
}

// Records.

void History::State::apply_statement(const WriterId& by, uint64_t sequence,
                                     const Statement& statement) {
  const Result<std::string> subject = subject_of(statement);
  if (!subject.ok()) return;  // apply_record has checked it
  BaseRecord::InForce& current = in_force[*subject];
  const BaseRecord::InForce one{by, sequence, statement};
  // Nobody shortens a lock.
  if (current.writer.is_zero() || outranks(one, current)) current = one;
}

namespace {

/// The base records among the statements of a record, each of which must make sense.
Result<std::vector<BaseRecord>> bases_of(const std::vector<Statement>& statements) {
  std::vector<BaseRecord> bases;
  for (const Statement& statement : statements) {
    if (statement.type == StatementType::kBase) {
      bases.push_back(VARVE_TRY(decode_base(statement)));
    } else {
      VARVE_TRY(subject_of(statement));
    }
  }
  return bases;
}

}  // namespace

bool History::State::apply_record(const FileHash& hash, const Envelope& envelope) {
  const auto statements = decode_statements(envelope.readable, envelope.sealed_plain);
  const auto bases = statements.ok() ? bases_of(*statements) : statements.error();
  if (!bases.ok()) {
    refuse(HistoryKind::kRecord, hash, bases.error());
    return false;
  }
  for (const BaseRecord& base : *bases) {
    for (const BaseRecord::InForce& one : base.statements) {
      apply_statement(one.writer, one.sequence, one.statement);
    }
    for (const BaseRecord::Snapshot& snapshot : base.snapshots) {
      covered.emplace(snapshot.hash, snapshot);
    }
    for (const BaseRecord::Head& head : base.heads) {
      note_head(head.writer, head.sequence, head.hash);
    }
    newest_base_sequence = std::max(newest_base_sequence, envelope.sequence);
  }
  for (const Statement& statement : *statements) {
    apply_statement(envelope.writer, envelope.sequence, statement);
  }
  note_head(envelope.writer, envelope.sequence, hash);
  note_time(envelope.writer, envelope.sequence, envelope.time);
  return true;
}

namespace {

std::vector<FileHash> without(const std::set<FileHash>& names, const std::set<FileHash>& known) {
  std::vector<FileHash> result;
  std::set_difference(names.begin(), names.end(), known.begin(), known.end(),
                      std::back_inserter(result));
  return result;
}

}  // namespace

bool History::State::load_records(const std::set<FileHash>& names, Locked& lock) {
  bool any = false;
  std::erase_if(records, [&](const FileHash& hash) { return !names.contains(hash); });
  read_all(HistoryKind::kRecord, without(names, records), lock,
           [&](const FileHash& hash, const Envelope& envelope) {
             if (!apply_record(hash, envelope)) return;
             records.insert(hash);
             any = true;
           });
  return any;
}

// Lists and snapshots.

void History::State::keep_list(const FileHash& hash, const Envelope& envelope) {
  const bool is_small = envelope.readable.size() <= kKeptBytesMax;
  if (readers == nullptr || !is_small || kept_lists.size() >= kKeptMax) return;
  if (Result<PackList> list = decode_pack_list(envelope.readable); list.ok())
    kept_lists.emplace(hash, std::move(*list));
}

void History::State::load_lists(const std::set<FileHash>& names, Locked& lock) {
  std::erase_if(lists, [&](const FileHash& hash) { return !names.contains(hash); });
  std::erase_if(list_nodes, [&](const auto& node) { return !names.contains(node.first); });
  std::erase_if(kept_lists, [&](const auto& list) { return !names.contains(list.first); });
  std::set<FileHash> vouched;
  for (const auto& [hash, snapshot] : covered) vouched.insert(snapshot.header.list);
  std::vector<FileHash> unknown;
  for (const FileHash& hash : without(names, lists)) {
    if (vouched.contains(hash)) {
      lists.insert(hash);
    } else {
      unknown.push_back(hash);
    }
  }
  read_all(HistoryKind::kList, unknown, lock, [&](const FileHash& hash, const Envelope& envelope) {
    note_head(envelope.writer, envelope.sequence, hash);
    lists.insert(hash);
    keep_list(hash, envelope);
  });
}

bool History::State::add_snapshot(const FileHash& hash, const Envelope& envelope) {
  const Result<SnapshotHeader> header = decode_snapshot_header(envelope.readable);
  const Result<SnapshotBody> body = decode_snapshot_body(envelope.sealed_plain);
  Result<void> fits;
  if (!header.ok()) fits = header.error();
  if (fits.ok() && !body.ok()) fits = body.error();
  if (fits.ok()) fits = check_snapshot_shape(*header, *body);
  if (!fits.ok()) {
    refuse(HistoryKind::kSnapshot, hash, fits.error());
    return false;
  }
  SnapshotInfo info{hash, envelope.writer, envelope.sequence, envelope.time, *header,
                    "",   body->name};
  if (header->snapshot_class == SnapshotClass::kSet) info.set_name = body->trees[0].set_name;
  snapshots[hash] = std::move(info);
  note_head(envelope.writer, envelope.sequence, hash);
  note_time(envelope.writer, envelope.sequence, envelope.time);
  const bool is_small = envelope.sealed_plain.size() <= kKeptBytesMax;
  if (readers != nullptr && is_small && kept_bodies.size() < kKeptMax)
    kept_bodies.emplace(hash, *body);
  return true;
}

bool History::State::load_snapshots(const std::set<FileHash>& names, Locked& lock) {
  bool any = std::erase_if(snapshots, [&](const auto& s) { return !names.contains(s.first); }) > 0;
  std::erase_if(kept_bodies, [&](const auto& body) { return !names.contains(body.first); });
  std::vector<FileHash> unknown;
  for (const FileHash& hash : names) {
    if (snapshots.contains(hash)) continue;
    const auto vouched = covered.find(hash);
    const bool damaged = refused.contains(history_path(HistoryKind::kSnapshot, hash));
    if (vouched == covered.end() || damaged) {
      unknown.push_back(hash);
      continue;
    }
    const BaseRecord::Snapshot& base = vouched->second;
    snapshots[hash] = {hash,        base.writer,   base.sequence, base.time,
                       base.header, base.set_name, base.name};
    note_time(base.writer, base.sequence, base.time);
    any = true;
  }
  read_all(HistoryKind::kSnapshot, unknown, lock,
           [&](const FileHash& hash, const Envelope& envelope) {
             if (add_snapshot(hash, envelope)) any = true;
           });
  return any;
}

// Shown names.

namespace {

std::string short_hex(ByteView id) {
  return to_hex(id.first(4));
}

/// The set that had a name first keeps it; others get @writer, or @set where that is taken too.
class ShownSets {
 public:
  /// The snapshots are asked about oldest first.
  std::string name(const SnapshotInfo& info) {
    const SetId& set = info.header.set;
    if (take(info.set_name, set)) return info.set_name;
    const auto [shown, is_new] = others_.try_emplace({info.set_name, set});
    if (is_new) {
      const std::string by_writer = info.set_name + "@" + short_hex(info.writer.view());
      const std::string by_set = info.set_name + "@" + short_hex(set.view());
      shown->second = take(by_writer, set) ? by_writer : by_set;
    }
    return shown->second;
  }

 private:
  /// Whether the name is the set's from now on, or was before.
  bool take(const std::string& name, const SetId& set) {
    return taken_.try_emplace(name, set).first->second == set;
  }

  std::map<std::string, SetId> taken_;
  std::map<std::pair<std::string, SetId>, std::string> others_;
};

/// The oldest keeps NAME, so that a name once shown stays; others get @writer, or @hash where that
/// is taken too.
void choose_shown_names(std::vector<SnapshotInfo>& oldest_first) {
  std::set<std::pair<SetId, std::string>> taken;
  ShownSets sets;
  for (SnapshotInfo& info : oldest_first) {
    if (info.header.snapshot_class == SnapshotClass::kSet) info.set_name = sets.name(info);
    const std::string chosen = info.name;
    if (taken.contains({info.header.set, info.name})) {
      info.name = chosen + "@" + short_hex(info.writer.view());
    }
    if (taken.contains({info.header.set, info.name})) {
      info.name = chosen + "@" + short_hex(info.hash.view());
    }
    taken.emplace(info.header.set, info.name);
  }
}

}  // namespace

void History::State::changed() {
  version++;
  shown.clear();
  for (const auto& [hash, info] : snapshots) {
    const bool checkpoint = info.header.snapshot_class == SnapshotClass::kCheckpoint;
    if (!checkpoint && !is_dropped(hash)) shown.push_back(info);
  }
  std::sort(shown.begin(), shown.end(), [](const SnapshotInfo& a, const SnapshotInfo& b) {
    return std::pair(a.sequence, a.writer) < std::pair(b.sequence, b.writer);
  });
  choose_shown_names(shown);
}

}  // namespace varve
