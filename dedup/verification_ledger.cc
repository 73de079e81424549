#include "dedup/verification_ledger.h"

#include <fmt/format.h>

#include <charconv>

namespace varve {
namespace {

constexpr size_t kLedgerBytesMax = size_t{1} << 30;
constexpr size_t kLineBytes = 80;  // about
constexpr size_t kUnwrittenMax = 64 * kLineBytes;
constexpr size_t kHashDigits = 2 * FileHash::kSize;

std::string ledger_line(const FileHash& pack, int64_t seconds, bool decoded) {
  return fmt::format("{} {} {}\n", pack.hex(), seconds, decoded ? 'd' : 'h');
}

}  // namespace

Result<std::unique_ptr<VerificationLedger>> VerificationLedger::open(Storage& storage,
                                                                     const std::string& path) {
  std::unique_ptr<VerificationLedger> ledger(new VerificationLedger(storage, path));
  Result<Bytes> text = read_whole(storage, path, kLedgerBytesMax);
  if (text.ok()) {
    ledger->read_lines(as_text(*text));
    ledger->file_ = VARVE_TRY(storage.open_write(path));
    ledger->end_ = VARVE_TRY(ledger->file_->length());
    // A line that a crash has cut off must not swallow the next one.
    if (!text->empty() && text->back() != '\n') ledger->unwritten_ = "\n";
  } else if (text.error().code() == Errc::kNotFound) {
    ledger->file_ = VARVE_TRY(storage.create(path));
  } else {
    return std::move(text).error();
  }
  return ledger;
}

void VerificationLedger::read_lines(std::string_view text) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line.size() < kHashDigits + 4) continue;
    const auto pack = FileHash::from_hex(line.substr(0, kHashDigits));
    int64_t seconds = 0;
    const char* last = line.data() + line.size() - 2;
    const auto read = std::from_chars(line.data() + kHashDigits + 1, last, seconds);
    const char depth = line.back();
    if (!pack || read.ec != std::errc() || read.ptr != last || (depth != 'h' && depth != 'd')) {
      continue;
    }
    take(*pack, depth == 'd' ? Depth::kDecoded : Depth::kHash, seconds);
  }
}

void VerificationLedger::take(const FileHash& pack, Depth depth, int64_t seconds) {
  Seen& seen = seen_[pack];
  seen.hashed = std::max(seen.hashed, seconds);
  if (depth == Depth::kDecoded) seen.decoded = std::max(seen.decoded, seconds);
}

std::optional<int64_t> VerificationLedger::last(const FileHash& pack, Depth depth) const {
  std::lock_guard lock(mutex_);
  const auto found = seen_.find(pack);
  if (found == seen_.end()) return std::nullopt;
  const int64_t when = depth == Depth::kDecoded ? found->second.decoded : found->second.hashed;
  if (when == 0) return std::nullopt;
  return when;
}

void VerificationLedger::note(const FileHash& pack, Depth depth, int64_t seconds) {
  std::lock_guard lock(mutex_);
  take(pack, depth, seconds);
  unwritten_ += ledger_line(pack, seconds, depth == Depth::kDecoded);
  if (unwritten_.size() < kUnwrittenMax || failed_) return;
  Result<void> written = write_out();
  if (!written.ok()) failed_ = std::move(written).error();
}

Result<void> VerificationLedger::save() {
  std::lock_guard lock(mutex_);
  if (failed_) return *failed_;
  return write_out();
}

Result<void> VerificationLedger::write_out() {
  if (unwritten_.empty()) return {};
  VARVE_TRY(file_->write_at(end_, as_bytes(unwritten_)));
  end_ += unwritten_.size();
  unwritten_.clear();
  return file_->sync();
}

Result<void> VerificationLedger::compact(const std::unordered_set<FileHash, IdHash>& kept) {
  std::lock_guard lock(mutex_);
  if (failed_) return *failed_;
  std::erase_if(seen_, [&](const auto& seen) { return !kept.contains(seen.first); });
  std::string text;
  for (const auto& [pack, seen] : seen_) {
    if (seen.hashed != 0) text += ledger_line(pack, seen.hashed, false);
    if (seen.decoded != 0) text += ledger_line(pack, seen.decoded, true);
  }
  if (end_ < 2 * text.size()) return write_out();
  VARVE_TRY(write_whole(storage_, path_, as_bytes(text)));
  file_ = VARVE_TRY(storage_.open_write(path_));
  end_ = text.size();
  unwritten_.clear();
  return {};
}

}  // namespace varve
