// What a simulated disk has not made durable yet, and what a power cut makes of it. Used by
// SimulatedStorage alone.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "dedup/base/bytes.h"

namespace varve::simulated {

std::string directory_of(const std::string& path);

/// A write, or a truncation to `offset` if `truncates`.
struct DataEffect {
  bool truncates = false;
  uint64_t offset = 0;
  Bytes bytes;
};

void apply_effect(Bytes& content, const DataEffect& effect);

/// A file's bytes, whatever its names.
struct Node {
  uint64_t number = 0;  // in the order of making: names may hold random digits
  Bytes current, durable;
  std::vector<DataEffect> pending;
  std::set<uint64_t> flipped_bits;
  uint64_t reserved = 0;
};
/// What of a file's bytes is there after the power cut.
void settle_bytes(Node& node, std::mt19937_64& random);
/// The same where all that was not synced is kept, or lost.
void settle_bytes(Node& node, bool kept);

using NodePtr = std::shared_ptr<Node>;

/// `from` loses its name and `to` (if not empty) gets it; create: `from` is empty; unlink: `to` is
/// empty.
struct NameEffect {
  std::string from, to;
  NodePtr node;

  bool crosses() const {
    return !from.empty() && !to.empty() && directory_of(from) != directory_of(to);
  }
};

using Names = std::map<std::string, NodePtr>;

void apply_effect(Names& names, const NameEffect& effect);

}  // namespace varve::simulated
