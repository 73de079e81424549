#include "replicator/carried_history.h"

#include <algorithm>

#include "dedup/base/checksum.h"
#include "dedup/keyring.h"

namespace varve {
namespace {

constexpr size_t kCarriedFileBytesMax = 256 * kMiB;

bool is_history(FileClass file_class) {
  return file_class == FileClass::kList || file_class == FileClass::kSnapshot;
}

HistoryKind kind_of_class(FileClass file_class) {
  return file_class == FileClass::kList ? HistoryKind::kList : HistoryKind::kSnapshot;
}

}  // namespace

StoreFile file_of_pack(const PackInfo& pack) {
  return {pack.pack_class == PackClass::kData ? FileClass::kPack : FileClass::kCatalogPack,
          pack.hash};
}

Result<void> CarriedHistory::refresh(Storage& storage, const StoreConfig& config,
                                     const StoreFiles& files) {
  std::set<FileHash> generations;
  std::set<StoreFile> here;
  for (const StoreFile& file : files.files) {
    if (file.file_class == FileClass::kKeys) generations.insert(file.hash);
    if (is_history(file.file_class)) here.insert(file);
  }
  if (generations != keys_read_ || keys_.empty()) {
    keys_ = VARVE_TRY(read_epoch_keys(storage, config));
    keys_read_ = std::move(generations);
    problems_.clear();  // an epoch that was unknown may be known now
  }
  forget_others(here);
  for (const StoreFile& file : here) {
    const bool known = file.file_class == FileClass::kList ? lists_.contains(file.hash)
                                                           : by_hash_.contains(file.hash);
    if (known) continue;
    const Result<void> read = read_file(storage, config, file);
    if (read.ok()) {
      problems_.erase(file);
    } else if (read.error().code() != Errc::kNotFound) {
      problems_[file] = path_of(file) + ": " + read.error().message();
    }
  }
  arrange();
  return {};
}

Result<void> CarriedHistory::add(Storage& storage, const StoreConfig& config,
                                 const std::vector<StoreFile>& files) {
  for (const StoreFile& file : files) {
    const bool known = lists_.contains(file.hash) || by_hash_.contains(file.hash);
    if (known || !is_history(file.file_class)) continue;
    const Result<void> read = read_file(storage, config, file);
    if (!read.ok() && read.error().code() != Errc::kNotFound)
      problems_[file] = path_of(file) + ": " + read.error().message();
  }
  arrange();
  return {};
}

Result<void> CarriedHistory::read_file(Storage& storage, const StoreConfig& config,
                                       const StoreFile& file) {
  const Bytes bytes = VARVE_TRY(read_whole(storage, path_of(file), kCarriedFileBytesMax));
  if (sha256(bytes) != file.hash) {
    return Error(Errc::kCorrupt, "its bytes do not hash to its name");
  }
  const Envelope envelope = VARVE_TRY(decode_envelope(bytes, config.store_id, keys_, nullptr));
  if (envelope.kind != kind_of_class(file.file_class))
    return Error(Errc::kCorrupt, "lies in the wrong folder");
  return take(file, envelope);
}

Result<void> CarriedHistory::take(const StoreFile& file, const Envelope& envelope) {
  if (file.file_class == FileClass::kList) {
    PackList content = VARVE_TRY(decode_pack_list(envelope.readable));
    lists_[file.hash] = {envelope.sequence, std::move(content)};
    return {};
  }
  CarriedSnapshot snapshot{file.hash, envelope.writer, envelope.sequence, envelope.time, {}};
  snapshot.header = VARVE_TRY(decode_snapshot_header(envelope.readable));
  by_hash_[file.hash] = snapshot;
  return {};
}

std::optional<std::vector<PackInfo>> CarriedHistory::packs_of(
    const std::vector<FileHash>& lists) const {
  std::set<FileHash> met;
  std::vector<FileHash> all;
  const auto is_here = [&](const FileHash& list) { return lists_.contains(list); };
  if (!std::all_of(lists.begin(), lists.end(), is_here)) return std::nullopt;
  for (const FileHash& list : lists) add_with_bases(list, met, all);
  std::vector<PackInfo> packs;
  for (const FileHash& list : all) {
    const PackList& content = lists_.at(list).content;
    if (!std::all_of(content.bases.begin(), content.bases.end(), is_here)) return std::nullopt;
    packs.insert(packs.end(), content.rows.begin(), content.rows.end());
  }
  return packs;
}

void CarriedHistory::forget_others(const std::set<StoreFile>& here) {
  std::erase_if(lists_, [&](const auto& list) {
    return !here.contains({FileClass::kList, list.first});
  });
  std::erase_if(by_hash_, [&](const auto& snapshot) {
    return !here.contains({FileClass::kSnapshot, snapshot.first});
  });
  std::erase_if(problems_, [&](const auto& problem) { return !here.contains(problem.first); });
}

void CarriedHistory::arrange() {
  snapshots_.clear();
  exact_for_.clear();
  newest_checkpoint_.clear();
  for (const auto& [hash, snapshot] : by_hash_) {
    snapshots_.push_back(snapshot);
    if (!snapshot.is_checkpoint()) continue;
    uint64_t& newest = newest_checkpoint_[snapshot.writer];
    newest = std::max(newest, snapshot.sequence);
  }
  std::sort(snapshots_.begin(), snapshots_.end(), [](const auto& a, const auto& b) {
    return std::tie(a.sequence, a.writer, a.hash) < std::tie(b.sequence, b.writer, b.hash);
  });
  for (const auto& [hash, list] : lists_) {
    if (!list.content.exact) continue;
    for (const FileHash& snapshot : list.content.snapshots) exact_for_[snapshot].push_back(hash);
  }
}

bool CarriedHistory::has_newer_checkpoint(const CarriedSnapshot& snapshot) const {
  const auto newest = newest_checkpoint_.find(snapshot.writer);
  return newest != newest_checkpoint_.end() && snapshot.sequence < newest->second;
}

const std::vector<PackInfo>& CarriedHistory::rows_of(const FileHash& list) const {
  static const std::vector<PackInfo> none;
  const auto found = lists_.find(list);
  return found == lists_.end() ? none : found->second.content.rows;
}

void CarriedHistory::add_with_bases(const FileHash& list, std::set<FileHash>& met,
                                    std::vector<FileHash>& out) const {
  // Without recursion: a hostile chain may be as long as there are files.
  std::vector<std::pair<FileHash, size_t>> path;
  const auto enter = [&](const FileHash& next) {
    if (lists_.contains(next) && met.insert(next).second) path.emplace_back(next, 0);
  };
  enter(list);
  while (!path.empty()) {
    auto& [current, next_base] = path.back();
    const std::vector<FileHash>& bases = lists_.at(current).content.bases;
    if (next_base < bases.size()) {
      enter(bases[next_base++]);
      continue;
    }
    out.push_back(current);
    path.pop_back();
  }
}

std::vector<FileHash> CarriedHistory::with_bases(const FileHash& list) const {
  std::set<FileHash> met;
  std::vector<FileHash> all;
  add_with_bases(list, met, all);
  return all;
}

std::vector<FileHash> CarriedHistory::exact_lists_of(const FileHash& snapshot) const {
  const auto exact = exact_for_.find(snapshot);
  return exact == exact_for_.end() ? std::vector<FileHash>() : exact->second;
}

std::vector<FileHash> CarriedHistory::lists_of(const CarriedSnapshot& snapshot) const {
  std::set<FileHash> met;
  std::vector<FileHash> out;
  add_with_bases(snapshot.header.list, met, out);
  if (const auto exact = exact_for_.find(snapshot.hash); exact != exact_for_.end()) {
    for (const FileHash& list : exact->second) add_with_bases(list, met, out);
  }
  return out;
}

Lacking CarriedHistory::lacking_by_birth(const CarriedSnapshot& snapshot,
                                         const IsThere& is_there) const {
  Lacking lacking;
  std::set<FileHash> met{snapshot.header.list}, packs;
  std::vector<FileHash> waiting{snapshot.header.list};
  while (!waiting.empty()) {
    const FileHash list = waiting.back();
    waiting.pop_back();
    const auto found = lists_.find(list);
    if (found == lists_.end() || !is_there({FileClass::kList, list})) lacking.lists.push_back(list);
    if (found == lists_.end()) continue;
    for (const PackInfo& row : found->second.content.rows) {
      if (!is_there(file_of_pack(row)) && packs.insert(row.hash).second)
        lacking.packs.push_back(row);
    }
    for (const FileHash& base : found->second.content.bases) {
      if (met.insert(base).second) waiting.push_back(base);
    }
  }
  return lacking;
}

Lacking CarriedHistory::lacking_by_exact(const CarriedSnapshot& snapshot, const FileHash& list,
                                         const IsThere& is_there) const {
  Lacking lacking;
  if (!is_there({FileClass::kList, list})) lacking.lists.push_back(list);
  for (const PackInfo& row : rows_needed_by(lists_.at(list).content, snapshot.hash)) {
    if (!is_there(file_of_pack(row))) lacking.packs.push_back(row);
  }
  return lacking;
}

Lacking CarriedHistory::lacking(const CarriedSnapshot& snapshot, const IsThere& is_there) const {
  Lacking least = lacking_by_birth(snapshot, is_there);
  const auto exact = exact_for_.find(snapshot.hash);
  if (exact == exact_for_.end()) return least;
  for (const FileHash& list : exact->second) {
    if (least.nothing()) break;
    Lacking other = lacking_by_exact(snapshot, list, is_there);
    if (std::pair(other.lists.size(), other.packs.size()) <
        std::pair(least.lists.size(), least.packs.size()))
      least = std::move(other);
  }
  return least;
}

}  // namespace varve
