// Where a stream is cut: content-defined chunking with a secret table.
//
// A Gear rolling hash with normalised chunking and minimum-size skipping (Xia et al., "FastCDC",
// USENIX ATC 2016), its table derived from the dedup secret. The cut depends on nothing but the
// bytes since the last cut. A Chunker is read only: any thread.
#pragma once

#include "dedup/base/bytes.h"
#include "dedup/keyring.h"
#include "dedup/store_config.h"

namespace varve {

class Chunker {
 public:
  Chunker(const Keyring& keyring, const ChunkerSizes& sizes);

  /// Length of the chunk that begins at the front of `bytes`. `bytes` must hold at least
  /// sizes().maximum bytes or reach to the end of the stream; then the last chunk may be shorter
  /// than the minimum.
  size_t cut(ByteView bytes) const;
  /// Whether `chunk`, which cut() gave once, would be cut there wherever it begins a stream that
  /// goes on: no end of a stream, no place that was chosen otherwise.
  bool is_cut_by_content(ByteView chunk) const;

  const ChunkerSizes& sizes() const { return sizes_; }

 private:
  ChunkerSizes sizes_;
  size_t normal_point_;  // where cuts become easy
  uint64_t mask_hard_, mask_easy_;
  std::unique_ptr<uint64_t[]> table_;
};

}  // namespace varve
