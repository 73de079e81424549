// What a fuzz target is: one parser of stored or foreign bytes, its seeds, and what must hold of
// it.
#pragma once

#include <string_view>
#include <vector>

#include "dedup/base/bytes.h"
#include "dedup/base/result.h"

namespace varve {

struct FuzzTarget {
  std::string_view name;
  /// Parses `input`: whether it is accepted. Ends the process if a property does not hold.
  bool (*run)(ByteView input);
  /// Inputs that are accepted, made by the program's own encoders.
  std::vector<Bytes> (*seeds)();
};

// One file a family.
std::vector<FuzzTarget> access_targets();
std::vector<FuzzTarget> pack_targets();
std::vector<FuzzTarget> index_run_targets();
std::vector<FuzzTarget> tree_targets();
std::vector<FuzzTarget> history_targets();
std::vector<FuzzTarget> row_targets();
std::vector<FuzzTarget> text_targets();
std::vector<FuzzTarget> tar_targets();

/// Ends the process with `what` unless it holds.
void expect_that(bool holds, const char* what);

inline Bytes bytes_of(std::string_view text) {
  const ByteView bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

inline bool same_bytes(ByteView a, ByteView b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

/// What decodes encodes to the very same bytes. Whether it decodes.
template <typename Decoded, typename Encode>
bool expect_canonical(const Result<Decoded>& decoded, ByteView input, const Encode& encode) {
  if (!decoded.ok()) return false;
  expect_that(same_bytes(encode(*decoded), input), "an accepted encoding is not the canonical one");
  return true;
}

}  // namespace varve
