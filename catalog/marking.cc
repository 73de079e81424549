#include "catalog/marking.h"

#include <algorithm>

namespace varve {
namespace {

constexpr uint64_t kProgressObjects = 1024;

void sort_once(std::vector<uint32_t>& numbers) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
}

}  // namespace

Marking::Marking(ChunkIndex& index, Fetch& fetch, Progress progress)
    : index_(index), reader_(fetch), progress_(std::move(progress)) {}

Marking::Owner Marking::add_owner() {
  owners_.emplace_back();
  return static_cast<Owner>(owners_.size() - 1);
}

Marking::Number Marking::number_of(const PackId& pack) {
  const auto [place, is_new] = numbers_.try_emplace(pack, static_cast<Number>(packs_known_.size()));
  if (is_new) packs_known_.push_back(pack);
  return place->second;
}

void Marking::mark_pack(Owner owner, const PackId& pack) {
  std::vector<Number>& packs = owners_[owner].packs;
  const Number number = number_of(pack);
  if (packs.empty() || packs.back() != number) packs.push_back(number);
}

/// The index's answer is what readers go by. A hint alone is believed too: what is in no index that
/// can be read may be there.
Result<void> Marking::add_place(const ChunkId& id, const std::optional<ChunkPlace>& hint,
                                std::vector<Number>& packs) {
  std::optional<ChunkPlace> place = VARVE_TRY(index_.find(id));
  if (!place) place = hint;
  const Number number = number_of(place ? place->pack : PackId());
  if (packs.empty() || packs.back() != number) packs.push_back(number);
  return {};
}

Result<void> Marking::mark_chunk(Owner owner, const ChunkId& id) {
  std::vector<Number>& packs = owners_[owner].packs;
  VARVE_TRY(add_place(id, std::nullopt, packs));
  if (packs.size() > 4096) sort_once(packs);
  return {};
}

// Objects.

Result<void> Marking::read_node(const TreeNode& node, Frame& frame) {
  for (const HintedExtent& extent : node.extents)
    VARVE_TRY(add_place(extent.extent.chunk, extent.hint, frame.packs));
  if (node.below) frame.below.push_back({node.below->id, node.below->hint});
  return {};
}

Result<void> Marking::read_records(const TreeObject& object, Frame& frame) {
  for (const TreeRecord& record : object.records) {
    switch (object.kind) {
      case TreeKind::kDirectory: {
        const TreeEntry entry = VARVE_TRY(decode_entry(record));
        if (!entry.linked) VARVE_TRY(read_node(entry.node, frame));
        break;
      }
      case TreeKind::kExtents: {
        const HintedExtent extent = VARVE_TRY(decode_extent_record(record));
        VARVE_TRY(add_place(extent.extent.chunk, extent.hint, frame.packs));
        break;
      }
      case TreeKind::kLinks:
        VARVE_TRY(read_node(VARVE_TRY(decode_link_record(record)).node, frame));
        break;
    }
  }
  return {};
}

Result<Marking::Frame> Marking::read(const HintedId& id) {
  Frame frame;
  frame.key = ChunkKey::of(id.id);
  VARVE_TRY(add_place(id.id, id.hint, frame.packs));
  const TreeReader::Object object = VARVE_TRY(reader_.object({id.id, id.hint}));
  for (const TreeObject::Branch& branch : object->branches) frame.below.push_back(branch.child);
  VARVE_TRY(read_records(*object, frame));
  return frame;
}

Marking::Number Marking::leave(Frame frame) {
  sort_once(frame.children);
  sort_once(frame.packs);
  objects_.push_back({children_.size(), packs_.size()});
  children_.insert(children_.end(), frame.children.begin(), frame.children.end());
  packs_.insert(packs_.end(), frame.packs.begin(), frame.packs.end());
  const auto number = static_cast<Number>(objects_.size() - 1);
  met_.emplace(frame.key, number);
  if (progress_ && objects_.size() % kProgressObjects == 0) progress_(objects_.size());
  return number;
}

Result<void> Marking::mark_tree(Owner owner, const TreeRef& root) {
  const auto known = met_.find(ChunkKey::of(root.id));
  if (known != met_.end()) {
    owners_[owner].roots.push_back(known->second);
    return {};
  }
  std::vector<Frame> frames;
  frames.push_back(VARVE_TRY(read({root.id, root.hint})));
  for (;;) {
    Frame& frame = frames.back();
    if (frame.next < frame.below.size()) {
      const HintedId child = frame.below[frame.next++];
      const auto met = met_.find(ChunkKey::of(child.id));
      if (met != met_.end()) {
        frame.children.push_back(met->second);
      } else {
        frames.push_back(VARVE_TRY(read(child)));
      }
      continue;
    }
    const Number number = leave(std::move(frame));
    frames.pop_back();
    if (frames.empty()) {
      owners_[owner].roots.push_back(number);
      return {};
    }
    frames.back().children.push_back(number);
  }
}

// Who needs what.

/// Parents have higher numbers than their children, so one way down reaches all that is below.
std::vector<std::vector<PackId>> Marking::packs_by_owner() const {
  std::vector<std::vector<PackId>> result;
  std::vector<bool> reached(objects_.size()), needed(packs_known_.size());
  const auto end_of = [&](size_t object, size_t Object::*begin, size_t last) {
    return object + 1 < objects_.size() ? objects_[object + 1].*begin : last;
  };
  for (const Owned& owned : owners_) {
    std::fill(reached.begin(), reached.end(), false);
    std::fill(needed.begin(), needed.end(), false);
    for (const Number root : owned.roots) reached[root] = true;
    for (const Number pack : owned.packs) needed[pack] = true;
    for (size_t object = objects_.size(); object-- > 0;) {
      if (!reached[object]) continue;
      const size_t children_end = end_of(object, &Object::children, children_.size());
      for (size_t i = objects_[object].children; i < children_end; i++)
        reached[children_[i]] = true;
      const size_t packs_end = end_of(object, &Object::packs, packs_.size());
      for (size_t i = objects_[object].packs; i < packs_end; i++) needed[packs_[i]] = true;
    }
    std::vector<PackId>& packs = result.emplace_back();
    for (size_t pack = 0; pack < needed.size(); pack++)
      if (needed[pack]) packs.push_back(packs_known_[pack]);
  }
  return result;
}

}  // namespace varve
