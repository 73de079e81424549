// Packs: what a crash left, and what the index lacks.
#include "catalog/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_set>

#include "catalog/index_batch.h"
#include "catalog/index_bundles.h"
#include "catalog/row_probe.h"
#include "catalog/schema.h"
#include "dedup/base/log.h"
#include "dedup/store_files.h"

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

/// A second file of a pack: what a recovery had sealed that was interrupted itself.
Result<void> remove_double(const PackInfo& info, const PackRecovery& recovery) {
  for (const PackInfo& listed : recovery.history.listed_packs()) {
    if (listed.hash == info.hash) return {};
  }
  log_info(pack_path(info.pack_class, info.hash) + ": pack " + info.pack.hex() +
           " is there twice; this one is removed");
  return recovery.packs.remove_file(info);
}

/// A sealed pack that nothing says anything of; its bytes are not believed before they are hashed,
/// for it may be on its way in.
Result<void> adopt_pack(const PackInfo& info, const PackRecovery& recovery, KvBatch& changes) {
  Result<void> whole = recovery.packs.check_hash(info);
  if (!whole.ok() && whole.error().code() != Errc::kCorrupt) return whole;
  if (!whole.ok()) {
    log_warning(whole.error().message() + "; it counts as absent");
    return {};
  }
  recovery.packs.add(info);
  Result<PackIndex> content = recovery.packs.read_index(info.pack);
  if (!content.ok()) {
    recovery.packs.remove(info.pack);
    return {};
  }
  sealed({info, std::move(content).value()}, recovery.packs, recovery.index, changes);
  return {};
}

/// Sealed files that the table does not have: the crash came between a pack's rename and the commit
/// that says so. `rows` are of packs that are not in writing any more.
Result<void> find_sealed(const std::vector<OpenRow>& rows, const PackRecovery& recovery,
                         KvBatch& changes) {
  if (rows.empty() && recovery.closed) return {};
  std::set<PackId> expected;
  for (const OpenRow& row : rows) expected.insert(row.pack);
  const WriterId writer = recovery.history.writer();
  for (const auto& [info, by] : VARVE_TRY(recovery.packs.list_strangers())) {
    if (recovery.packs.find(info.pack)) {
      if (by == writer) VARVE_TRY(remove_double(info, recovery));
    } else if (by == writer || expected.contains(info.pack)) {
      VARVE_TRY(adopt_pack(info, recovery, changes));
    }
  }
  for (const OpenRow& row : rows) {
    if (recovery.packs.find(row.pack)) continue;
    log_error("pack " + row.pack.hex() + " was in writing and is missing: what was written last (" +
              std::to_string(row.length) + " bytes of it) cannot be read");
  }
  return {};
}

/// As of a pack in writing: it goes to no run before it is sealed.
void index_waiting(const PackId& pack, const PackIndex& content, ChunkIndex& index) {
  for (uint32_t i = 0; i < content.segments.size(); i++) {
    const IndexedSegment& segment = content.segments[i];
    const auto first = content.chunks.begin() + segment.first_chunk;
    index.add(pack, i, {first, first + segment.chunk_count});
  }
}

Result<void> recover_open(const OpenRow& row, PackStore& packs, ChunkIndex& index,
                          KvBatch& changes) {
  auto recovered = packs.recover(row.pack, row.length);
  if (!recovered.ok() && recovered.error().code() == Errc::kNoSpace) {
    const std::optional<PackIndex> waiting = packs.waiting_index(row.pack);
    log_warning("the store's disk is full: pack " + row.pack.hex() +
                (waiting ? " is read where it is, and sealed when there is space"
                         : " is kept as it is; make space and mount again to read it"));
    if (waiting) index_waiting(row.pack, *waiting, index);
  } else if (!recovered.ok()) {
    log_error("local/open/" + row.pack.hex() + ": " + recovered.error().message() +
              "; the file is kept, what lies in it cannot be read");
  } else if (!*recovered) {
    changes[key::open_pack(row.pack)] = std::nullopt;
  } else {
    sealed(**recovered, packs, index, changes);
  }
  return {};
}

std::optional<PackIndex> index_in_pack(const PackInfo& info, PackStore& packs) {
  Result<PackIndex> content = packs.readable_index(info.pack);
  if (content.ok()) return std::move(content).value();
  log_error(pack_path(info.pack_class, info.hash) + " (pack " + info.pack.hex() +
            "): " + content.error().message());
  (void)packs.is_missing(info.pack);  // so that its return is seen
  return std::nullopt;
}

void index_from_pack(const PackInfo& info, PackStore& packs, ChunkIndex& index) {
  const std::optional<PackIndex> content = index_in_pack(info, packs);
  if (content) index.add_pack(info.pack, *content);
}

}  // namespace

Result<KvBatch> recover_packs(KvView& view, const PackRecovery& recovery) {
  PackStore& packs = recovery.packs;
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
    VARVE_TRY(recover_open(row, packs, recovery.index, changes));
  }
  VARVE_TRY(find_sealed(missing, recovery, changes));
  for (const PackId& pack : open) {
    if (!named.contains(pack)) VARVE_TRY(packs.remove_open(pack));
  }
  return changes;
}

namespace {

/// The immutable files that are here, by names, in order: a great store's folders are listed faster
/// than each pack is asked for. None if they cannot be listed.
std::vector<StoreFile> files_here(Storage& storage) {
  Result<StoreFiles> listed = list_store_files(storage);
  if (!listed.ok()) return {};
  return std::move(listed).value().files;
}

bool is_among(const std::vector<StoreFile>& files, const PackInfo& info) {
  const bool data = info.pack_class == PackClass::kData;
  const StoreFile file{data ? FileClass::kPack : FileClass::kCatalogPack, info.hash};
  return std::binary_search(files.begin(), files.end(), file);
}

/// What lies in packs that are not here, as the bundles of catalog packs repeat it.
void index_evicted(PackStore& packs, const std::set<PackId>& evicted, IndexBatch& batch) {
  if (evicted.empty()) return;
  std::set<PackId> left = evicted;
  for (const PackInfo& info : packs.sealed_packs()) {
    if (info.pack_class != PackClass::kCatalog || left.empty()) continue;
    const Result<void> read = visit_bundles(info, packs, [&](IndexBundle bundle) {
      if (left.erase(bundle.header.pack) > 0)
        batch.add(bundle.header.pack, std::move(bundle.index));
    });
    if (!read.ok())
      log_warning(pack_path(info.pack_class, info.hash) + ": " + read.error().message());
  }
  for (const PackId& pack : left)
    log_error("pack " + pack.hex() + " is evicted, and no bundle says what lies in it");
}

/// No answer says nothing of it.
bool storage_has(Storage& storage, const PackInfo& info) {
  const Result<bool> there = storage.exists(pack_path(info.pack_class, info.hash));
  return !there.ok() || *there;
}

}  // namespace

void complete_index(Storage& storage, PackStore& packs, ChunkIndex& index) {
  const std::vector<StoreFile> here = files_here(storage);
  for (const PackInfo& info : packs.sealed_packs()) {
    if (packs.is_held(info.pack) && !is_among(here, info) && !storage_has(storage, info))
      packs.evicted(info);
  }
  std::unordered_set<PackId, IdHash> indexed;
  for (const PackId& pack : index.packs_on_disk()) {
    indexed.insert(pack);
    const std::optional<PackInfo> info = packs.find(pack);
    if (info && (is_among(here, *info) || packs.is_held(pack))) continue;
    // A remote may have it: it is read from there, and nothing new refers to it meanwhile.
    if (info && packs.looks_elsewhere()) {
      if (!storage_has(storage, *info)) packs.lost(*info);
      continue;
    }
    // Which remembers it, so that its return is seen; a storage that gives no answer is no reason
    // to forget a pack.
    if (info && !packs.is_missing(pack)) continue;
    // Else new data would be stored as a reference to what is gone.
    if (info)
      log_warning(fmt::format("pack {} is missing: {}", pack.hex(),
                              pack_path(info->pack_class, info->hash)));
    index.remove_pack(pack);
  }
  IndexBatch batch(index);
  std::set<PackId> evicted;
  for (const PackInfo& info : packs.evicted_packs()) {
    if (!indexed.contains(info.pack)) evicted.insert(info.pack);
  }
  index_evicted(packs, evicted, batch);
  for (const PackInfo& info : packs.sealed_packs()) {
    if (indexed.contains(info.pack) || evicted.contains(info.pack)) continue;
    std::optional<PackIndex> content = index_in_pack(info, packs);
    if (content) batch.add(info.pack, *std::move(content));
  }
  batch.finish();
}

void index_packs(const std::vector<PackInfo>& added, PackStore& packs, ChunkIndex& index) {
  for (const PackInfo& info : added) index_from_pack(info, packs, index);
}

void reindex_lost_packs(PackStore& packs, ChunkIndex& index) {
  std::set<PackId> evicted;
  for (const PackInfo& info : packs.evicted_packs()) evicted.insert(info.pack);
  std::set<PackId> wanted;
  for (const PackId& pack : index.take_lost_packs()) {
    const std::optional<PackInfo> info = packs.find(pack);
    if (evicted.contains(pack)) {
      wanted.insert(pack);
    } else if (info) {
      index_from_pack(*info, packs, index);
    }
  }
  IndexBatch batch(index);
  index_evicted(packs, wanted, batch);
  batch.finish();
  for (const PackInfo& info : packs.take_returned()) {
    log_info(pack_path(info.pack_class, info.hash) + " is here again");
    index_from_pack(info, packs, index);
  }
}

}  // namespace varve
