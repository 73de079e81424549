// Packs: what a crash left, and what the index lacks.
#include "catalog/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "catalog/schema.h"
#include "dedup/base/log.h"

namespace varve {

namespace {

struct OpenRow {
  PackId pack;
  uint64_t length = 0;
};

Result<PackId> pack_of_key(std::string_view key) {
  Decoder in(as_bytes(key.substr(1)));
  const PackId pack = in.id<PackId>();
  VARVE_TRY(in.finish("a key of the pack table"));
  return pack;
}

Result<void> scan_table(
    KvView& view, char table,
    const std::function<Result<void>(std::string_view, std::string_view)>& visit) {
  const std::unique_ptr<KvCursor> cursor = VARVE_TRY(view.cursor());
  VARVE_TRY(cursor->seek(std::string(1, table)));
  while (cursor->valid() && cursor->key().front() == table) {
    VARVE_TRY(visit(cursor->key(), cursor->value()));
    VARVE_TRY(cursor->next());
  }
  return {};
}

Result<std::vector<OpenRow>> open_rows(KvView& view) {
  std::vector<OpenRow> rows;
  const auto visit = [&](std::string_view key, std::string_view value) -> Result<void> {
    const OpenPackRow row = VARVE_TRY(decode_open_pack(value));
    rows.push_back({VARVE_TRY(pack_of_key(key)), row.length});
    return {};
  };
  VARVE_TRY(scan_table(view, 'w', visit));
  return rows;
}

void sealed(const PackStore::Recovered& recovered, PackStore& packs, ChunkIndex& index,
            KvBatch& changes) {
  const PackInfo& info = recovered.info;
  packs.add(info);
  index.add_pack(info.pack, recovered.index);
  changes[key::pack(info.pack)] = encode(info);
  changes[key::open_pack(info.pack)] = std::nullopt;
  if (info.pack_class == PackClass::kData) changes[key::unbundled(info.pack)] = "";
}

/// A row without an open file: the crash came between the rename of the sealed pack and the commit
/// that says so.
Result<void> find_sealed(const std::vector<OpenRow>& rows, PackStore& packs, ChunkIndex& index,
                         KvBatch& changes) {
  if (rows.empty()) return {};
  std::map<PackId, PackInfo> here;
  const std::vector<PackInfo> files = VARVE_TRY(packs.list_files());
  for (const PackInfo& info : files) here.emplace(info.pack, info);
  for (const OpenRow& row : rows) {
    const auto found = here.find(row.pack);
    if (found == here.end()) {
      log_error("pack " + row.pack.hex() +
                " was in writing and is missing: what was written last (" +
                std::to_string(row.length) + " bytes of it) cannot be read");
      continue;
    }
    packs.add(found->second);
    Result<PackIndex> content = packs.read_index(row.pack);
    if (!content.ok()) {
      log_error("pack " + row.pack.hex() + ": " + content.error().message());
      continue;
    }
    sealed({found->second, std::move(content).value()}, packs, index, changes);
  }
  return {};
}

Result<void> recover_open(const OpenRow& row, PackStore& packs, ChunkIndex& index,
                          KvBatch& changes) {
  auto recovered = packs.recover(row.pack, row.length);
  if (!recovered.ok() && recovered.error().code() == Errc::kNoSpace) return recovered.error();
  if (!recovered.ok()) {
    log_error("local/open/" + row.pack.hex() + ": " + recovered.error().message() +
              "; the file is kept, what lies in it cannot be read");
  } else if (!*recovered) {
    changes[key::open_pack(row.pack)] = std::nullopt;
  } else {
    sealed(**recovered, packs, index, changes);
  }
  return {};
}

void index_from_pack(const PackInfo& info, PackStore& packs, ChunkIndex& index) {
  const Result<PackIndex> content = packs.read_index(info.pack);
  if (content.ok()) {
    index.add_pack(info.pack, *content);
  } else {
    log_error(pack_path(info.pack_class, info.hash) + " (pack " + info.pack.hex() +
              "): " + content.error().message());
  }
}

}  // namespace

Result<KvBatch> recover_packs(KvView& view, PackStore& packs, ChunkIndex& index) {
  const auto tell = [&](std::string_view, std::string_view value) -> Result<void> {
    packs.add(VARVE_TRY(decode_pack(value)));
    return {};
  };
  VARVE_TRY(scan_table(view, 'p', tell));
  const std::vector<PackId> listed = VARVE_TRY(packs.list_open());
  const std::set<PackId> open(listed.begin(), listed.end());
  KvBatch changes;
  std::set<PackId> named;
  std::vector<OpenRow> missing;
  const std::vector<OpenRow> rows = VARVE_TRY(open_rows(view));
  for (const OpenRow& row : rows) {
    named.insert(row.pack);
    if (!open.contains(row.pack)) {
      missing.push_back(row);
      continue;
    }
    VARVE_TRY(recover_open(row, packs, index, changes));
  }
  VARVE_TRY(find_sealed(missing, packs, index, changes));
  for (const PackId& pack : open) {
    if (!named.contains(pack)) VARVE_TRY(packs.remove_open(pack));
  }
  return changes;
}

namespace {

/// A storage that gives no answer is no reason to forget a pack.
bool is_here(Storage& storage, const PackInfo& info) {
  const Result<bool> exists = storage.exists(pack_path(info.pack_class, info.hash));
  return !exists.ok() || *exists;
}

}  // namespace

void complete_index(Storage& storage, PackStore& packs, ChunkIndex& index) {
  const std::vector<PackId> listed = index.packs_on_disk();
  const std::set<PackId> indexed(listed.begin(), listed.end());
  for (const PackId& pack : indexed) {
    const std::optional<PackInfo> info = packs.find(pack);
    if (info && is_here(storage, *info)) continue;
    // Else new data would be stored as a reference to what is gone.
    if (info)
      log_warning(fmt::format("pack {} is missing: {}", pack.hex(),
                              pack_path(info->pack_class, info->hash)));
    index.remove_pack(pack);
  }
  for (const PackInfo& info : packs.sealed_packs()) {
    if (!indexed.contains(info.pack)) index_from_pack(info, packs, index);
  }
}

void reindex_lost_packs(PackStore& packs, ChunkIndex& index) {
  for (const PackId& pack : index.take_lost_packs()) {
    const std::optional<PackInfo> info = packs.find(pack);
    if (info) index_from_pack(*info, packs, index);
  }
}

}  // namespace varve
