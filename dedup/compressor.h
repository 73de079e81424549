// zstd, behind one door.
#pragma once

#include "dedup/base/bytes.h"
#include "dedup/base/result.h"
#include "dedup/segment_format.h"

namespace varve {

/// What zstd takes; above, its memory is meant for archives that are made once. 0: nothing is
/// compressed.
inline constexpr int kCompressionLevelMax = 19;
inline constexpr int kCompressionLevelDefault = 3;

/// Not for two threads at once: keep one a thread.
class Compressor {
 public:
  explicit Compressor(int level);
  ~Compressor();

  /// Compresses `raw` into `out` (at least compress_bound(raw.size()) bytes) if that saves
  /// something worth having; incompressible data is found by trying a part first. Returns the codec
  /// and the payload's length; for kStored nothing is written.
  struct Outcome {
    Codec codec;
    size_t length;
  };
  Outcome compress(ByteView raw, ByteSpan out);
  static size_t compress_bound(size_t raw_length);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Decodes `payload` into exactly out.size() bytes; kCorrupt if it is anything else. Any thread.
Result<void> decompress(Codec codec, ByteView payload, ByteSpan out);

}  // namespace varve
