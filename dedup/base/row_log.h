// An append-only log of rows of text: for what may be lost and looked up again, but must not be
// wrong.
//
// One line a row, "<xxh3 of the row, 16 hexadecimal digits> <row>": a line that a crash has torn,
// or that somebody has changed, is passed over. Rows hold no newline. Any thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "dedup/base/storage.h"

namespace varve {

/// The row of a line (without its newline) whose checksum holds.
std::optional<std::string_view> row_in_line(std::string_view line);

class RowLog {
 public:
  /// Given each whole row in order; false if it makes no sense.
  using Take = std::function<bool(std::string_view row)>;

  /// Reads `path` of `storage`; made, with its directory, if it is not there.
  static Result<std::unique_ptr<RowLog>> open(Storage& storage, const std::string& path,
                                              const Take& take);
  /// The same for who only looks: nothing is made, and nothing can be saved.
  static Result<std::unique_ptr<RowLog>> read(Storage& storage, const std::string& path,
                                              const Take& take);

  /// Kept in memory until save.
  void append(std::string_view row);
  size_t unsaved_bytes() const;
  /// Makes durable what was appended. Broken once it has failed: every later call gives that.
  Result<void> save();
  /// Of the log's rows, how many there are.
  size_t rows() const;
  /// From now on the log is `rows`: these or the old ones after a crash. What was appended and not
  /// saved goes. Nobody appends or saves meanwhile.
  Result<void> replace(const std::vector<std::string>& rows);

 private:
  RowLog(Storage& storage, std::string path) : storage_(storage), path_(std::move(path)) {}
  /// False: there is none.
  Result<bool> load(const Take& take);

  Storage& storage_;
  const std::string path_;
  std::mutex writing_;  // file_, end_, failed_; taken before mutex_
  std::unique_ptr<StorageFile> file_;
  uint64_t end_ = 0;
  std::optional<Error> failed_;
  mutable std::mutex mutex_;  // what follows
  std::string unsaved_;
  size_t rows_ = 0;
};

}  // namespace varve
