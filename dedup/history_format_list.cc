// Pack lists: of a new snapshot, and exact ones.

#include <algorithm>

#include "dedup/history_format.h"

namespace varve {
namespace {

void encode_row(Encoder& out, const PackInfo& row) {
  out.id(row.hash).id(row.pack).u64(row.length);
  out.u8(static_cast<uint8_t>(row.pack_class)).zeros(7);
}

PackInfo decode_row(Decoder& in) {
  PackInfo row;
  row.hash = in.id<FileHash>();
  row.pack = in.id<PackId>();
  row.length = in.u64();
  const uint8_t pack_class = in.u8();
  if (pack_class < 1 || pack_class > 2) in.fail();
  row.pack_class = static_cast<PackClass>(pack_class);
  in.zeros(7);
  return row;
}

SnapshotRuns decode_runs(Decoder& in, size_t snapshots) {
  SnapshotRuns runs;
  const uint16_t count = in.u16();
  for (uint16_t i = 0; i < count && !in.failed(); i++) {
    const uint32_t first = in.u32();
    const uint32_t length = in.u32();
    if (first > snapshots || length > snapshots - first) in.fail();
    runs.emplace_back(first, length);
  }
  return runs;
}

}  // namespace

Bytes encode_pack_list(const PackList& list) {
  Encoder out;
  out.u8(list.exact ? 2 : 1).u8(list.depth).zeros(6);
  out.u32(static_cast<uint32_t>(list.bases.size()));
  for (const FileHash& base : list.bases) out.id(base);
  out.u32(static_cast<uint32_t>(list.rows.size()));
  for (const PackInfo& row : list.rows) encode_row(out, row);
  if (!list.exact) return out.take();
  out.u32(static_cast<uint32_t>(list.snapshots.size()));
  for (const FileHash& snapshot : list.snapshots) out.id(snapshot);
  for (const SnapshotRuns& runs : list.needed_by) {
    out.u16(static_cast<uint16_t>(runs.size()));
    for (const auto& [first, count] : runs) out.u32(first).u32(count);
  }
  return out.take();
}

Result<PackList> decode_pack_list(ByteView bytes) {
  Decoder in(bytes);
  PackList list;
  const uint8_t kind = in.u8();
  if (kind < 1 || kind > 2) in.fail();
  list.exact = kind == 2;
  list.depth = in.u8();
  in.zeros(6);
  const uint32_t bases = in.u32();
  for (uint32_t i = 0; i < bases && !in.failed(); i++) list.bases.push_back(in.id<FileHash>());
  if ((list.depth == 0) != list.bases.empty()) in.fail();
  const uint32_t rows = in.u32();
  for (uint32_t i = 0; i < rows && !in.failed(); i++) list.rows.push_back(decode_row(in));
  if (list.exact) {
    const uint32_t snapshots = in.u32();
    for (uint32_t i = 0; i < snapshots && !in.failed(); i++) {
      list.snapshots.push_back(in.id<FileHash>());
    }
    for (uint32_t i = 0; i < rows && !in.failed(); i++) {
      list.needed_by.push_back(decode_runs(in, list.snapshots.size()));
    }
  }
  VARVE_TRY(in.finish("a pack list"));
  return list;
}

std::vector<PackInfo> rows_needed_by(const PackList& exact, const FileHash& snapshot) {
  const auto at = std::find(exact.snapshots.begin(), exact.snapshots.end(), snapshot);
  const auto number = static_cast<uint32_t>(at - exact.snapshots.begin());
  const auto has = [&](const auto& run) {
    return number >= run.first && number - run.first < run.second;
  };
  std::vector<PackInfo> needed;
  for (size_t row = 0; row < exact.rows.size(); row++) {
    const SnapshotRuns& runs = exact.needed_by[row];
    if (std::any_of(runs.begin(), runs.end(), has)) needed.push_back(exact.rows[row]);
  }
  return needed;
}

}  // namespace varve
