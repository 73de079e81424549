#include "catalog/collection_marks.h"

#include <algorithm>
#include <set>

#include "catalog/history_state.h"
#include "catalog/row_probe.h"
#include "catalog/schema.h"
#include "dedup/base/log.h"

namespace varve {
namespace {

constexpr const char* kNotKnown =
    "which packs a snapshot needs is not known, so nothing is removed (varve heal, or fsck.varve)";

SnapshotRuns runs_of(const std::vector<uint32_t>& numbers) {
  SnapshotRuns runs;
  for (const uint32_t number : numbers) {
    if (!runs.empty() && runs.back().first + runs.back().second == number) {
      runs.back().second++;
    } else {
      runs.emplace_back(number, 1);
    }
  }
  return runs;
}

}  // namespace

CollectionMarks::CollectionMarks(const Parts& parts, Marking::Progress progress)
    : parts_(parts),
      marking_(parts.index, parts.fetch, std::move(progress)),
      rows_owner_(marking_.add_owner()) {}

bool CollectionMarks::is_mine(const WriterId& writer) const {
  const std::vector<WriterId> before = parts_.history.succeeded();
  return writer == parts_.history.writer() ||
         std::find(before.begin(), before.end(), writer) != before.end();
}

/// Of this writer's that come back from elsewhere none is so new.
bool CollectionMarks::is_since(const SnapshotInfo& info, uint64_t sequence) const {
  return info.writer == parts_.history.writer() && info.sequence > sequence;
}

PackIsHere CollectionMarks::is_here() const {
  return [this](const PackInfo& info) -> Result<bool> {
    if (parts_.packs.is_held(info.pack)) return true;
    return parts_.storage.exists(pack_path(info.pack_class, info.hash));
  };
}

std::vector<SnapshotInfo> CollectionMarks::all_snapshots() const {
  std::vector<SnapshotInfo> all = parts_.history.snapshots();
  const std::vector<SnapshotInfo> checkpoints = parts_.history.checkpoints();
  all.insert(all.end(), checkpoints.begin(), checkpoints.end());
  return all;
}

uint64_t CollectionMarks::unknown_snapshots() const {
  return static_cast<uint64_t>(std::count_if(followed_.begin(), followed_.end(),
                                             [](const auto& one) { return !one.second.is_known; }));
}

// Marking.

Result<void> CollectionMarks::mark(KvView& view, const std::vector<SnapshotInfo>& snapshots) {
  VARVE_TRY(check_all_are_read());
  VARVE_TRY(mark_live(view));
  SnapshotNeeds needs(parts_.history, is_here());
  for (const SnapshotInfo& info : snapshots) VARVE_TRY(mark_snapshot(info, needs));
  VARVE_TRY(doubt_incomplete(needs));
  return visit_held([this](const PackId& pack) { marking_.mark_pack(rows_owner_, pack); });
}

/// What counts as absent may be healed, and then needs its packs.
Result<void> CollectionMarks::check_all_are_read() const {
  std::set<FileHash> known;
  for (const SnapshotInfo& info : all_snapshots()) known.insert(info.hash);
  const auto entries = parts_.storage.list(folder_of(HistoryKind::kSnapshot));
  if (!entries.ok() && entries.error().code() == Errc::kNotFound) return {};
  if (!entries.ok()) return entries.error();
  for (const StorageEntry& entry : *entries) {
    const std::optional<FileHash> hash = FileHash::from_hex(entry.name);
    if (!hash || hash->hex() != entry.name || known.contains(*hash)) continue;
    if (parts_.history.body(*hash).ok()) continue;  // dropped, and it came back
    const std::string path = history_path(HistoryKind::kSnapshot, *hash);
    if (!VARVE_TRY(parts_.storage.exists(path))) continue;
    return Error(Errc::kCorrupt,
                 path +
                     " cannot be read, so which packs it needs is not known and nothing is "
                     "removed: varve heal, or fsck.varve");
  }
  return {};
}

Result<void> CollectionMarks::mark_live(KvView& view) {
  VARVE_TRY(scan_table(view, 's', [&](std::string_view, std::string_view value) -> Result<void> {
    const SetRow row = VARVE_TRY(decode_set(value));
    if (row.links && !row.removed) return marking_.mark_tree(rows_owner_, *row.links);
    return {};
  }));
  VARVE_TRY(scan_table(view, 't',
                       [&](std::string_view, std::string_view value) { return mark_ref(value); }));
  // Where there is a mark, the next snapshot writes the directory anew.
  VARVE_TRY(
      scan_table(view, 'r', [&](std::string_view key, std::string_view value) -> Result<void> {
        std::string changed(key);
        changed.front() = 'k';
        if (VARVE_TRY(view.get(changed))) return {};
        return mark_ref(value);
      }));
  return scan_table(view, 'e', [&](std::string_view key, std::string_view value) -> Result<void> {
    return marking_.mark_chunk(rows_owner_, VARVE_TRY(decode_extent(key, value)).chunk);
  });
}

Result<void> CollectionMarks::mark_ref(std::string_view value) {
  return in_context(marking_.mark_tree(rows_owner_, VARVE_TRY(decode_tree_ref(value))),
                    "the live tree cannot be followed, so nothing is removed");
}

Result<void> CollectionMarks::mark_snapshot(const SnapshotInfo& info, SnapshotNeeds& needs) {
  const auto [place, is_new] = followed_.try_emplace(info.hash);
  if (!is_new) return {};
  Followed& one = place->second;
  one.info = info;
  one.owner = marking_.add_owner();
  if (!is_mine(info.writer)) return keep_listed(one, needs);
  const Result<void> done = follow(one);
  if (done.ok() || done.error().code() == Errc::kIo) return done;
  const std::string path = history_path(HistoryKind::kSnapshot, info.hash);
  if (!VARVE_TRY(parts_.storage.exists(path))) {  // dropped, or pruned, meanwhile
    followed_.erase(place);
    return {};
  }
  log_warning(path + ": " + done.error().message() + ": all packs that its lists name stay");
  return keep_listed(one, needs);
}

Result<void> CollectionMarks::follow(const Followed& one) {
  const SnapshotBody body = VARVE_TRY(parts_.history.body(one.info.hash));
  for (const SnapshotTree& tree : body.trees) {
    if (tree.links) VARVE_TRY(marking_.mark_tree(one.owner, *tree.links));
    if (tree.top.below) VARVE_TRY(marking_.mark_tree(one.owner, *tree.top.below));
  }
  return {};
}

/// Other writers' snapshots, and what cannot be followed.
Result<void> CollectionMarks::keep_listed(Followed& one, SnapshotNeeds& needs) {
  one.is_known = false;
  const auto found = needs.of(one.info);
  if (!found.ok()) return Error(found.error()).with_context(kNotKnown);
  for (const PackInfo& pack : found->packs) marking_.mark_pack(one.owner, pack.pack);
  if (!is_mine(one.info.writer)) return {};
  const auto born = parts_.history.packs_of_list(one.info.header.list);
  if (!born.ok()) return Error(born.error()).with_context(kNotKnown);
  for (const PackInfo& pack : *born) marking_.mark_pack(one.owner, pack.pack);
  return {};
}

/// A snapshot some of whose chunks are in no sealed pack that is known: an exact list would say
/// that it is whole without them.
Result<void> CollectionMarks::doubt_incomplete(SnapshotNeeds& needs) {
  const auto is_unknown = [this](const PackId& pack) { return !parts_.packs.find(pack); };
  const std::vector<PackId>& all = marking_.packs();
  if (std::none_of(all.begin(), all.end(), is_unknown)) return {};
  needed_ = marking_.packs_by_owner();
  for (auto& [hash, one] : followed_) {
    const std::vector<PackId>& packs = needed_[one.owner];
    if (!one.is_known || std::none_of(packs.begin(), packs.end(), is_unknown)) continue;
    log_warning(history_path(HistoryKind::kSnapshot, hash) +
                ": not all that it needs is in packs that are known: all packs that its lists name "
                "stay");
    VARVE_TRY(keep_listed(one, needs));
  }
  return {};
}

Result<void> CollectionMarks::visit_held(const std::function<void(const PackId&)>& visit) const {
  for (const HoldInForce& one : parts_.history.holds()) {
    if (one.hold.replica != parts_.replica) continue;
    for (const FileHash& list : one.hold.lists) {
      for (const PackInfo& pack : VARVE_TRY(parts_.history.packs_of_list(list))) visit(pack.pack);
    }
  }
  return {};
}

// What follows from it.

Result<void> CollectionMarks::check_needed_are_here() {
  needed_ = marking_.packs_by_owner();
  std::set<Marking::Owner> unknown;
  for (const auto& [hash, one] : followed_)
    if (!one.is_known) unknown.insert(one.owner);
  PackIds looked_at;
  const PackIsHere here = is_here();
  for (Marking::Owner owner = 0; owner < needed_.size(); owner++) {
    if (unknown.contains(owner)) continue;
    for (const PackId& pack : needed_[owner]) {
      const std::optional<PackInfo> info = parts_.packs.find(pack);
      if (!info || !looked_at.insert(pack).second || VARVE_TRY(here(*info))) continue;
      return Error(Errc::kCorrupt,
                   pack_path(info->pack_class, info->hash) +
                       " is missing and needed, so nothing is removed: varve heal, or fsck.varve");
    }
  }
  return {};
}

Result<std::vector<PackId>> CollectionMarks::arrived(uint64_t sequence) const {
  VARVE_TRY(check_all_are_read());
  std::vector<PackId> packs;
  SnapshotNeeds needs(parts_.history, is_here());
  for (const SnapshotInfo& info : all_snapshots()) {
    if (followed_.contains(info.hash) || is_since(info, sequence)) continue;
    const auto found = VARVE_TRY(in_context(needs.of(info), kNotKnown));
    for (const PackInfo& pack : found.packs) packs.push_back(pack.pack);
  }
  VARVE_TRY(visit_held([&](const PackId& pack) { packs.push_back(pack); }));
  return packs;
}

Result<PackList> CollectionMarks::exact_list(const PackIds& goes, uint64_t sequence) const {
  PackList list;
  std::map<PackId, std::vector<uint32_t>> needed_by;  // ascending
  for (const SnapshotInfo& info : all_snapshots()) {
    const auto followed = followed_.find(info.hash);
    const bool is_followed = followed != followed_.end() && followed->second.is_known;
    if (!is_followed && (followed != followed_.end() || !is_since(info, sequence))) continue;
    std::vector<PackId> packs;
    if (is_followed) {
      packs = needed_[followed->second.owner];
    } else {
      for (const PackInfo& pack : VARVE_TRY(parts_.history.packs_of_list(info.header.list)))
        packs.push_back(pack.pack);
    }
    std::erase_if(packs, [&](const PackId& pack) { return goes.contains(pack); });
    // No list says that a snapshot is whole without a pack that it may need.
    const auto is_unknown = [this](const PackId& pack) { return !parts_.packs.find(pack); };
    if (std::any_of(packs.begin(), packs.end(), is_unknown)) continue;
    const auto number = static_cast<uint32_t>(list.snapshots.size());
    list.snapshots.push_back(info.hash);
    for (const PackId& pack : packs) needed_by[pack].push_back(number);
  }
  for (const auto& [pack, numbers] : needed_by) {
    list.rows.push_back(*parts_.packs.find(pack));
    list.needed_by.push_back(runs_of(numbers));
  }
  return list;
}

}  // namespace varve
