#include "catalog/index_bundles.h"

namespace varve {
namespace {

/// The stored item of an index bundle: length of the canonical part, canonical part, hints.
Result<IndexBundle> bundle_of(ByteView item) {
  Decoder in(item);
  const ByteView canonical = in.raw(in.u32());
  if (in.failed()) return Error(Errc::kCorrupt, "an index bundle has no whole canonical part");
  return decode_index_bundle(canonical);
}

}  // namespace

Result<void> visit_bundles(const PackInfo& catalog, PackStore& packs,
                           const std::function<void(IndexBundle)>& visit) {
  const PackIndex content = VARVE_TRY(packs.read_index(catalog.pack));
  for (uint32_t i = 0; i < content.segments.size(); i++) {
    if (content.segments[i].type != SegmentType::kIndexBundle) continue;
    const auto segment = VARVE_TRY(packs.read_segment(catalog.pack, i));
    for (const IndexedChunk& chunk : segment->chunks()) {
      const std::optional<ByteView> item = segment->find(chunk.id);
      if (item) visit(VARVE_TRY(bundle_of(*item)));
    }
  }
  return {};
}

}  // namespace varve
