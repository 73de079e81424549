#include "catalog/snapshot_bundles.h"

#include <algorithm>

#include "catalog/schema.h"
#include "dedup/base/limits.h"
#include "dedup/base/log.h"

namespace varve {
namespace {

std::vector<PackId> unbundled_packs(const StagedKv& kv, Result<void>& outcome) {
  std::vector<PackId> packs;
  std::string prefix = key::unbundled(PackId());
  prefix.resize(prefix.size() - PackId::kSize);
  outcome = kv.scan(prefix, key::end_of(prefix), [&](std::string_view key, std::string_view) {
    PackId pack;
    std::string_view bytes = key::tail(key, prefix.size());
    if (bytes.size() != PackId::kSize) return true;
    std::copy(bytes.begin(), bytes.end(), pack.bytes.begin());
    packs.push_back(pack);
    return true;
  });
  return packs;
}

Result<PackHeader> read_header(Storage& storage, const PackInfo& info) {
  auto file = VARVE_TRY(storage.open_read(pack_path(info.pack_class, info.hash)));
  Bytes bytes(kPackHeaderBytes);
  bytes.resize(VARVE_TRY(file->read_at(0, bytes)));
  return decode_pack_header(bytes);
}

Bytes encode_bundle_item(const IndexBundle& bundle) {
  Bytes canonical = encode_index_bundle(bundle);
  Encoder item;
  item.u32(static_cast<uint32_t>(canonical.size())).raw(canonical).varint(0);  // it names no ids
  return item.take();
}

Result<Bytes> make_bundle(PackStore& packs, Storage& storage, const PackInfo& info,
                          const std::vector<PackStore::Recovered>& sealed) {
  IndexBundle bundle;
  bundle.info = info;
  bundle.header = VARVE_TRY(read_header(storage, info));
  auto at_hand = std::find_if(sealed.begin(), sealed.end(),
                              [&](const auto& pack) { return pack.info.pack == info.pack; });
  bundle.index = at_hand != sealed.end() ? at_hand->index : VARVE_TRY(packs.read_index(info.pack));
  return encode_bundle_item(bundle);
}

}  // namespace

Result<WrittenBundles> write_bundles(const StagedKv& kv, Ingest& ingest, PackStore& packs,
                                     Storage& storage,
                                     const std::vector<PackStore::Recovered>& sealed) {
  WrittenBundles written;
  Result<void> scanned;
  std::vector<PackId> unbundled = unbundled_packs(kv, scanned);
  VARVE_TRY(std::move(scanned));
  auto stream = ingest.open_stream(SegmentType::kIndexBundle, Ingest::Access::kSequential);
  for (const PackId& pack : unbundled) {
    std::optional<PackInfo> info = packs.find(pack);
    if (!info) continue;
    auto item = make_bundle(packs, storage, *info, sealed);
    if (!item.ok()) {  // whoever needs the index later reads the pack, and meets the same damage
      log_warning("pack " + pack.hex() +
                  " stays without an index bundle: " + item.error().message());
      continue;
    }
    written.packs.push_back(pack);
    // The index of a pack of very many small chunks fits no object: its pack is read instead.
    if (item->size() > kObjectBytesMax) continue;
    written.objects.push_back(VARVE_TRY(ingest.put(*stream, *item)).id);
  }
  return written;
}

}  // namespace varve
