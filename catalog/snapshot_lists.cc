#include "catalog/snapshot_lists.h"

#include <algorithm>
#include <set>

#include "dedup/base/log.h"

namespace varve {
namespace {

// The deepest list that another may build on.
constexpr uint8_t kBaseDepthMax = 63;

class ListPlan {
 public:
  ListPlan(const StagedKv& kv, const History& history, const PackStore& packs)
      : kv_(kv), history_(history), packs_(packs) {}

  // The newest list of a set is a base if it can be built on; else what it names is written out.
  Result<void> add_base(const WalkedSet& set) {
    const std::optional<FileHash>& newest = set.row.newest_list;
    if (newest && is_usable(*newest)) {
      bases_.insert(*newest);
      based_.push_back(&set);
      return {};
    }
    std::string prefix = listed_prefix(set.row.id);
    std::optional<Error> failed;
    auto scanned =
        kv_.scan(prefix, key::end_of(prefix), [&](std::string_view key, std::string_view) {
          auto pack = pack_in(key, prefix.size());
          if (!pack.ok()) failed = pack.error();
          if (pack.ok() && packs_.find(*pack)) needed_.insert(*pack);
          return !failed;
        });
    VARVE_TRY(scanned);
    if (failed) return *failed;
    return {};
  }

  Result<void> add_references(const WalkedSet& set) {
    for (const PackId& pack : set.references.packs) {
      if (VARVE_TRY(is_covered(pack))) continue;
      if (!packs_.find(pack))
        return Error(Errc::kCorrupt,
                     "pack " + pack.hex() + " is needed by a snapshot and is not sealed");
      needed_.insert(pack);
    }
    return {};
  }

  PlannedList take() const {
    PlannedList plan;
    plan.bases.assign(bases_.begin(), bases_.end());
    for (const PackId& pack : needed_)
      if (auto info = packs_.find(pack)) plan.rows.push_back(*info);
    return plan;
  }

 private:
  static std::string listed_prefix(const SetId& set) {
    std::string key = key::listed(set, PackId());
    key.resize(key.size() - PackId::kSize);
    return key;
  }

  static Result<PackId> pack_in(std::string_view key, size_t skip) {
    std::string_view bytes = key.substr(skip);
    if (bytes.size() != PackId::kSize)
      return Error(Errc::kCorrupt, "the working copy has a malformed row of a listed pack");
    PackId pack;
    std::copy(bytes.begin(), bytes.end(), pack.bytes.begin());
    return pack;
  }

  bool is_usable(const FileHash& list) const {
    auto depth = history_.list_depth(list);
    return depth.ok() && *depth <= kBaseDepthMax;
  }

  Result<bool> is_covered(const PackId& pack) const {
    for (const WalkedSet* set : based_)
      if (VARVE_TRY(kv_.get(key::listed(set->row.id, pack)))) return true;
    return false;
  }

  const StagedKv& kv_;
  const History& history_;
  const PackStore& packs_;
  std::set<FileHash> bases_;
  std::vector<const WalkedSet*> based_;
  std::set<PackId> needed_;
};

}  // namespace

Result<void> place_references(ChunkIndex& index, WalkedSet& set) {
  uint64_t lost = 0;
  for (const ChunkId& id : set.references.unplaced) {
    auto place = VARVE_TRY(index.find(id));
    if (place)
      set.references.packs.insert(place->pack);
    else
      lost++;
  }
  set.references.unplaced.clear();
  if (lost > 0)
    log_error("set '" + set.row.name + "': " + std::to_string(lost) +
              " chunks are in no pack that is here; the snapshot has the files that need them, "
              "but they cannot be read");
  return {};
}

Result<PlannedList> plan_list(const StagedKv& kv, const History& history, const PackStore& packs,
                              const std::vector<WalkedSet>& sets) {
  ListPlan plan(kv, history, packs);
  for (const WalkedSet& set : sets) VARVE_TRY(plan.add_base(set));
  for (const WalkedSet& set : sets) VARVE_TRY(plan.add_references(set));
  // Last, so that the b rows that were read go with the list that was built on.
  for (const WalkedSet& set : sets) {
    if (VARVE_TRY(builds_on_the_same(kv, set))) continue;
    return Error(Errc::kBusy, "set '" + set.row.name + "' was given another tree meanwhile");
  }
  return plan.take();
}

Result<bool> builds_on_the_same(const StagedKv& kv, const WalkedSet& set) {
  auto value = VARVE_TRY(kv.get(key::set(set.set)));
  if (!value) return false;
  return VARVE_TRY(decode_set(*value)).newest_list == set.row.newest_list;
}

void list_references(const WalkedSet& set, KvBatch& batch) {
  for (const PackId& pack : set.references.packs)
    batch.insert_or_assign(key::listed(set.row.id, pack), std::string());
}

}  // namespace varve
