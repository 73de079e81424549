// What follows -o: the options of mount.varve, as a person or fstab writes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dedup/base/result.h"
#include "dedup/compressor.h"

namespace varve {

/// Less does not pay: a write of the kernel's is a MiB, and so is a segment.
inline constexpr uint64_t kDirtyBytesMin = uint64_t{8} << 20;

struct MountOptions {
  bool read_only = false;
  bool allow_other = false;
  /// Where the working state lies; empty: in the store itself.
  std::string local;
  /// Where the secret is read from; at most one is set.
  std::string passphrase_file, key_file, recovery_key_file;
  /// Bytes of decoded data kept for reading.
  uint64_t cache_bytes = uint64_t{256} << 20;
  /// Bytes of written data that are on their way to the disk; kDirtyBytesMin at least.
  uint64_t dirty_bytes = uint64_t{128} << 20;
  /// zstd's level for new data, 1 to kCompressionLevelMax; 0: stored as it is.
  int compression_level = kCompressionLevelDefault;
  /// Seconds of change after which a checkpoint is taken; 0: only at umount.
  int64_t checkpoint_seconds = int64_t{15} * 60;
  /// Whether requests come over io_uring where the kernel offers it.
  bool io_uring = true;
  /// Nobody removes snapshots through the mount.
  bool append_only_snapshots = false;
  /// Flags of mount(2) for the kernel, by their names: nosuid, noexec, noatime and the like.
  std::vector<std::string> kernel_flags;
};

/// A list of options divided by commas. kInvalid names the option that is unknown or makes no
/// sense, kUnsupported one that this version does not have. Options that only mount(8) and systemd
/// look at are passed over.
Result<MountOptions> parse_mount_options(std::string_view list);

/// "64M", "1G", "4096": bytes; suffixes K, M, G, T are powers of 1024.
Result<uint64_t> parse_byte_count(std::string_view text);
/// "zstd:1" to "zstd:19", "none": MountOptions::compression_level.
Result<int> parse_compression_level(std::string_view text);
/// "90", "90s", "15m", "2h", "1d": seconds.
Result<int64_t> parse_duration_seconds(std::string_view text);

}  // namespace varve
