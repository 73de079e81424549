#include "catalog/collected_rows.h"

#include <algorithm>

#include "catalog/schema.h"

namespace varve {
namespace {

PackId pack_of_listed(std::string_view key) {
  PackId pack;
  const std::string_view bytes = key::tail(key, 1 + SetId::kSize);
  if (bytes.size() == PackId::kSize) std::copy(bytes.begin(), bytes.end(), pack.bytes.begin());
  return pack;
}

}  // namespace

/// One that cannot be read is built on no more.
bool CollectedRows::names_any(const FileHash& list, const PackIds& goes) const {
  const Result<std::vector<PackInfo>> packs = history_.packs_of_list(list);
  if (!packs.ok()) return true;
  return std::any_of(packs->begin(), packs->end(),
                     [&](const PackInfo& info) { return goes.contains(info.pack); });
}

Result<std::set<FileHash>> CollectedRows::lists_that_name(const PackIds& goes) const {
  std::set<FileHash> newest;
  Result<void> read;
  VARVE_TRY(kv_.scan("s", "t", [&](std::string_view, std::string_view value) {
    const Result<SetRow> row = decode_set(value);
    if (!row.ok()) read = row.error();
    if (row.ok() && row->newest_list) newest.insert(*row->newest_list);
    return row.ok();
  }));
  VARVE_TRY(std::move(read));
  std::erase_if(newest, [&](const FileHash& list) { return !names_any(list, goes); });
  return newest;
}

Result<void> CollectedRows::put_back_sets(const std::set<FileHash>& lists, KvBatch& rows) {
  Result<void> read;
  VARVE_TRY(kv_.scan("s", "t", [&](std::string_view key, std::string_view value) {
    Result<SetRow> row = decode_set(value);
    if (!row.ok()) read = row.error();
    if (!row.ok()) return false;
    if (!row->newest_list || !lists.contains(*row->newest_list)) return true;
    row->newest_list.reset();
    rows[std::string(key)] = encode(*row);
    return true;
  }));
  return read;
}

Result<void> CollectedRows::take(const std::string& key, KvBatch& rows) {
  const auto value = VARVE_TRY(kv_.get(key));
  if (!value) return {};
  taken_[key] = std::string(*value);
  rows[key] = std::nullopt;
  return {};
}

Result<void> CollectedRows::remove(const std::vector<PackInfo>& packs, const Bundles& bundles) {
  taken_.clear();
  PackIds goes;
  for (const PackInfo& info : packs) goes.insert(info.pack);
  // A list may name packs of other sets': whose set they are of says nothing.
  const std::set<FileHash> lists = VARVE_TRY(lists_that_name(goes));
  return tree_.exclusively([&]() -> Result<void> {
    KvBatch rows;
    VARVE_TRY(kv_.scan("b", "c", [&](std::string_view key, std::string_view value) {
      if (!goes.contains(pack_of_listed(key))) return true;
      taken_[std::string(key)] = std::string(value);
      rows[std::string(key)] = std::nullopt;
      return true;
    }));
    VARVE_TRY(put_back_sets(lists, rows));
    for (const PackInfo& info : packs) {
      VARVE_TRY(take(key::pack(info.pack), rows));
      VARVE_TRY(take(key::unbundled(info.pack), rows));
      const auto bundled = bundles.find(info.pack);
      if (bundled == bundles.end()) continue;
      for (const PackId& pack : bundled->second)
        if (!goes.contains(pack)) rows[key::unbundled(pack)] = "";
    }
    kv_.apply(std::move(rows));
    let_go_.insert(let_go_.end(), lists.begin(), lists.end());
    return {};
  });
}

void CollectedRows::restore() {
  kv_.apply(std::move(taken_));
  taken_.clear();
}

}  // namespace varve
