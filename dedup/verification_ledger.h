// When each pack was last read through and found whole: what lets a verification go on where the
// last one stopped, and show that everything was read within so many days.
//
// A text file, one line a pack, "<hash> <seconds since 1970> <h|d>": h for its hash, d for every
// segment opened too. Lines are appended as packs are done; later ones win, and what is no such
// line is skipped, so that a crash costs the last lines at most. It is a note of this place and no
// truth: a lost one costs time. Any thread.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "dedup/base/id.h"
#include "dedup/base/storage.h"

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
  VerificationLedger(Storage& storage, std::string path)
      : storage_(storage), path_(std::move(path)) {}
  void read_lines(std::string_view text);
  void take(const FileHash& pack, Depth depth, int64_t seconds);
  Result<void> write_out();

  Storage& storage_;
  const std::string path_;
  mutable std::mutex mutex_;
  std::unordered_map<FileHash, Seen, IdHash> seen_;
  std::unique_ptr<StorageFile> file_;
  uint64_t end_ = 0;
  std::string unwritten_;
  std::optional<Error> failed_;
};

}  // namespace varve
