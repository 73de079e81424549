#include "catalog/tar_stream.h"

#include <algorithm>
#include <chrono>

#include "dedup/base/limits.h"

namespace varve {
namespace {

// tar writes 10 KiB at a time. The reader is given more at once: it is woken less often, and most
// files' bytes then lie in one piece.
constexpr size_t kBlockBytes = 256 * kKiB;
constexpr std::chrono::milliseconds kPatience{20};

Error interrupted() {
  return {Errc::kInterrupted, "the import was interrupted"};
}

}  // namespace

Result<void> TarStream::write(ByteView bytes) {
  std::unique_lock lock(mutex_);
  while (!bytes.empty()) {
    room_.wait(lock, [&] { return aborted_ || outcome_ || held_ < capacity_; });
    if (aborted_) return interrupted();
    if (outcome_) {
      VARVE_TRY(*outcome_);
      if (std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; })) {
        written_ += bytes.size();
        return {};
      }
      return Error(Errc::kIo, "there is something behind the archive's end; import one at a time");
    }
    if (blocks_.empty() || blocks_.back().size() == kBlockBytes) {
      blocks_.push_back(std::exchange(spare_, {}));
      blocks_.back().clear();
      blocks_.back().reserve(kBlockBytes);
    }
    Bytes& block = blocks_.back();
    const size_t count = std::min(bytes.size(), kBlockBytes - block.size());
    block.insert(block.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(count));
    bytes = bytes.subspan(count);
    written_ += count;
    held_ += count;
    if (worth_reading()) more_.notify_one();
  }
  return {};
}

void TarStream::end() {
  std::lock_guard lock(mutex_);
  ended_ = true;
  more_.notify_all();
}

void TarStream::abort() {
  std::lock_guard lock(mutex_);
  aborted_ = true;
  more_.notify_all();
  room_.notify_all();
  standing_.notify_all();
}

TarStream::Standing TarStream::wait_for_reader() {
  std::unique_lock lock(mutex_);
  hurried_ = true;
  more_.notify_all();
  standing_.wait(lock, [&] { return aborted_ || outcome_ || (starved_ && held_ == 0); });
  hurried_ = false;
  if (outcome_) return {true, *outcome_};
  if (aborted_) return {true, interrupted()};
  return {false, {}};
}

uint64_t TarStream::written() const {
  std::lock_guard lock(mutex_);
  return written_;
}

bool TarStream::worth_reading() const {
  return aborted_ || ended_ || held_ >= kBlockBytes || (hurried_ && held_ > 0);
}

Result<ByteView> TarStream::next() {
  std::unique_lock lock(mutex_);
  if (spare_.empty()) spare_ = std::exchange(reading_, {});
  while (!worth_reading()) {
    starved_ = held_ == 0;
    if (starved_) standing_.notify_all();
    more_.wait_for(lock, kPatience, [&] { return worth_reading(); });
    if (held_ > 0) break;  // it has waited long enough
  }
  starved_ = false;
  if (aborted_) return interrupted();
  if (held_ == 0) return ByteView();
  reading_ = std::move(blocks_.front());
  blocks_.pop_front();
  held_ -= reading_.size();
  room_.notify_all();
  return ByteView(reading_);
}

void TarStream::done(Result<void> outcome) {
  std::lock_guard lock(mutex_);
  outcome_ = std::move(outcome);
  room_.notify_all();
  standing_.notify_all();
}

}  // namespace varve
