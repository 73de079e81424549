#include "catalog/check_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "catalog/history.h"
#include "dedup/access_generation.h"
#include "dedup/base/checksum.h"
#include "dedup/statement.h"

namespace varve {
namespace {

constexpr size_t kHistoryBytesMax = 256 * kMiB;

HistoryKind kind_of(FileClass file_class) {
  if (file_class == FileClass::kList) return HistoryKind::kList;
  return file_class == FileClass::kSnapshot ? HistoryKind::kSnapshot : HistoryKind::kRecord;
}

Finding file_finding(const StoreFile& file, FindingKind kind, std::string problem) {
  Finding finding;
  finding.kind = kind;
  finding.file = path_of(file);
  finding.problem = std::move(problem);
  return finding;
}

}  // namespace

void note_temporaries(const StoreFiles& files, CheckReport& report) {
  for (const std::string& path : files.temporaries) {
    Finding finding;
    finding.kind = FindingKind::kTemporary;
    finding.file = path;
    finding.problem = "was left by a write that did not end, or is being written";
    report.add(std::move(finding));
  }
}

Finding note_of_evicted(const std::string& remote, const std::pair<uint64_t, uint64_t>& sum,
                        bool counts) {
  Finding finding;
  finding.file = "packs";
  finding.problem =
      counts ? fmt::format("{} packs of {} bytes are evicted, held at {}", sum.first, sum.second,
                           remote)
             : fmt::format(
                   "{} packs of {} bytes are not here, and it is not known whether {} holds "
                   "them: varve replicate --remote {} finds out",
                   sum.first, sum.second, remote, remote);
  return finding;
}

std::string shown_name(const CheckedSnapshot& snapshot) {
  if (snapshot.is_checkpoint()) return "checkpoint " + snapshot.hash.hex().substr(0, 12);
  if (snapshot.name.empty()) return "snapshot " + snapshot.hash.hex();
  return snapshot.set_name + "/" + snapshot.name;
}

// Reading.

class CheckedHistory::Reader {
 public:
  Reader(const CheckedStore* with_key, const KeylessStore& store, CheckReport& report,
         CheckedHistory& out)
      : keyring_(with_key != nullptr ? &with_key->keyring : nullptr),
        store_(store),
        report_(report),
        out_(out) {}

  Result<void> read(const StoreFiles& files) {
    if (keyring_ == nullptr) {
      auto keys = read_epoch_keys(store_.storage, store_.config);
      if (keys.ok()) {
        keys_ = std::move(keys).value();
      } else if (keys.error().code() == Errc::kIo) {
        return std::move(keys).error();
      }
    }
    for (const StoreFile& file : files.files) read_file(file);
    keep_what_is_in_force();
    check_chains();
    return {};
  }

 private:
  void read_file(const StoreFile& file) {
    if (file.file_class == FileClass::kPack || file.file_class == FileClass::kCatalogPack) return;
    report_.files++;
    Result<Bytes> bytes = read_whole(store_.storage, path_of(file), kHistoryBytesMax);
    // Files may go while a store is in use.
    if (!bytes.ok() && bytes.error().code() == Errc::kNotFound) return;
    Result<void> taken;
    if (!bytes.ok()) {
      taken = bytes.error();
    } else if (sha256(*bytes) != file.hash) {
      taken = Error(Errc::kCorrupt, "its bytes do not hash to its name");
    } else if (file.file_class == FileClass::kKeys) {
      taken = take_keys(*bytes);
    } else {
      taken = take_history(file, *bytes);
    }
    if (taken.ok()) return;
    report_.add(
        file_finding(file, FindingKind::kFile, taken.error().message() + "; it counts as absent"));
  }

  Result<void> take_keys(const Bytes& bytes) {
    const AccessGeneration generation = VARVE_TRY(decode_generation(bytes));
    if (generation.store == store_.config.store_id) return {};
    return Error(Errc::kForeign, "is of another store");
  }

  Result<void> take_history(const StoreFile& file, const Bytes& bytes) {
    // Where no generation of keys is whole there is nothing to check signatures by; the hash has
    // held.
    if (keyring_ == nullptr && keys_.empty()) return {};
    const Envelope envelope =
        VARVE_TRY(decode_envelope(bytes, store_.config.store_id, keys_, keyring_));
    if (envelope.kind != kind_of(file.file_class)) {
      return Error(Errc::kCorrupt, "lies in the wrong folder");
    }
    switch (envelope.kind) {
      case HistoryKind::kList:
        VARVE_TRY(take_list(file.hash, envelope));
        break;
      case HistoryKind::kSnapshot:
        VARVE_TRY(take_snapshot(file.hash, envelope));
        break;
      case HistoryKind::kRecord:
        VARVE_TRY(take_record(envelope));
        break;
    }
    published_.push_back(
        {envelope.writer, envelope.sequence, file.hash, envelope.previous, path_of(file)});
    return {};
  }

  Result<void> take_list(const FileHash& hash, const Envelope& envelope) {
    PackList list = VARVE_TRY(decode_pack_list(envelope.readable));
    for (const PackInfo& row : list.rows) out_.packs_.emplace(row.hash, row);
    if (list.exact) {
      for (const FileHash& snapshot : list.snapshots) out_.exact_for_[snapshot].push_back(hash);
    }
    out_.lists_[hash] = {envelope.sequence, std::move(list)};
    return {};
  }

  Result<void> take_snapshot(const FileHash& hash, const Envelope& envelope) {
    CheckedSnapshot snapshot;
    snapshot.hash = hash;
    snapshot.writer = envelope.writer;
    snapshot.sequence = envelope.sequence;
    snapshot.header = VARVE_TRY(decode_snapshot_header(envelope.readable));
    snapshot.list = snapshot.header.list;
    if (keyring_ != nullptr) {
      snapshot.body = VARVE_TRY(decode_snapshot_body(envelope.sealed_plain));
      VARVE_TRY(check_snapshot_shape(snapshot.header, snapshot.body));
      snapshot.name = snapshot.body.name;
      if (snapshot.header.snapshot_class == SnapshotClass::kSet) {
        snapshot.set_name = snapshot.body.trees[0].set_name;
      }
    }
    out_.snapshots_.push_back(std::move(snapshot));
    return {};
  }

  Result<void> take_record(const Envelope& envelope) {
    const auto statements = VARVE_TRY(decode_statements(envelope.readable, envelope.sealed_plain));
    for (const Statement& statement : statements) {
      if (statement.type != StatementType::kBase) {
        VARVE_TRY(subject_of(statement));
        continue;
      }
      VARVE_TRY(decode_base(statement));
    }
    for (const Statement& statement : statements) {
      if (statement.type != StatementType::kBase) {
        apply(envelope.writer, envelope.sequence, statement);
        continue;
      }
      const BaseRecord base = VARVE_TRY(decode_base(statement));
      for (const auto& one : base.statements) apply(one.writer, one.sequence, one.statement);
    }
    return {};
  }

  void apply(const WriterId& writer, uint64_t sequence, const Statement& statement) {
    const Result<std::string> subject = subject_of(statement);
    if (!subject.ok()) return;
    BaseRecord::InForce& current = in_force_[*subject];
    const BaseRecord::InForce one{writer, sequence, statement};
    if (current.writer.is_zero() || outranks(one, current)) current = one;
  }

  bool is_dropped(const FileHash& snapshot) const {
    if (const auto lock = in_force_.find(lock_subject(snapshot)); lock != in_force_.end()) {
      const Result<int64_t> until = lock_until(lock->second.statement);
      if (until.ok() && *until > store_.clock.now() / 1'000'000'000) return false;
    }
    if (in_force_.contains(forget_subject(snapshot))) return true;
    if (store_.replica.is_zero()) return false;
    const auto drop = in_force_.find(drop_subject(snapshot, store_.replica));
    return drop != in_force_.end() && drop->second.statement.type == StatementType::kDrop;
  }

  void keep_what_is_in_force() {
    for (const auto& [subject, one] : in_force_) {
      if (one.statement.type != StatementType::kHold) continue;
      Result<Hold> hold = decode_hold(one.statement);
      if (hold.ok() && hold->held)
        out_.holds_.push_back({std::move(*hold), one.writer, one.sequence});
    }
    std::erase_if(out_.snapshots_, [&](const CheckedSnapshot& s) { return is_dropped(s.hash); });
    std::sort(out_.snapshots_.begin(), out_.snapshots_.end(), [](const auto& a, const auto& b) {
      return std::pair(a.sequence, a.writer) > std::pair(b.sequence, b.writer);
    });
  }

  /// What a writer published names what it published before. That may have been removed since.
  void check_chains() {
    std::map<FileHash, const Publication*> here;
    for (const Publication& one : published_) here.emplace(one.hash, &one);
    for (const Publication& one : published_) {
      const auto before = here.find(one.previous);
      if (one.previous.is_zero() || before == here.end()) continue;
      const Publication& previous = *before->second;
      if (previous.writer == one.writer && previous.sequence < one.sequence) continue;
      Finding finding;
      finding.kind = FindingKind::kHistory;
      finding.file = one.path;
      finding.problem = fmt::format(
          "says that {} came before it, which is of another writer or not older", previous.path);
      report_.add(std::move(finding));
    }
  }

  const Keyring* const keyring_;
  const KeylessStore& store_;
  CheckReport& report_;
  CheckedHistory& out_;
  std::vector<std::pair<EpochId, PublicKey>> keys_;
  std::map<std::string, BaseRecord::InForce> in_force_;
  std::vector<Publication> published_;
};

Result<CheckedHistory> CheckedHistory::read(const CheckedStore* with_key, const KeylessStore& store,
                                            const StoreFiles& files, CheckReport& report) {
  CheckedHistory history;
  VARVE_TRY(Reader(with_key, store, report, history).read(files));
  history.check_depths(report);
  report.snapshots = history.snapshots_.size();
  return history;
}

// Lists.

void CheckedHistory::check_depths(CheckReport& report) const {
  for (const auto& [hash, list] : lists_) {
    int depth = 0;
    bool bases_here = true;
    for (const FileHash& base : list.content.bases) {
      const auto found = lists_.find(base);
      bases_here = bases_here && found != lists_.end();
      if (found != lists_.end()) depth = std::max(depth, found->second.content.depth + 1);
    }
    if (!bases_here || depth == list.content.depth) continue;
    report.add(
        file_finding({FileClass::kList, hash}, FindingKind::kHistory,
                     fmt::format("says that it is {} deep, and is {}", list.content.depth, depth)));
  }
}

std::optional<FileHash> CheckedHistory::missing_list(const FileHash& list) const {
  std::set<FileHash> met{list};
  std::vector<FileHash> waiting{list};
  while (!waiting.empty()) {
    const FileHash next = waiting.back();
    waiting.pop_back();
    const auto found = lists_.find(next);
    if (found == lists_.end()) return next;
    for (const FileHash& base : found->second.content.bases) {
      if (met.insert(base).second) waiting.push_back(base);
    }
  }
  return std::nullopt;
}

void CheckedHistory::visit_packs(const FileHash& list,
                                 const std::function<void(const PackInfo&)>& visit) const {
  std::set<FileHash> met{list};
  std::vector<FileHash> waiting{list};
  while (!waiting.empty()) {
    const auto found = lists_.find(waiting.back());
    waiting.pop_back();
    if (found == lists_.end()) continue;
    for (const PackInfo& row : found->second.content.rows) visit(row);
    for (const FileHash& base : found->second.content.bases) {
      if (met.insert(base).second) waiting.push_back(base);
    }
  }
}

std::vector<PackInfo> CheckedHistory::evicted(const HoldingRemotes& remotes,
                                              const std::function<bool(const PackInfo&)>& is_here,
                                              CheckReport& report) const {
  std::vector<PackInfo> evicted;
  std::set<FileHash> met;
  for (const bool counts : {true, false}) {
    std::map<std::string, std::pair<uint64_t, uint64_t>> sums;  // packs and bytes, by remote
    for (const HoldInForce& one : holds_) {
      const auto remote = remotes.find(one.hold.replica);
      if (remote == remotes.end() || remote->second.counted.contains(one.statement()) != counts)
        continue;
      for (const FileHash& list : one.hold.lists) {
        visit_packs(list, [&](const PackInfo& info) {
          if (is_here(info) || !met.insert(info.hash).second) return;
          auto& [packs, bytes] = sums[remote->second.name];
          packs++;
          bytes += info.length;
          if (counts) evicted.push_back(info);
        });
      }
    }
    for (const auto& [name, sum] : sums) report.add(note_of_evicted(name, sum, counts));
  }
  return evicted;
}

/// Newest first.
std::vector<FileHash> CheckedHistory::lists_of(const CheckedSnapshot& snapshot) const {
  std::vector<std::pair<uint64_t, FileHash>> found;
  const auto born = lists_.find(snapshot.header.list);
  found.emplace_back(born == lists_.end() ? 0 : born->second.sequence, snapshot.header.list);
  if (const auto exact = exact_for_.find(snapshot.hash); exact != exact_for_.end()) {
    for (const FileHash& list : exact->second) found.emplace_back(lists_.at(list).sequence, list);
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<FileHash> lists;
  lists.reserve(found.size());
  for (const auto& [sequence, list] : found) lists.push_back(list);
  return lists;
}

void CheckedHistory::check_lists(const std::function<bool(const PackInfo&)>& is_here,
                                 CheckReport& report) {
  // By list; of an exact one, which packs depends on the snapshot.
  std::map<std::pair<FileHash, FileHash>, std::vector<PackInfo>> lacks;
  struct Need {
    PackInfo info;
    std::string newest;
    uint64_t snapshots = 0;
  };
  std::map<FileHash, Need> needed;
  const auto lacking = [&](const FileHash& list,
                           const FileHash& snapshot) -> const std::vector<PackInfo>& {
    const PackList& content = lists_.at(list).content;
    const std::pair key(list, content.exact ? snapshot : FileHash());
    if (const auto known = lacks.find(key); known != lacks.end()) return known->second;
    std::vector<PackInfo>& missing = lacks[key];
    const auto look = [&](const PackInfo& info) {
      if (!is_here(info)) missing.push_back(info);
    };
    if (content.exact) {
      for (const PackInfo& info : rows_needed_by(content, snapshot)) look(info);
    } else {
      visit_packs(list, look);
    }
    return missing;
  };
  for (CheckedSnapshot& snapshot : snapshots_) {
    const std::vector<FileHash> lists = lists_of(snapshot);
    std::optional<FileHash> whole, complete;
    for (const FileHash& list : lists) {
      if (missing_list(list)) continue;
      if (!complete) complete = list;
      if (!whole && lacking(list, snapshot.hash).empty()) whole = list;
    }
    snapshot.listed = complete.has_value();
    if (whole || complete) snapshot.list = whole ? *whole : *complete;
    if (!complete) {
      Finding finding =
          file_finding({FileClass::kSnapshot, snapshot.hash}, FindingKind::kHistory, "");
      finding.problem =
          fmt::format("{}: {} is missing: which packs it needs is not known", shown_name(snapshot),
                      path_of({FileClass::kList, *missing_list(lists.front())}));
      report.add(std::move(finding));
    } else if (!whole) {
      for (const PackInfo& info : lacking(snapshot.list, snapshot.hash)) {
        Need& need = needed[info.hash];
        if (need.snapshots++ == 0) need.newest = shown_name(snapshot);
        need.info = info;
      }
    }
  }
  for (const auto& [hash, need] : needed) {
    Finding finding;
    finding.kind = FindingKind::kPack;
    finding.file = pack_path(need.info.pack_class, hash);
    finding.pack = need.info.pack;
    finding.problem = need.snapshots == 1
                          ? "is missing; " + need.newest + " needs it"
                          : fmt::format("is missing; {} and {} older snapshots need it",
                                        need.newest, need.snapshots - 1);
    report.add(std::move(finding));
  }
}

}  // namespace varve
