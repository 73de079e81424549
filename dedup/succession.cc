#include "dedup/succession.h"

#include <algorithm>
#include <map>
#include <set>

#include "dedup/base/checksum.h"
#include "dedup/base/limits.h"
#include "dedup/store_files.h"

namespace varve {

namespace {

constexpr size_t kRecordBytesMax = 256 * kMiB;

/// Of all statements with one subject the newest is in force.
class InForce {
 public:
  void take(const Statement& statement, uint64_t sequence, const WriterId& by) {
    if (statement.type != StatementType::kPromotion) return;
    const Result<Promotion> promotion = decode_promotion(statement, sequence);
    if (!promotion.ok()) return;
    Newest& newest = newest_[{promotion->from, promotion->replica}];
    if (std::pair(sequence, by) < std::pair(newest.promotion.sequence, newest.by)) return;
    newest = {*promotion, by};
  }

  Result<void> take_record(const Envelope& envelope) {
    const auto statements = VARVE_TRY(decode_statements(envelope.readable, {}));
    for (const Statement& statement : statements) {
      take(statement, envelope.sequence, envelope.writer);
      if (statement.type != StatementType::kBase) continue;
      const BaseRecord base = VARVE_TRY(decode_base(statement));
      for (const BaseRecord::InForce& one : base.statements) {
        take(one.statement, one.sequence, one.writer);
      }
    }
    return {};
  }

  std::vector<Promotion> all() const {
    std::vector<Promotion> result;
    for (const auto& [subject, newest] : newest_) result.push_back(newest.promotion);
    return result;
  }

 private:
  struct Newest {
    Promotion promotion;
    WriterId by;
  };
  std::map<std::pair<WriterId, ReplicaId>, Newest> newest_;
};

}  // namespace

Statement promotion_statement(const Promotion& promotion) {
  Encoder out;
  out.id(promotion.from).id(promotion.to).id(promotion.replica);
  return {StatementType::kPromotion, out.take(), {}};
}

Result<Promotion> decode_promotion(const Statement& statement, uint64_t sequence) {
  if (statement.type != StatementType::kPromotion) return Error(Errc::kCorrupt, "is no promotion");
  Decoder in(statement.readable);
  Promotion promotion;
  promotion.from = in.id<WriterId>();
  promotion.to = in.id<WriterId>();
  promotion.replica = in.id<ReplicaId>();
  promotion.sequence = sequence;
  VARVE_TRY(in.finish("a promotion"));
  return promotion;
}

std::optional<Promotion> unsettled_promotion(const std::vector<Promotion>& promotions,
                                             const std::vector<WriterId>& mine,
                                             const ReplicaId& here) {
  std::set<WriterId> open(mine.begin(), mine.end());
  for (const Promotion& promotion : promotions) {
    if (promotion.replica == here) open.erase(promotion.from);
  }
  std::optional<Promotion> newest;
  for (const Promotion& promotion : promotions) {
    if (!open.contains(promotion.from)) continue;
    if (!newest || promotion.sequence > newest->sequence) newest = promotion;
  }
  return newest;
}

WriterId present_writer_after(const Promotion& promotion,
                              const std::vector<Promotion>& promotions) {
  WriterId writer = promotion.to;
  std::set<WriterId> met{promotion.from};
  for (bool found = true; found && met.insert(writer).second;) {
    found = false;
    for (const Promotion& next : promotions) {
      if (next.from != writer || next.replica != promotion.replica) continue;
      writer = next.to;
      found = true;
      break;
    }
  }
  return writer;
}

Result<std::vector<Promotion>> read_promotions(Storage& storage, const StoreConfig& config) {
  const auto keys = VARVE_TRY(read_epoch_keys(storage, config));
  InForce in_force;
  for (const StorageEntry& entry : VARVE_TRY(list_if_there(storage, "records"))) {
    const std::optional<FileHash> hash = FileHash::from_hex(entry.name);
    if (!hash || entry.is_directory) continue;
    const Result<Bytes> bytes = read_whole(storage, "records/" + entry.name, kRecordBytesMax);
    if (!bytes.ok() || sha256(*bytes) != *hash) continue;
    const Result<Envelope> envelope = decode_envelope(*bytes, config.store_id, keys, nullptr);
    if (!envelope.ok() || envelope->kind != HistoryKind::kRecord) continue;
    (void)in_force.take_record(*envelope);
  }
  return in_force.all();
}

std::string describe(const Promotion& promotion) {
  return "replica " + promotion.replica.hex() + " of it was promoted to a live store, as writer " +
         promotion.to.hex();
}

std::string what_succession_asks(const std::string& root, const Promotion& promotion) {
  return root + " was succeeded while it was away: " + describe(promotion) +
         ". Nothing is written here until you choose: 'varve rejoin " + root +
         " --from DIR' takes its live trees, from its files in DIR (what was written here since is "
         "kept as a snapshot); 'varve rejoin " +
         root + " --keep-mine' goes on with those of here";
}

}  // namespace varve
