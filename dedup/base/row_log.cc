#include "dedup/base/row_log.h"

#include <fmt/format.h>

#include <charconv>

#include "dedup/base/checksum.h"
#include "dedup/base/log.h"

namespace varve {
namespace {

constexpr size_t kFileBytesMax = size_t{1} << 32;
constexpr size_t kChecksumDigits = 16;

std::string line_of(std::string_view row) {
  return fmt::format("{:016x} {}\n", xxh3(as_bytes(row)), row);
}

}  // namespace

std::optional<std::string_view> row_in_line(std::string_view line) {
  if (line.size() < kChecksumDigits + 2 || line[kChecksumDigits] != ' ') return std::nullopt;
  uint64_t checksum = 0;
  const char* const end = line.data() + kChecksumDigits;
  const auto read = std::from_chars(line.data(), end, checksum, 16);
  const std::string_view row = line.substr(kChecksumDigits + 1);
  if (read.ec != std::errc() || read.ptr != end || checksum != xxh3(as_bytes(row)))
    return std::nullopt;
  return row;
}

Result<std::unique_ptr<RowLog>> RowLog::open(Storage& storage, const std::string& path,
                                             const Take& take) {
  std::unique_ptr<RowLog> log(new RowLog(storage, path));
  if (!VARVE_TRY(log->load(take))) {
    if (const size_t name = path.rfind('/'); name != std::string::npos)
      VARVE_TRY(storage.make_directories(path.substr(0, name)));
    // Its name is durable from here on, so that syncing the file is enough.
    VARVE_TRY(write_whole(storage, path, {}));
  }
  log->file_ = VARVE_TRY(storage.open_write(path));
  return log;
}

Result<std::unique_ptr<RowLog>> RowLog::read(Storage& storage, const std::string& path,
                                             const Take& take) {
  std::unique_ptr<RowLog> log(new RowLog(storage, path));
  VARVE_TRY(log->load(take));
  return log;
}

Result<bool> RowLog::load(const Take& take) {
  const Result<Bytes> bytes = read_whole(storage_, path_, kFileBytesMax);
  if (!bytes.ok() && bytes.error().code() == Errc::kNotFound) return false;
  if (!bytes.ok()) return bytes.error();
  std::string_view text = as_text(*bytes);
  end_ = text.size();
  // A line that a crash has cut off must not swallow the next one.
  if (!text.empty() && text.back() != '\n') unsaved_ = "\n";
  size_t passed_over = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::optional<std::string_view> row = row_in_line(text.substr(0, end));
    if (row && take(*row)) {
      rows_++;
    } else if (end > 0) {
      passed_over++;
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (passed_over > 0)
    log_info(fmt::format("{}: {} damaged rows are passed over", path_, passed_over));
  return true;
}

void RowLog::append(std::string_view row) {
  std::lock_guard lock(mutex_);
  unsaved_ += line_of(row);
  rows_++;
}

size_t RowLog::unsaved_bytes() const {
  std::lock_guard lock(mutex_);
  return unsaved_.size();
}

size_t RowLog::rows() const {
  std::lock_guard lock(mutex_);
  return rows_;
}

Result<void> RowLog::save() {
  std::lock_guard writing(writing_);
  if (failed_) return *failed_;
  if (!file_) return Error(Errc::kReadOnly, path_ + " was opened to be read");
  std::string text;
  {
    std::lock_guard lock(mutex_);
    text.swap(unsaved_);
  }
  // Whoever waited here for another thread's save finds its own rows written by that.
  if (text.empty()) return {};
  Result<void> written = file_->write_at(end_, as_bytes(text));
  if (written.ok()) written = file_->sync();
  if (!written.ok()) failed_ = written.error();
  end_ += text.size();
  return written;
}

Result<void> RowLog::replace(const std::vector<std::string>& rows) {
  std::lock_guard writing(writing_);
  if (failed_) return *failed_;
  std::string text;
  for (const std::string& row : rows) text += line_of(row);
  VARVE_TRY(write_whole(storage_, path_, as_bytes(text)));
  file_ = VARVE_TRY(storage_.open_write(path_));
  end_ = text.size();
  std::lock_guard lock(mutex_);
  unsaved_.clear();
  rows_ = rows.size();
  return {};
}

}  // namespace varve
