#include "catalog/tar_content.h"

#include <algorithm>

#include "dedup/base/limits.h"
#include "dedup/disk_image.h"

namespace varve {
namespace {

constexpr size_t kImageHeadBytes = 128 * kKiB;
constexpr size_t kPieceBytes = 512 * kKiB;  // what is written at once is seldom more

}  // namespace

TarContent::TarContent(Ingest& ingest, const Chunker& chunker, Room room)
    : ingest_(ingest),
      chunker_(chunker),
      room_(std::move(room)),
      streams_(ingest.open_stream(SegmentType::kChunks, Ingest::Access::kSequential)) {
  buffer_.reserve(chunker.sizes().maximum + kImageHeadBytes + kPieceBytes);
}

void TarContent::begin() {
  extents_.clear();
  buffer_.clear();
  cut_to_ = 0;
  at_ = 0;
  chosen_ = false;
  image_.reset();
}

void TarContent::choose_stream(ByteView head) {
  if (std::exchange(chosen_, true)) return;
  if (at_ == 0 && looks_like_disk_image(head.first(std::min(head.size(), kImageHeadBytes))))
    image_ = ingest_.open_stream(SegmentType::kChunks, Ingest::Access::kRandom);
}

Result<void> TarContent::put(ByteView chunk) {
  VARVE_TRY(room_.admit(chunk.size()));
  const Ingest::Put put = VARVE_TRY(ingest_.put(image_ ? *image_ : *streams_, chunk));
  if (put.is_new) room_.stored(chunk.size());
  extents_.push_back({at_, chunk.size(), put.id, 0});
  at_ += chunk.size();
  return {};
}

/// Cuts what is waiting as long as more than `keep` bytes are.
Result<void> TarContent::cut(size_t keep) {
  if (waiting().size() <= keep) return {};
  choose_stream(waiting());
  while (waiting().size() > keep) {
    const size_t length = chunker_.cut(waiting());
    VARVE_TRY(put(waiting().first(length)));
    cut_to_ += length;
  }
  return {};
}

Result<void> TarContent::write(uint64_t offset, ByteView bytes) {
  if (offset != at_ + waiting().size()) {
    VARVE_TRY(cut(0));
    buffer_.clear();
    cut_to_ = 0;
    at_ = offset;
  }
  // So much must wait that the next cut, and the look at the file's beginning, see enough.
  const size_t keep =
      std::max<size_t>(chunker_.sizes().maximum, chosen_ ? size_t{0} : kImageHeadBytes) - 1;
  if (cut_to_ > 0 && buffer_.size() + bytes.size() > buffer_.capacity()) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(cut_to_));
    cut_to_ = 0;
  }
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return cut(keep);
}

Result<void> TarContent::finish() {
  return cut(0);
}

}  // namespace varve
