#include "catalog/check_live.h"

#include <fmt/format.h>

namespace varve {
namespace {

constexpr const char* kDatabasePath = "local/db";

void database_wrong(CheckReport& report, std::string problem) {
  Finding finding;
  finding.kind = FindingKind::kWorkingCopy;
  finding.file = kDatabasePath;
  finding.problem = std::move(problem);
  report.add(std::move(finding));
}

std::optional<PackId> pack_in(std::string_view key, size_t skip) {
  Decoder in(as_bytes(key::tail(key, skip)));
  const PackId pack = in.id<PackId>();
  if (!in.finish("a key").ok()) return std::nullopt;
  return pack;
}

uint32_t u32_in(std::string_view key, size_t at) {
  uint32_t value = 0;
  for (const char c : key.substr(std::min(at, key.size()), 4)) {
    value = value << 8 | static_cast<uint8_t>(c);
  }
  return value;
}

/// Rows of a tree that is neither a set's nor waiting to be erased.
Result<void> check_strange_trees(KvView& view, const std::set<uint32_t>& known,
                                 CheckReport& report) {
  const std::unique_ptr<KvCursor> cursor = VARVE_TRY(view.cursor());
  for (const char table : std::string_view("idcxletrkhof")) {
    std::string at(1, table);
    for (;;) {
      VARVE_TRY(cursor->seek(at));
      if (!cursor->valid() || cursor->key().front() != table) break;
      const uint32_t tree = u32_in(cursor->key(), 1);
      if (!known.contains(tree)) {
        database_wrong(report,
                       fmt::format("table {} has rows of tree {}, which is no set's", table, tree));
      }
      if (tree == UINT32_MAX) break;
      at = key::prefix(table, tree + 1, 0);
    }
  }
  return {};
}

Result<void> check_bundle_and_list_rows(const LiveTables& tables, const std::set<SetId>& sets,
                                        CheckReport& report) {
  VARVE_TRY(
      visit_rows(tables.view, "u", [&](std::string_view key, std::string_view) -> Result<void> {
        const auto pack = pack_in(key, 1);
        if (pack && (tables.rows.sealed.contains(*pack) || tables.rows.open.contains(*pack)))
          return {};
        database_wrong(report, "a pack waits to be bundled that is in no table of packs");
        return {};
      }));
  return visit_rows(tables.view, "b", [&](std::string_view key, std::string_view) -> Result<void> {
    Decoder in(as_bytes(key::tail(key, 1)));
    const SetId set = in.id<SetId>();
    const PackId pack = in.id<PackId>();
    const bool fits = in.finish("a key").ok() && sets.contains(set);
    if (!fits) {
      database_wrong(report, "a row of what the next lists build on names a set that is not there");
    } else if (!tables.rows.sealed.contains(pack) && !tables.rows.open.contains(pack)) {
      database_wrong(report, fmt::format("set {} builds on pack {}, which is in no table of packs",
                                         set.hex(), pack.hex()));
    }
    return {};
  });
}

}  // namespace

Result<void> visit_rows(
    KvView& view, const std::string& prefix,
    const std::function<Result<void>(std::string_view, std::string_view)>& visit) {
  const std::unique_ptr<KvCursor> cursor = VARVE_TRY(view.cursor());
  VARVE_TRY(cursor->seek(prefix));
  while (cursor->valid() && cursor->key().starts_with(prefix)) {
    VARVE_TRY(visit(cursor->key(), cursor->value()));
    VARVE_TRY(cursor->next());
  }
  return {};
}

Result<DatabaseState> state_of_database(KvView& view, const StoreId& store) {
  const std::unique_ptr<KvCursor> cursor = VARVE_TRY(view.cursor());
  VARVE_TRY(cursor->seek(std::string(1, '\0')));
  if (!cursor->valid()) return DatabaseState::kEmpty;
  const auto owner = VARVE_TRY(view.get(key::meta("store")));
  const auto schema = VARVE_TRY(view.get(key::meta("schema")));
  if (!owner || *owner != as_text(store.view()) || !schema) return DatabaseState::kRefused;
  const Result<uint32_t> version = decode_u32(*schema);
  const bool ours = version.ok() && *version == kSchemaVersion;
  return ours ? DatabaseState::kOurs : DatabaseState::kRefused;
}

Result<PackRows> read_pack_rows(KvView& view, CheckReport& report) {
  PackRows rows;
  VARVE_TRY(
      visit_rows(view, "p", [&](std::string_view key, std::string_view value) -> Result<void> {
        const auto pack = pack_in(key, 1);
        const auto info = decode_pack(value);
        if (pack && info.ok() && info->pack == *pack) {
          rows.sealed.emplace(*pack, *info);
        } else {
          database_wrong(report, "a row of the table of packs makes no sense");
        }
        return {};
      }));
  VARVE_TRY(
      visit_rows(view, "w", [&](std::string_view key, std::string_view value) -> Result<void> {
        const auto pack = pack_in(key, 1);
        const auto row = decode_open_pack(value);
        if (pack && row.ok()) {
          rows.open.emplace(*pack, *row);
        } else {
          database_wrong(report, "a row of the table of open packs makes no sense");
        }
        return {};
      }));
  return rows;
}

Result<void> check_live_tables(const LiveTables& tables, TreeCheck& trees, CheckReport& report) {
  std::map<uint32_t, SetRow> sets;
  std::set<uint32_t> known_trees;
  std::set<SetId> ids;
  VARVE_TRY(visit_rows(tables.view, "s",
                       [&](std::string_view key, std::string_view value) -> Result<void> {
                         auto row = decode_set(value);
                         if (!row.ok()) {
                           database_wrong(report, "a set's row: " + row.error().message());
                           return {};
                         }
                         ids.insert(row->id);
                         if (!row->removed && !known_trees.insert(row->tree).second) {
                           database_wrong(report, fmt::format("two sets have tree {}", row->tree));
                         }
                         sets.emplace(u32_in(key, 1), std::move(row).value());
                         return {};
                       }));
  VARVE_TRY(
      visit_rows(tables.view, "g", [&](std::string_view key, std::string_view) -> Result<void> {
        known_trees.insert(u32_in(key, 1));
        return {};
      }));
  if (!sets.contains(kRootSet)) database_wrong(report, "the root has no row");
  VARVE_TRY(check_strange_trees(tables.view, known_trees, report));
  VARVE_TRY(check_bundle_and_list_rows(tables, ids, report));
  for (const auto& [number, row] : sets) {
    if (!row.removed) VARVE_TRY(LiveTreeCheck(tables, number, row, trees, report).run());
  }
  return {};
}

}  // namespace varve
