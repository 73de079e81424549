// The sizes that the program is built around. A choice is a constant here until two users need it
// otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

namespace varve {

inline constexpr size_t kKiB = 1024;
inline constexpr size_t kMiB = 1024 * kKiB;

inline constexpr uint16_t kFormatVersion = 1;

inline constexpr size_t kPackBytes = 64 * kMiB;          // a full pack, exactly
inline constexpr size_t kStreamSegmentBytes = 1 * kMiB;  // uncompressed, for streams
inline constexpr size_t kImageSegmentBytes = 64 * kKiB;  // uncompressed, for files read at random
inline constexpr size_t kTreeSegmentBytes = 256 * kKiB;  // uncompressed, for trees' objects
inline constexpr size_t kChunkBytesMax = 1 * kMiB;       // the largest maximum a chunker may have
inline constexpr size_t kObjectBytesMax = 1 * kMiB;      // a catalog object's encoding

inline constexpr size_t kFuseRequestBytes = 1 * kMiB;
inline constexpr size_t kNameBytesMax = 255;
inline constexpr size_t kXattrValueBytesMax = 64 * kKiB;
inline constexpr size_t kSymlinkBytesMax = 4095;

inline constexpr int64_t kCommitIntervalMs = 5000;  // the greatest age of data that is not durable

}  // namespace varve
