#include "tests/support/simulated_effects.h"

#include <algorithm>

namespace varve::simulated {
namespace {

constexpr size_t kSectorBytes = 512;

void apply_torn(Bytes& content, const DataEffect& effect, std::mt19937_64& random) {
  if (effect.truncates) return;
  for (size_t done = 0; done < effect.bytes.size();) {
    // Sectors lie on the disk's grid, not on the write's.
    size_t at = effect.offset + done;
    size_t count = std::min(kSectorBytes - at % kSectorBytes, effect.bytes.size() - done);
    if (random() % 2 == 0) {
      auto begin = effect.bytes.begin() + static_cast<ptrdiff_t>(done);
      apply_effect(content, {false, at, Bytes(begin, begin + static_cast<ptrdiff_t>(count))});
    }
    done += count;
  }
}

void settled(Node& node) {
  node.pending.clear();
  node.current = node.durable;
  node.reserved = 0;
  uint64_t bits = uint64_t{node.current.size()} * 8;
  node.flipped_bits.erase(node.flipped_bits.lower_bound(bits), node.flipped_bits.end());
}

}  // namespace

std::string directory_of(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

void apply_effect(Bytes& content, const DataEffect& effect) {
  if (effect.truncates) {
    content.resize(effect.offset);
    return;
  }
  content.resize(std::max<size_t>(content.size(), effect.offset + effect.bytes.size()));
  std::copy(effect.bytes.begin(), effect.bytes.end(),
            content.begin() + static_cast<ptrdiff_t>(effect.offset));
}

void settle_bytes(Node& node, std::mt19937_64& random) {
  for (const DataEffect& effect : node.pending) {
    switch (random() % 3) {
      case 0:
        apply_effect(node.durable, effect);
        break;
      case 1:
        apply_torn(node.durable, effect, random);
        break;
      default:
        break;
    }
  }
  settled(node);
}

void settle_bytes(Node& node, bool kept) {
  if (kept) node.durable = node.current;
  settled(node);
}

void apply_effect(Names& names, const NameEffect& effect) {
  if (!effect.to.empty()) names[effect.to] = effect.node;
  if (effect.from.empty()) return;
  auto found = names.find(effect.from);
  // The name may belong to a later file already, where an earlier effect was dropped.
  if (found != names.end() && found->second == effect.node) names.erase(found);
}

}  // namespace varve::simulated
