#include "replicator/carried_records.h"

#include <algorithm>

#include "dedup/base/checksum.h"
#include "dedup/base/limits.h"
#include "dedup/keyring.h"

namespace varve {
namespace {

constexpr size_t kRecordBytesMax = 256 * kMiB;

void apply(std::map<std::string, BaseRecord::InForce>& in_force, const BaseRecord::InForce& one) {
  const Result<std::string> subject = subject_of(one.statement);
  if (!subject.ok()) return;  // of a base; others were checked when the record was read
  const auto [at, is_new] = in_force.try_emplace(*subject, one);
  if (!is_new && outranks(one, at->second)) at->second = one;
}

/// Every statement of the record and, in its bases, of others.
std::vector<BaseRecord::InForce> statements_of(const CarriedRecord& record) {
  std::vector<BaseRecord::InForce> all;
  for (const BaseRecord& base : record.bases)
    all.insert(all.end(), base.statements.begin(), base.statements.end());
  for (const Statement& statement : record.statements)
    all.push_back({record.writer, record.sequence, statement});
  return all;
}

}  // namespace

Result<CarriedRecord> read_carried_record(Storage& storage, const StoreConfig& config,
                                          const std::vector<std::pair<EpochId, PublicKey>>& keys,
                                          const FileHash& hash) {
  const Bytes bytes =
      VARVE_TRY(read_whole(storage, path_of({FileClass::kRecord, hash}), kRecordBytesMax));
  if (sha256(bytes) != hash) return Error(Errc::kCorrupt, "its bytes do not hash to its name");
  const Envelope envelope = VARVE_TRY(decode_envelope(bytes, config.store_id, keys, nullptr));
  if (envelope.kind != HistoryKind::kRecord)
    return Error(Errc::kCorrupt, "lies in the wrong folder");
  CarriedRecord record{envelope.writer, envelope.sequence, envelope.time, {}, {}};
  for (Statement& statement : VARVE_TRY(decode_statements(envelope.readable, {}))) {
    if (statement.type == StatementType::kBase) {
      record.bases.push_back(VARVE_TRY(decode_base(statement)));
    } else {
      VARVE_TRY(subject_of(statement));
      record.statements.push_back(std::move(statement));
    }
  }
  return record;
}

Result<void> CarriedRecords::refresh(Storage& storage, const StoreConfig& config,
                                     const StoreFiles& files) {
  std::set<FileHash> generations;
  std::set<StoreFile> here;
  for (const StoreFile& file : files.files) {
    if (file.file_class == FileClass::kKeys) generations.insert(file.hash);
    if (file.file_class == FileClass::kRecord) here.insert(file);
  }
  if (generations != keys_read_ || keys_.empty()) {
    keys_ = VARVE_TRY(read_epoch_keys(storage, config));
    keys_read_ = std::move(generations);
    problems_.clear();  // an epoch that was unknown may be known now
  }
  std::erase_if(records_, [&](const auto& record) {
    return !here.contains({FileClass::kRecord, record.first});
  });
  std::erase_if(problems_, [&](const auto& problem) { return !here.contains(problem.first); });
  for (const StoreFile& file : here) {
    if (records_.contains(file.hash)) continue;
    Result<CarriedRecord> read = read_carried_record(storage, config, keys_, file.hash);
    if (read.ok()) {
      problems_.erase(file);
      records_.emplace(file.hash, std::move(read).value());
    } else if (read.error().code() != Errc::kNotFound) {
      problems_[file] = path_of(file) + ": " + read.error().message();
    }
  }
  arrange();
  return {};
}

void CarriedRecords::arrange() {
  in_force_.clear();
  for (const auto& [hash, record] : records_) {
    for (const BaseRecord::InForce& one : statements_of(record)) apply(in_force_, one);
  }
}

const BaseRecord::InForce* CarriedRecords::find(const std::string& subject) const {
  const auto found = in_force_.find(subject);
  return found == in_force_.end() ? nullptr : &found->second;
}

std::optional<int64_t> CarriedRecords::locked_until(const FileHash& snapshot) const {
  const BaseRecord::InForce* const lock = find(lock_subject(snapshot));
  if (lock == nullptr) return std::nullopt;
  const Result<int64_t> until = lock_until(lock->statement);
  return until.ok() ? std::optional(*until) : std::nullopt;
}

bool CarriedRecords::is_dropped(const FileHash& snapshot, const ReplicaId& replica) const {
  const BaseRecord::InForce* const drop = find(drop_subject(snapshot, replica));
  return drop != nullptr && drop->statement.type == StatementType::kDrop;
}

bool CarriedRecords::is_forgotten(const FileHash& snapshot) const {
  return find(forget_subject(snapshot)) != nullptr;
}

std::vector<HoldInForce> CarriedRecords::holds_of(const InForce& in_force) {
  std::vector<HoldInForce> result;
  for (const auto& [subject, one] : in_force) {
    if (one.statement.type != StatementType::kHold) continue;
    Result<Hold> hold = decode_hold(one.statement);
    if (hold.ok() && hold->held) result.push_back({std::move(*hold), one.writer, one.sequence});
  }
  return result;
}

std::vector<HoldInForce> CarriedRecords::holds() const {
  return holds_of(in_force_);
}

std::vector<HoldInForce> CarriedRecords::holds(const LiesThere& lies_there) const {
  InForce said;
  for (const auto& [hash, record] : records_) {
    if (!lies_there(hash)) continue;
    for (const BaseRecord::InForce& one : statements_of(record)) {
      if (one.statement.type == StatementType::kHold) apply(said, one);
    }
  }
  return holds_of(said);
}

std::set<FileHash> CarriedRecords::held_lists() const {
  std::set<FileHash> lists;
  for (const HoldInForce& one : holds()) lists.insert(one.hold.lists.begin(), one.hold.lists.end());
  return lists;
}

std::optional<FileHash> CarriedRecords::newest_base() const {
  std::optional<FileHash> newest;
  std::pair<uint64_t, WriterId> at;
  for (const auto& [hash, record] : records_) {
    if (record.bases.empty() || (newest && std::pair(record.sequence, record.writer) < at))
      continue;
    newest = hash;
    at = {record.sequence, record.writer};
  }
  return newest;
}

bool CarriedRecords::covers(const FileHash& base, const CarriedRecord& record) const {
  const CarriedRecord& covering = records_.at(base);
  InForce said;
  std::map<WriterId, uint64_t> heads{{covering.writer, covering.sequence}};
  for (const BaseRecord::InForce& one : statements_of(covering)) apply(said, one);
  for (const BaseRecord& part : covering.bases) {
    for (const BaseRecord::Head& head : part.heads)
      heads[head.writer] = std::max(heads[head.writer], head.sequence);
  }
  const auto knows = [&](const WriterId& writer, uint64_t sequence) {
    const auto head = heads.find(writer);
    return head != heads.end() && head->second >= sequence;
  };
  const auto repeats = [&](const BaseRecord::InForce& one) {
    const Result<std::string> subject = subject_of(one.statement);
    const auto found = subject.ok() ? said.find(*subject) : said.end();
    return found != said.end() && !outranks(one, found->second);
  };
  if (!knows(record.writer, record.sequence)) return false;
  for (const BaseRecord& part : record.bases) {
    for (const BaseRecord::Head& head : part.heads) {
      if (!knows(head.writer, head.sequence)) return false;
    }
  }
  const std::vector<BaseRecord::InForce> all = statements_of(record);
  return std::all_of(all.begin(), all.end(), repeats);
}

}  // namespace varve
