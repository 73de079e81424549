// When each pack was last read through and found whole: what lets a verification go on where the
// last one stopped, and show that everything was read within so many days.
//
// A log of rows, one a pack, "<hash> <seconds since 1970> <h|d>": h for its hash, d for every
// segment opened too; later ones win. It is a note of this place and no truth: a lost one costs
// time. Any thread.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "dedup/base/id.h"
#include "dedup/base/row_log.h"

namespace varve {

class VerificationLedger {
 public:
  enum class Depth : uint8_t { kHash, kDecoded };

  /// Reads `path` of `storage`, which is made if it is not there.
  static Result<std::unique_ptr<VerificationLedger>> open(Storage& storage,
                                                          const std::string& path);

  /// When, in seconds, the pack was last found whole to at least that depth.
  std::optional<int64_t> last(const FileHash& pack, Depth depth) const;
  /// It was just found whole. A line that cannot be written is an error of save.
  void note(const FileHash& pack, Depth depth, int64_t seconds);
  /// Writes out what was noted; done by itself every 64 packs.
  Result<void> save();
  /// Forgets packs that `kept` does not hold, and writes the file anew without them.
  Result<void> compact(const std::unordered_set<FileHash, IdHash>& kept);

 private:
  struct Seen {
    int64_t hashed = 0, decoded = 0;  // 0: never
  };
  VerificationLedger() = default;
  bool take_row(std::string_view row);
  void take(const FileHash& pack, Depth depth, int64_t seconds);

  mutable std::mutex mutex_;  // taken before the log's
  std::unordered_map<FileHash, Seen, IdHash> seen_;
  std::unique_ptr<RowLog> log_;
};

}  // namespace varve
