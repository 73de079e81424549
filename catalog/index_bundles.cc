#include "catalog/index_bundles.h"

#include <future>

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
  std::vector<uint32_t> segments;
  for (uint32_t i = 0; i < content.segments.size(); i++) {
    if (content.segments[i].type == SegmentType::kIndexBundle) segments.push_back(i);
  }
  const auto begin_reading = [&](size_t at) {
    return std::async(std::launch::async, [&packs, pack = catalog.pack, segment = segments[at]] {
      return packs.read_segment(pack, segment);
    });
  };
  decltype(begin_reading(0)) next;
  for (size_t at = 0; at < segments.size(); at++) {
    const auto segment = at == 0 ? packs.read_segment(catalog.pack, segments[0]) : next.get();
    if (!segment.ok()) return segment.error();
    if (at + 1 < segments.size()) next = begin_reading(at + 1);
    for (const IndexedChunk& chunk : (*segment)->chunks()) {
      const std::optional<ByteView> item = (*segment)->find(chunk.id);
      if (item) visit(VARVE_TRY(bundle_of(*item)));
    }
  }
  return {};
}

}  // namespace varve
