#include "replicator/ledger.h"

#include <fmt/format.h>

#include "replicator/rows.h"

namespace varve {
namespace {

constexpr size_t kRowsWorthCompacting = 10'000;

std::string row_of(const StoreFile& file, const ReplicationLedger::Entry& entry) {
  std::string row = fmt::format("there {} {}", row_of(file), entry.length);
  if (entry.checkpoint) {
    row += fmt::format(" {} {}", entry.checkpoint->writer.hex(), entry.checkpoint->sequence);
  }
  return row;
}

std::string row_of_block(const FileHash& file, uint32_t number, uint64_t checksum) {
  return fmt::format("block {} {} {:016x}", file.hex(), number, checksum);
}

std::string row_of_held(const HoldSeen& hold) {
  return fmt::format("held {} {} {}", hold.id.hex(), hold.writer.hex(), hold.sequence);
}

std::string row_of_visit(std::string_view what, const Visit& visit) {
  return fmt::format("{} {} {}", what, visit.number, visit.token);
}

std::string row_of(const LogPosition& position) {
  return fmt::format("log {} {} {:016x}", position.offset, position.line, position.checksum);
}

}  // namespace

Result<std::unique_ptr<ReplicationLedger>> ReplicationLedger::open(Storage& storage,
                                                                   const std::string& path) {
  std::unique_ptr<ReplicationLedger> ledger(new ReplicationLedger());
  ledger->log_ = VARVE_TRY(
      RowLog::open(storage, path, [&](std::string_view row) { return ledger->take(row); }));
  VARVE_TRY(ledger->compact());
  return ledger;
}

Result<std::unique_ptr<ReplicationLedger>> ReplicationLedger::read(Storage& storage,
                                                                   const std::string& path) {
  std::unique_ptr<ReplicationLedger> ledger(new ReplicationLedger());
  ledger->log_ = VARVE_TRY(
      RowLog::read(storage, path, [&](std::string_view row) { return ledger->take(row); }));
  return ledger;
}

bool ReplicationLedger::take_file(const std::vector<std::string_view>& fields) {
  const std::optional<StoreFile> found = file_in(fields[1], fields[2]);
  if (!found) return false;
  const StoreFile file = *found;
  if (fields[0] == "condemned") condemned_.insert(file);
  if (fields[0] == "returned") condemned_.erase(file);
  if (fields[0] == "gone" || fields[0] == "condemned") there_.erase(file);
  if (fields[0] != "there") return true;
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
  condemned_.erase(file);
  blocks_.erase(file.hash);
  return true;
}

bool ReplicationLedger::take_log_position(const std::vector<std::string_view>& fields) {
  const auto offset = number_in<uint64_t>(fields[1]), line = number_in<uint64_t>(fields[2]),
             checksum = number_in<uint64_t>(fields[3], 16);
  if (!offset || !line || !checksum) return false;
  log_position_ = {*offset, *line, *checksum};
  if (*offset == 0) condemned_.clear();
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
  if (is("gone", 3) || is("condemned", 3) || is("returned", 3)) return take_file(fields);
  if (is("log", 4)) return take_log_position(fields);
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
  if (is("held", 4)) {
    const auto id = HoldId::from_hex(fields[1]);
    const auto writer = WriterId::from_hex(fields[2]);
    const auto sequence = number_in<uint64_t>(fields[3]);
    if (!id || !writer || !sequence) return false;
    held_[*id] = {*id, *writer, *sequence};
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
    held_.clear();
    return true;
  }
  return false;
}

bool ReplicationLedger::is_there(const StoreFile& file) const {
  std::lock_guard lock(mutex_);
  return there_.contains(file);
}

std::optional<ReplicationLedger::Entry> ReplicationLedger::entry(const StoreFile& file) const {
  std::lock_guard lock(mutex_);
  const auto found = there_.find(file);
  if (found == there_.end()) return std::nullopt;
  return found->second;
}

bool ReplicationLedger::is_held(const HoldSeen& hold) const {
  std::lock_guard lock(mutex_);
  const auto found = held_.find(hold.id);
  return found != held_.end() && found->second == hold;
}

std::set<HoldSeen> ReplicationLedger::held() const {
  std::lock_guard lock(mutex_);
  std::set<HoldSeen> result;
  for (const auto& [id, hold] : held_) result.insert(hold);
  return result;
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

bool ReplicationLedger::is_condemned(const StoreFile& file) const {
  std::lock_guard lock(mutex_);
  return condemned_.contains(file);
}

bool ReplicationLedger::any_condemned() const {
  std::lock_guard lock(mutex_);
  return !condemned_.empty();
}

LogPosition ReplicationLedger::log_position() const {
  std::lock_guard lock(mutex_);
  return log_position_;
}

std::vector<StoreFile> ReplicationLedger::records_there() const {
  std::lock_guard lock(mutex_);
  std::vector<StoreFile> found;
  for (const auto& [file, entry] : there_) {
    if (file.file_class == FileClass::kRecord) found.push_back(file);
  }
  return found;
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
  log_->append(row);
}

void ReplicationLedger::note_there(const StoreFile& file, const Entry& entry) {
  append(row_of(file, entry));
}
void ReplicationLedger::note_gone(const StoreFile& file) {
  append("gone " + row_of(file));
}
void ReplicationLedger::note_condemned(const StoreFile& file) {
  append("condemned " + row_of(file));
}
void ReplicationLedger::note_returned(const StoreFile& file) {
  append("returned " + row_of(file));
}
void ReplicationLedger::note_log_position(const LogPosition& position) {
  append(row_of(position));
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
void ReplicationLedger::note_held(const HoldSeen& hold) {
  append(row_of_held(hold));
}
void ReplicationLedger::forget_files() {
  append("forget");
}

Result<void> ReplicationLedger::save() {
  return log_->save();
}

std::vector<std::string> ReplicationLedger::all_rows() const {
  std::vector<std::string> rows;
  for (size_t i = 0; i < visits_.size(); i++)
    rows.push_back(row_of_visit(i == 0 ? "visited" : "visiting", visits_[i]));
  if (last_complete_ != 0) rows.push_back(fmt::format("complete {}", last_complete_));
  if (log_position_.offset != 0) rows.push_back(row_of(log_position_));
  for (const StoreFile& file : condemned_) rows.push_back("condemned " + row_of(file));
  for (const auto& [id, hold] : held_) rows.push_back(row_of_held(hold));
  for (const auto& [file, entry] : there_) rows.push_back(row_of(file, entry));
  for (const auto& [file, blocks] : blocks_) {
    for (const auto& [number, checksum] : blocks)
      rows.push_back(row_of_block(file, number, checksum));
  }
  return rows;
}

/// Where most of it is out of date.
Result<void> ReplicationLedger::compact() {
  const size_t rows = log_->rows();
  if (rows <= kRowsWorthCompacting ||
      rows <= 2 * (there_.size() + blocks_.size() + condemned_.size()))
    return {};
  return log_->replace(all_rows());
}

}  // namespace varve
