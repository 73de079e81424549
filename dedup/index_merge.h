// Several runs of the chunk index become one.
#pragma once

#include <functional>
#include <vector>

#include "dedup/index_run.h"

namespace varve {

inline constexpr uint32_t kNoPack = UINT32_MAX;

struct MergedPart {
  std::shared_ptr<const IndexRun> run;
  std::vector<uint32_t> packs;  // of each of its packs the number in the merged run; kNoPack: its
                                // rows are left out
};

/// Adds the rows of `parts`, which stand newest first, to `writer` in order. `damaged` is told of
/// the part that gives kCorrupt.
Result<void> merge_runs(const std::vector<MergedPart>& parts, IndexRunWriter& writer,
                        const std::function<void(size_t part, const Error&)>& damaged);

}  // namespace varve
