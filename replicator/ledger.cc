#include "replicator/ledger.h"

#include <fmt/format.h>

#include <charconv>

#include "dedup/base/checksum.h"
#include "dedup/base/log.h"

namespace varve {
namespace {

constexpr size_t kLedgerFileBytesMax = size_t{1} << 32;
constexpr size_t kChecksumDigits = 16;
constexpr size_t kRowsWorthCompacting = 10'000;
constexpr std::string_view kClassLetters = "kpclsr";

char letter_of(FileClass file_class) {
  return kClassLetters[static_cast<size_t>(file_class)];
}

std::vector<std::string_view> split_row(std::string_view row) {
  std::vector<std::string_view> fields;
  while (!row.empty()) {
    const size_t end = std::min(row.find(' '), row.size());
    fields.push_back(row.substr(0, end));
    row.remove_prefix(std::min(end + 1, row.size()));
  }
  return fields;
}

template <typename Number>
std::optional<Number> number_in(std::string_view text, int base = 10) {
  Number value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size())
    return std::nullopt;
  return value;
}

std::string row_of(const StoreFile& file, const ReplicationLedger::Entry& entry) {
  std::string row =
      fmt::format("there {} {} {}", letter_of(file.file_class), file.hash.hex(), entry.length);
  if (entry.checkpoint) {
    row += fmt::format(" {} {}", entry.checkpoint->writer.hex(), entry.checkpoint->sequence);
  }
  return row;
}

std::string row_of_block(const FileHash& file, uint32_t number, uint64_t checksum) {
  return fmt::format("block {} {} {:016x}", file.hex(), number, checksum);
}

std::string row_of_visit(std::string_view what, const Visit& visit) {
  return fmt::format("{} {} {}", what, visit.number, visit.token);
}

std::string line_of(std::string_view row) {
  return fmt::format("{:016x} {}\n", xxh3(as_bytes(row)), row);
}

/// The row of a line whose checksum holds.
std::optional<std::string_view> row_in(std::string_view line) {
  if (line.size() < kChecksumDigits + 2 || line[kChecksumDigits] != ' ') return std::nullopt;
  const auto checksum = number_in<uint64_t>(line.substr(0, kChecksumDigits), 16);
  const std::string_view row = line.substr(kChecksumDigits + 1);
  if (!checksum || *checksum != xxh3(as_bytes(row))) return std::nullopt;
  return row;
}

}  // namespace

Result<std::unique_ptr<ReplicationLedger>> ReplicationLedger::open(Storage& storage,
                                                                   const std::string& path) {
  std::unique_ptr<ReplicationLedger> ledger(new ReplicationLedger(storage, path));
  if (!VARVE_TRY(ledger->load())) {
    VARVE_TRY(storage.make_directories(path.substr(0, path.rfind('/'))));
    // Its name is durable from here on, so that syncing the file is enough.
    VARVE_TRY(write_whole(storage, path, {}));
  }
  VARVE_TRY(ledger->open_file());
  return ledger;
}

Result<std::unique_ptr<ReplicationLedger>> ReplicationLedger::read(Storage& storage,
                                                                   const std::string& path) {
  std::unique_ptr<ReplicationLedger> ledger(new ReplicationLedger(storage, path));
  VARVE_TRY(ledger->load());
  return ledger;
}

Result<bool> ReplicationLedger::load() {
  const Result<Bytes> bytes = read_whole(storage_, path_, kLedgerFileBytesMax);
  if (!bytes.ok() && bytes.error().code() == Errc::kNotFound) return false;
  if (!bytes.ok()) return bytes.error();
  std::string_view text = as_text(*bytes);
  end_ = text.size();
  // A line that a crash has cut off must not swallow the next one.
  if (!text.empty() && text.back() != '\n') unwritten_ = "\n";
  size_t passed_over = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::optional<std::string_view> row = row_in(text.substr(0, end));
    if (row && take(*row)) {
      rows_read_++;
    } else if (end > 0) {
      passed_over++;
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (passed_over > 0) {
    log_info(fmt::format("{}: {} damaged rows are passed over", path_, passed_over));
  }
  return true;
}

Result<void> ReplicationLedger::open_file() {
  if (rows_read_ > kRowsWorthCompacting && rows_read_ > 2 * (there_.size() + blocks_.size())) {
    return compact();
  }
  file_ = VARVE_TRY(storage_.open_write(path_));
  return {};
}

bool ReplicationLedger::take_file(const std::vector<std::string_view>& fields) {
  const size_t letter = fields[1].size() == 1 ? kClassLetters.find(fields[1]) : std::string::npos;
  const auto hash = FileHash::from_hex(fields[2]);
  if (letter == std::string::npos || !hash) return false;
  const StoreFile file{static_cast<FileClass>(letter), *hash};
  if (fields[0] == "gone") {
    there_.erase(file);
    return true;
  }
  const auto length = number_in<uint64_t>(fields.size() > 3 ? fields[3] : "");
  if (!length) return false;
  Entry entry{*length, std::nullopt};
  if (fields.size() == 6) {
    const auto writer = WriterId::from_hex(fields[4]);
    const auto sequence = number_in<uint64_t>(fields[5]);
    if (!writer || !sequence) return false;
    entry.checkpoint = CheckpointOf{*writer, *sequence};
  }
  there_[file] = entry;
  blocks_.erase(file.hash);
  return true;
}

/// False: a row that makes no sense.
bool ReplicationLedger::take(std::string_view row) {
  const std::vector<std::string_view> fields = split_row(row);
  const auto is = [&](std::string_view what, size_t count) {
    return fields[0] == what && fields.size() == count;
  };
  if (fields.empty()) return false;
  if (fields[0] == "there" && (fields.size() == 4 || fields.size() == 6)) return take_file(fields);
  if (is("gone", 3)) return take_file(fields);
  if (is("block", 4) || is("anew", 2)) {
    const auto file = FileHash::from_hex(fields[1]);
    if (!file) return false;
    if (fields[0] == "anew") {
      blocks_.erase(*file);
      return true;
    }
    const auto number = number_in<uint32_t>(fields[2]);
    const auto checksum = number_in<uint64_t>(fields[3], 16);
    if (!number || !checksum) return false;
    blocks_[*file][*number] = *checksum;
    return true;
  }
  if (is("visiting", 3) || is("visited", 3)) {
    const auto number = number_in<uint64_t>(fields[1]);
    if (!number) return false;
    if (fields[0] == "visited") visits_.clear();
    if (fields[0] == "visiting" && visits_.empty()) visits_.push_back({});
    visits_.push_back({*number, std::string(fields[2])});
    return true;
  }
  if (is("complete", 2)) {
    const auto seconds = number_in<int64_t>(fields[1]);
    if (!seconds) return false;
    last_complete_ = *seconds;
    return true;
  }
  if (is("forget", 1)) {
    there_.clear();
    blocks_.clear();
    return true;
  }
  return false;
}

bool ReplicationLedger::is_there(const StoreFile& file) const {
  std::lock_guard lock(mutex_);
  return there_.contains(file);
}

std::vector<std::pair<StoreFile, ReplicationLedger::Entry>> ReplicationLedger::checkpoints_there()
    const {
  std::lock_guard lock(mutex_);
  std::vector<std::pair<StoreFile, Entry>> found;
  for (const auto& [file, entry] : there_) {
    if (entry.checkpoint) found.emplace_back(file, entry);
  }
  return found;
}

size_t ReplicationLedger::files_there() const {
  std::lock_guard lock(mutex_);
  return there_.size();
}

ReplicationLedger::Blocks ReplicationLedger::blocks_of(const FileHash& file) const {
  std::lock_guard lock(mutex_);
  const auto found = blocks_.find(file);
  return found == blocks_.end() ? Blocks() : found->second;
}

std::vector<Visit> ReplicationLedger::visits() const {
  std::lock_guard lock(mutex_);
  return visits_;
}

int64_t ReplicationLedger::last_complete() const {
  std::lock_guard lock(mutex_);
  return last_complete_;
}

void ReplicationLedger::append(const std::string& row) {
  std::lock_guard lock(mutex_);
  (void)take(row);  // what was just written down makes sense
  unwritten_ += line_of(row);
}

void ReplicationLedger::note_there(const StoreFile& file, const Entry& entry) {
  append(row_of(file, entry));
}
void ReplicationLedger::note_gone(const StoreFile& file) {
  append(fmt::format("gone {} {}", letter_of(file.file_class), file.hash.hex()));
}
void ReplicationLedger::note_block(const FileHash& file, uint32_t number, uint64_t checksum) {
  append(row_of_block(file, number, checksum));
}
void ReplicationLedger::note_no_blocks(const FileHash& file) {
  append("anew " + file.hex());
}
void ReplicationLedger::note_visit_begun(const Visit& visit) {
  append(row_of_visit("visiting", visit));
}
void ReplicationLedger::note_visit_acknowledged(const Visit& visit) {
  append(row_of_visit("visited", visit));
}
void ReplicationLedger::note_complete(int64_t seconds) {
  append(fmt::format("complete {}", seconds));
}
void ReplicationLedger::forget_files() {
  append("forget");
}

Result<void> ReplicationLedger::save() {
  std::lock_guard writing(writing_);
  if (failed_) return *failed_;
  if (!file_) return Error(Errc::kReadOnly, path_ + " was opened to be read");
  std::string text;
  {
    std::lock_guard lock(mutex_);
    text.swap(unwritten_);
  }
  // Whoever waited here for another thread's save finds its own notes written by that.
  if (text.empty()) return {};
  Result<void> written = file_->write_at(end_, as_bytes(text));
  if (written.ok()) written = file_->sync();
  if (!written.ok()) failed_ = written.error();
  end_ += text.size();
  return written;
}

std::string ReplicationLedger::all_rows() const {
  std::string text;
  for (size_t i = 0; i < visits_.size(); i++) {
    text += line_of(row_of_visit(i == 0 ? "visited" : "visiting", visits_[i]));
  }
  if (last_complete_ != 0) text += line_of(fmt::format("complete {}", last_complete_));
  for (const auto& [file, entry] : there_) text += line_of(row_of(file, entry));
  for (const auto& [file, blocks] : blocks_) {
    for (const auto& [number, checksum] : blocks)
      text += line_of(row_of_block(file, number, checksum));
  }
  return text;
}

Result<void> ReplicationLedger::compact() {
  const std::string text = all_rows();
  VARVE_TRY(write_whole(storage_, path_, as_bytes(text)));
  file_ = VARVE_TRY(storage_.open_write(path_));
  end_ = text.size();
  unwritten_.clear();
  return {};
}

}  // namespace varve
