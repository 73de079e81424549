#include "catalog/snapshot_needs.h"

#include <set>

#include "catalog/history_state.h"

namespace varve {

PackIsHere lies_in(Storage& storage) {
  return [&storage](const PackInfo& info) {
    return storage.exists(pack_path(info.pack_class, info.hash));
  };
}

/// What the storage does not give now is asked for again.
Result<const PackList*> SnapshotNeeds::list(const FileHash& hash) {
  auto known = lists_.find(hash);
  if (known == lists_.end()) {
    Result<PackList> read = history_.list(hash);
    if (!read.ok() && read.error().code() == Errc::kIo) return std::move(read).error();
    known = lists_.emplace(hash, std::move(read)).first;
  }
  if (!known->second.ok()) return known->second.error();
  return &*known->second;
}

Result<bool> SnapshotNeeds::are_here(const std::vector<PackInfo>& rows) {
  for (const PackInfo& row : rows) {
    const auto known = packs_.find(row.hash);
    const bool here = known != packs_.end() ? known->second : VARVE_TRY(is_here_(row));
    packs_[row.hash] = here;
    if (!here) return false;
  }
  return true;
}

/// With its bases, which are never deeper than 64.
Result<bool> SnapshotNeeds::is_list_whole(const FileHash& hash, int depth) {
  if (const auto known = whole_.find(hash); known != whole_.end()) return known->second;
  const Result<const PackList*> found = list(hash);
  if (!found.ok() && found.error().code() == Errc::kIo) return found.error();
  bool whole = found.ok() && depth <= kListDepthMax && VARVE_TRY(are_here((*found)->rows));
  for (size_t i = 0; whole && i < (*found)->bases.size(); i++)
    whole = VARVE_TRY(is_list_whole((*found)->bases[i], depth + 1));
  whole_[hash] = whole;
  return whole;
}

Result<bool> SnapshotNeeds::is_whole(const SnapshotInfo& snapshot) {
  for (const FileHash& exact : VARVE_TRY(history_.exact_lists_of(snapshot.hash))) {
    const Result<const PackList*> found = list(exact);
    if (!found.ok() && found.error().code() == Errc::kIo) return found.error();
    if (found.ok() && VARVE_TRY(are_here(rows_needed_by(**found, snapshot.hash)))) return true;
  }
  return is_list_whole(snapshot.header.list);
}

Result<std::vector<PackInfo>> SnapshotNeeds::packs_of(const FileHash& born) {
  std::map<PackId, PackInfo> rows;
  std::set<FileHash> met{born};
  std::vector<FileHash> waiting{born};
  while (!waiting.empty()) {
    const PackList* next = VARVE_TRY(list(waiting.back()));
    waiting.pop_back();
    for (const PackInfo& row : next->rows) rows.emplace(row.pack, row);
    for (const FileHash& base : next->bases) {
      if (met.insert(base).second) waiting.push_back(base);
    }
  }
  std::vector<PackInfo> packs;
  packs.reserve(rows.size());
  for (const auto& [pack, row] : rows) packs.push_back(row);
  return packs;
}

Result<SnapshotNeeds::Packs> SnapshotNeeds::of(const SnapshotInfo& snapshot) {
  std::optional<Packs> newest;
  for (const FileHash& exact : VARVE_TRY(history_.exact_lists_of(snapshot.hash))) {
    const Result<const PackList*> found = list(exact);
    if (!found.ok() && found.error().code() == Errc::kIo) return found.error();
    if (!found.ok()) continue;
    Packs needs{rows_needed_by(**found, snapshot.hash), std::nullopt};
    if (VARVE_TRY(are_here(needs.packs))) return needs;
    if (!newest) newest = std::move(needs);
  }
  const bool born_is_whole = VARVE_TRY(is_list_whole(snapshot.header.list));
  if (newest && !born_is_whole) return *std::move(newest);
  return Packs{VARVE_TRY(packs_of(snapshot.header.list)), snapshot.header.list};
}

}  // namespace varve
