#include "dedup/verification_ledger.h"

#include <fmt/format.h>

#include <charconv>

namespace varve {
namespace {

constexpr size_t kUnsavedBytesMax = 6400;  // of some 64 packs
constexpr size_t kHashDigits = 2 * FileHash::kSize;

std::string ledger_row(const FileHash& pack, int64_t seconds, bool decoded) {
  return fmt::format("{} {} {}", pack.hex(), seconds, decoded ? 'd' : 'h');
}

}  // namespace

Result<std::unique_ptr<VerificationLedger>> VerificationLedger::open(Storage& storage,
                                                                     const std::string& path) {
  std::unique_ptr<VerificationLedger> ledger(new VerificationLedger());
  ledger->log_ = VARVE_TRY(
      RowLog::open(storage, path, [&](std::string_view row) { return ledger->take_row(row); }));
  return ledger;
}

/// False: a row that makes no sense.
bool VerificationLedger::take_row(std::string_view row) {
  if (row.size() < kHashDigits + 4) return false;
  const auto pack = FileHash::from_hex(row.substr(0, kHashDigits));
  int64_t seconds = 0;
  const char* last = row.data() + row.size() - 2;
  const auto read = std::from_chars(row.data() + kHashDigits + 1, last, seconds);
  const char depth = row.back();
  if (!pack || read.ec != std::errc() || read.ptr != last || (depth != 'h' && depth != 'd'))
    return false;
  take(*pack, depth == 'd' ? Depth::kDecoded : Depth::kHash, seconds);
  return true;
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
  {
    std::lock_guard lock(mutex_);
    take(pack, depth, seconds);
    log_->append(ledger_row(pack, seconds, depth == Depth::kDecoded));
  }
  if (log_->unsaved_bytes() >= kUnsavedBytesMax) (void)log_->save();  // the next save tells
}

Result<void> VerificationLedger::save() {
  return log_->save();
}

Result<void> VerificationLedger::compact(const std::unordered_set<FileHash, IdHash>& kept) {
  std::lock_guard lock(mutex_);
  std::erase_if(seen_, [&](const auto& seen) { return !kept.contains(seen.first); });
  std::vector<std::string> rows;
  for (const auto& [pack, seen] : seen_) {
    if (seen.hashed != 0) rows.push_back(ledger_row(pack, seen.hashed, false));
    if (seen.decoded != 0) rows.push_back(ledger_row(pack, seen.decoded, true));
  }
  if (log_->rows() < 2 * rows.size()) return log_->save();
  return log_->replace(rows);
}

}  // namespace varve
