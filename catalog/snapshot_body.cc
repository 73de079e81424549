#include "catalog/snapshot_body.h"

#include "catalog/tree_node.h"

namespace varve {
namespace {

constexpr uint64_t kNextNumberMin = kTopNumber + 1;

void encode_hint(Encoder& out, const std::optional<ChunkPlace>& hint) {
  out.u8(hint ? 1 : 0);
  if (hint) out.id(hint->pack).u32(hint->segment);
}

std::optional<ChunkPlace> decode_hint(Decoder& in) {
  const uint8_t form = in.u8();
  if (form > 1) in.fail();
  if (form != 1 || in.failed()) return std::nullopt;
  ChunkPlace place;
  place.pack = in.id<PackId>();
  place.segment = in.u32();
  return place;
}

/// The hint of `tree`; none may stand where there is no tree.
void decode_hint_of(Decoder& in, std::optional<TreeRef>& tree) {
  const std::optional<ChunkPlace> hint = decode_hint(in);
  if (tree) tree->hint = hint;
  if (!tree && hint) in.fail();
}

void encode_snapshot_tree(Encoder& out, const SnapshotTree& tree) {
  out.id(tree.set).blob(tree.set_name).varint(tree.next_number).u8(tree.links ? 1 : 0);
  if (tree.links) out.id(tree.links->id);
  encode_hint(out, tree.links ? tree.links->hint : std::nullopt);
  std::vector<HintedId> references;
  encode_node(out, tree.top, references);
  encode_hint(out, tree.top.below ? tree.top.below->hint : std::nullopt);
}

SnapshotTree decode_snapshot_tree(Decoder& in) {
  SnapshotTree tree;
  tree.set = in.id<SetId>();
  tree.set_name = in.text();
  tree.next_number = in.varint();
  const uint8_t links_form = in.u8();
  if (links_form > 1) in.fail();
  if (links_form == 1) tree.links = TreeRef{in.id<ChunkId>(), std::nullopt};
  decode_hint_of(in, tree.links);
  tree.top = decode_node(in, FileType::kDirectory);
  decode_hint_of(in, tree.top.below);
  // The names become names in the mount and in a restored directory.
  const bool name_fits = tree.set.is_zero() ? tree.set_name.empty() : is_entry_name(tree.set_name);
  if (!name_fits || tree.next_number < kNextNumberMin || tree.next_number > kNextNumberMax)
    in.fail();
  return tree;
}

}  // namespace

Bytes encode_snapshot_body(const SnapshotBody& body) {
  Encoder out;
  out.blob(body.name).varint(body.trees.size());
  for (const SnapshotTree& tree : body.trees) encode_snapshot_tree(out, tree);
  return out.take();
}

Result<SnapshotBody> decode_snapshot_body(ByteView bytes) {
  Decoder in(bytes);
  SnapshotBody body;
  body.name = in.text();
  if (!body.name.empty() && !is_entry_name(body.name)) in.fail();
  const uint64_t count = in.varint();
  for (uint64_t i = 0; i < count && !in.failed(); i++) {
    SnapshotTree tree = decode_snapshot_tree(in);
    if (i > 0 && tree.set <= body.trees.back().set) in.fail();
    body.trees.push_back(std::move(tree));
  }
  VARVE_TRY(in.finish("a snapshot"));
  return body;
}

Result<void> check_snapshot_shape(const SnapshotHeader& header, const SnapshotBody& body) {
  const bool of_set = header.snapshot_class == SnapshotClass::kSet;
  const bool fits = of_set ? body.trees.size() == 1 && body.trees[0].set == header.set
                           : !body.trees.empty() && body.trees[0].set.is_zero();
  if (!fits) return Error(Errc::kCorrupt, "holds other sets than its header says");
  return {};
}

}  // namespace varve
