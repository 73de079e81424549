#include "replicator/shipment.h"

namespace varve {
namespace {

std::string name_in(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

std::string shipment_temporary_path(const StoreFile& file, const std::string& sender) {
  const std::string path = path_of(file);
  return folder_of(file) + "/.tmp-" + sender + "-" + name_in(path);
}

Shipment::Shipment(const Route& route, const StoreFile& file, Look look)
    : route_(route),
      file_(file),
      path_(path_of(file)),
      temporary_(shipment_temporary_path(file, route.sender)),
      look_(look),
      state_(look == Look::kNone ? State::kPrepare : State::kLook) {}

Result<std::optional<Shipment::Outcome>> Shipment::step() {
  const std::optional<Outcome> goes_on;
  switch (state_) {
    case State::kLook:
      return look();
    case State::kPrepare:
      return prepare();
    case State::kRead:
      return read_block();
    case State::kWrite:
      VARVE_TRY(write_piece());
      return goes_on;
    case State::kSync:
      VARVE_TRY(sync_block());
      return goes_on;
    case State::kSeal:
      VARVE_TRY(seal());
      return goes_on;
    case State::kTakeBack:
      VARVE_TRY(take_back());
      return std::optional(Outcome::kSourceDamaged);
    case State::kRename:
      VARVE_TRY(rename());
      return goes_on;
    case State::kName:
      return std::optional(VARVE_TRY(name()));
    case State::kDone:
      break;
  }
  return Error(Errc::kInvalid, "a shipment that is over was asked to go on");
}

/// An error of the source is no error of the route: the file stays where it is, others go on.
std::optional<Shipment::Outcome> Shipment::source_failed(const Error& error) {
  state_ = State::kDone;
  if (error.code() == Errc::kNotFound) return Outcome::kSourceGone;
  problem_ = path_ + ": " + error.message();
  return Outcome::kSourceDamaged;
}

Result<std::optional<Shipment::Outcome>> Shipment::look() {
  Result<std::unique_ptr<StorageFile>> there = route_.to.open_read(path_);
  if (!there.ok() && there.error().code() != Errc::kNotFound) return std::move(there).error();
  if (!there.ok() && look_ == Look::kMustBeThere) {
    state_ = State::kDone;
    return std::optional(Outcome::kNotThere);
  }
  state_ = State::kPrepare;
  if (!there.ok()) return std::optional<Outcome>();
  const uint64_t length = VARVE_TRY((*there)->length());
  const Result<std::unique_ptr<StorageFile>> here = route_.from.open_read(path_);
  if (!here.ok()) return source_failed(here.error());
  const Result<uint64_t> wanted = (*here)->length();
  if (!wanted.ok()) return source_failed(wanted.error());
  // Another length is what an interrupted cp leaves: it counts as absent and is replaced.
  if (length != *wanted) return std::optional<Outcome>();
  length_ = length;
  // Whoever put it there may not have synced it.
  VARVE_TRY((*there)->sync());
  outcome_ = Outcome::kWasThere;
  state_ = State::kName;
  return std::optional<Outcome>();
}

Result<std::optional<Shipment::Outcome>> Shipment::prepare() {
  Result<std::unique_ptr<StorageFile>> source = route_.from.open_read(path_);
  if (!source.ok()) return source_failed(source.error());
  source_ = std::move(source).value();
  const Result<uint64_t> length = source_->length();
  if (!length.ok()) return source_failed(length.error());
  length_ = *length;

  Result<std::unique_ptr<StorageFile>> made = route_.to.create(temporary_);
  if (made.ok()) {
    if (route_.ledger != nullptr && !route_.ledger->blocks_of(file_.hash).empty()) {
      // Before anything is written that could be taken for them.
      route_.ledger->note_no_blocks(file_.hash);
      VARVE_TRY(route_.ledger->save());
    }
  } else if (made.error().code() == Errc::kExists) {
    made = route_.to.open_write(temporary_);
    if (route_.ledger != nullptr) noted_ = route_.ledger->blocks_of(file_.hash);
  }
  target_ = VARVE_TRY(std::move(made));
  target_length_ = noted_.empty() ? 0 : VARVE_TRY(target_->length());
  block_ = Buffer(static_cast<size_t>(std::min<uint64_t>(length_, route_.block_bytes)));
  state_ = length_ == 0 ? State::kSeal : State::kRead;
  return std::optional<Outcome>();
}

/// The block lies there already: it was durable, its place is still there, and it was sent from the
/// bytes that are here now.
bool Shipment::was_noted(uint64_t checksum) {
  const auto noted = noted_.find(static_cast<uint32_t>(block_start_ / route_.block_bytes));
  return noted != noted_.end() && noted->second == checksum &&
         block_start_ + block_used_ <= target_length_;
}

Result<std::optional<Shipment::Outcome>> Shipment::read_block() {
  const uint64_t left = length_ - block_start_;
  const ByteSpan wanted =
      block_.span().first(static_cast<size_t>(std::min<uint64_t>(left, block_.size())));
  const Result<size_t> read = source_->read_at(block_start_, wanted);
  if (!read.ok()) return source_failed(read.error());
  if (*read != wanted.size()) {
    problem_ = path_ + ": it became shorter while it was read";
    state_ = State::kTakeBack;
    return std::optional<Outcome>();
  }
  block_used_ = *read;
  block_done_ = 0;
  hash_.update(wanted);
  state_ = State::kWrite;
  if (!noted_.empty() && was_noted(xxh3(wanted))) {
    block_start_ += block_used_;
    state_ = block_start_ < length_ ? State::kRead : State::kSeal;
  }
  return std::optional<Outcome>();
}

Result<void> Shipment::write_piece() {
  const size_t count = std::min(route_.write_bytes, block_used_ - block_done_);
  VARVE_TRY(
      target_->write_at(block_start_ + block_done_, block_.view().subspan(block_done_, count)));
  block_done_ += count;
  written_ += count;
  if (block_done_ < block_used_) return {};
  const bool last = block_start_ + block_used_ == length_;
  if (!last) {
    state_ = State::kSync;
    return {};
  }
  block_start_ += block_used_;
  state_ = State::kSeal;
  return {};
}

Result<void> Shipment::sync_block() {
  VARVE_TRY(target_->sync());
  if (route_.ledger != nullptr) {
    if (!temporary_durable_) VARVE_TRY(route_.to.sync_dir(folder_of(file_)));
    temporary_durable_ = true;
    const auto number = static_cast<uint32_t>(block_start_ / route_.block_bytes);
    route_.ledger->note_block(file_.hash, number, xxh3(block_.view().first(block_used_)));
    VARVE_TRY(route_.ledger->save());
  }
  block_start_ += block_used_;
  state_ = State::kRead;
  return {};
}

Result<void> Shipment::seal() {
  if (hash_.finish() != file_.hash) {
    problem_ = path_ + ": its bytes do not hash to its name";
    state_ = State::kTakeBack;
    return {};
  }
  // Left by a file of the same name that was longer, which is none of ours.
  if (VARVE_TRY(target_->length()) > length_) VARVE_TRY(target_->truncate(length_));
  VARVE_TRY(target_->sync());
  const uint64_t arrived = VARVE_TRY(target_->length());
  target_.reset();
  if (arrived != length_) {
    return Error(Errc::kIo, temporary_ + " has " + std::to_string(arrived) + " bytes after " +
                                std::to_string(length_) + " were written and synced");
  }
  state_ = State::kRename;
  return {};
}

/// The damaged bytes go; a removal that fails leaves a temporary file, which the next run starts
/// anew.
Result<void> Shipment::take_back() {
  target_.reset();
  if (route_.ledger != nullptr) {
    route_.ledger->note_no_blocks(file_.hash);
    VARVE_TRY(route_.ledger->save());
  }
  state_ = State::kDone;
  Result<void> removed = route_.to.unlink(temporary_);
  if (!removed.ok() && removed.error().code() != Errc::kNotFound) return removed;
  return {};
}

Result<void> Shipment::rename() {
  Result<void> renamed = route_.to.rename(temporary_, path_);
  state_ = State::kName;
  if (renamed.ok() || renamed.error().code() != Errc::kNotFound) return renamed;
  // Somebody else with the same sender's id (a copy of this store) was faster with the same bytes.
  if (VARVE_TRY(route_.to.exists(path_))) return {};
  return renamed;
}

Result<Shipment::Outcome> Shipment::name() {
  VARVE_TRY(route_.to.sync_dir(folder_of(file_)));
  state_ = State::kDone;
  return outcome_;
}

}  // namespace varve
