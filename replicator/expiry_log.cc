#include "replicator/expiry_log.h"

#include <fmt/format.h>

#include "dedup/base/checksum.h"
#include "dedup/base/limits.h"
#include "dedup/base/log.h"
#include "replicator/rows.h"

namespace varve {
namespace {

constexpr uint64_t kLogBytesMax = uint64_t{1} << 32;

/// What is to be read of the log: the last line that was read, and all behind it. Nothing if that
/// line is not there: it is another log.
Result<std::optional<Bytes>> read_from(Storage& remote, const LogPosition& position) {
  const Result<std::unique_ptr<StorageFile>> file = remote.open_read(kExpiryLogPath);
  if (!file.ok() && file.error().code() == Errc::kNotFound)
    return position.offset == 0 ? std::optional(Bytes()) : std::nullopt;
  if (!file.ok()) return file.error();
  const uint64_t length = VARVE_TRY((*file)->length());
  if (length < position.offset || position.line > position.offset) return std::optional<Bytes>();
  const uint64_t start = position.offset - position.line;
  if (length - start > kLogBytesMax)
    return Error(Errc::kTooLarge, std::string(kExpiryLogPath) + " is too large");
  Bytes bytes(static_cast<size_t>(length - start));
  bytes.resize(VARVE_TRY((*file)->read_at(start, bytes)));
  if (bytes.size() < position.line) return std::optional<Bytes>();
  if (position.line > 0 && xxh3(ByteView(bytes).first(position.line)) != position.checksum)
    return std::optional<Bytes>();
  return std::optional(std::move(bytes));
}

/// Takes the rows of the log in order.
class Follower {
 public:
  explicit Follower(ReplicationLedger& ledger) : ledger_(ledger) {}

  void read(std::string_view text, const LogPosition& from) {
    position_ = from;
    for (;;) {
      const size_t end = text.find('\n');
      if (end == std::string_view::npos) return;  // it is being written, or was torn
      const std::optional<std::string_view> row = row_in_line(text.substr(0, end));
      if (row) take(*row);
      const std::string_view line = text.substr(0, end + 1);
      position_ = {position_.offset + line.size(), line.size(), xxh3(as_bytes(line))};
      text.remove_prefix(line.size());
    }
  }

  bool went() const { return went_; }
  /// Where the next call begins.
  LogPosition next() const { return open_run_.value_or(position_); }

 private:
  void take(std::string_view row) {
    const std::vector<std::string_view> fields = split_row(row);
    if (fields.empty()) return;
    if (fields[0] == "begun") open_run_ = position_;
    if (fields[0] == "ended") open_run_.reset();
    if (fields.size() != 3 || (fields[0] != "condemned" && fields[0] != "back")) return;
    const std::optional<StoreFile> file = file_in(fields[1], fields[2]);
    if (!file) return;
    if (fields[0] == "back") {
      if (ledger_.is_condemned(*file)) ledger_.note_returned(*file);
      return;
    }
    const bool was_there = ledger_.is_there(*file);
    if (was_there || !ledger_.is_condemned(*file)) ledger_.note_condemned(*file);
    went_ = went_ || was_there;
  }

  ReplicationLedger& ledger_;
  LogPosition position_;
  std::optional<LogPosition> open_run_;
  bool went_ = false;
};

}  // namespace

Result<std::unique_ptr<ExpiryLog>> ExpiryLog::open(Storage& remote) {
  std::unique_ptr<ExpiryLog> log(new ExpiryLog());
  log->log_ = VARVE_TRY(
      RowLog::open(remote, kExpiryLogPath, [&](std::string_view row) { return log->take(row); }));
  return log;
}

Result<std::unique_ptr<ExpiryLog>> ExpiryLog::read(Storage& remote) {
  std::unique_ptr<ExpiryLog> log(new ExpiryLog());
  log->log_ = VARVE_TRY(
      RowLog::read(remote, kExpiryLogPath, [&](std::string_view row) { return log->take(row); }));
  return log;
}

bool ExpiryLog::take(std::string_view row) {
  const std::vector<std::string_view> fields = split_row(row);
  if (fields.size() < 3) return true;
  const std::optional<StoreFile> file = file_in(fields[1], fields[2]);
  if (file && fields[0] == "condemned") condemned_.insert(*file);
  if (file && fields[0] == "back") condemned_.erase(*file);
  if (fields.size() != 4 || fields[0] != "met") return file.has_value();
  const auto time = number_in<Nanoseconds>(fields[3]);
  if (file && time) met_.emplace(*file, *time);
  return file && time;
}

std::optional<Nanoseconds> ExpiryLog::met(const StoreFile& file) const {
  const auto found = met_.find(file);
  return found == met_.end() ? std::nullopt : std::optional(found->second);
}

void ExpiryLog::note_begun(Nanoseconds now) {
  log_->append("begun " + utc_iso(now));
}
void ExpiryLog::note_condemned(const StoreFile& file) {
  condemned_.insert(file);
  log_->append("condemned " + row_of(file));
}
void ExpiryLog::note_back(const StoreFile& file) {
  condemned_.erase(file);
  log_->append("back " + row_of(file));
}
void ExpiryLog::note_met(const StoreFile& file, Nanoseconds now) {
  met_.emplace(file, now);
  log_->append(fmt::format("met {} {}", row_of(file), now));
}
void ExpiryLog::note_ended() {
  log_->append("ended");
}

Result<bool> follow_expiry_log(Storage& remote, ReplicationLedger& ledger) {
  LogPosition from = ledger.log_position();
  std::optional<Bytes> bytes = VARVE_TRY(read_from(remote, from));
  bool all_went = false;
  if (!bytes) {
    log_warning("the remote's log of expiry is not the one that was read: all is looked for anew");
    ledger.forget_files();
    ledger.note_log_position({});
    from = {};
    all_went = true;
    bytes = VARVE_TRY(read_from(remote, from));
  }
  Follower follower(ledger);
  if (bytes) follower.read(as_text(*bytes).substr(static_cast<size_t>(from.line)), from);
  // What went before how far was read: a crash between them costs reading again.
  VARVE_TRY(ledger.save());
  if (follower.next() != ledger.log_position()) {
    ledger.note_log_position(follower.next());
    VARVE_TRY(ledger.save());
  }
  return all_went || follower.went();
}

}  // namespace varve
