#include "catalog/tar_content.h"

#include <algorithm>

#include "dedup/base/limits.h"
#include "dedup/disk_image.h"

namespace varve {
namespace {

constexpr size_t kImageHeadBytes = 128 * kKiB;
constexpr size_t kPieceBytes = 512 * kKiB;  // what is written at once is seldom more
constexpr size_t kGatheredBytes = kMiB;     // some dozens of chunks are cut and hashed at once

}  // namespace

TarContent::TarContent(Ingest& ingest, const Chunker& chunker, Room room)
    : ingest_(ingest),
      chunker_(chunker),
      room_(std::move(room)),
      streams_(ingest.open_stream(SegmentType::kChunks, Ingest::Access::kSequential)) {
  buffer_.reserve(chunker.sizes().maximum + kImageHeadBytes + kGatheredBytes + kPieceBytes);
}

void TarContent::begin() {
  extents_.clear();
  streams_->settle();  // the file before is in the tree
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

/// Cuts the chunks off that begin before `begins_before`, or some of them.
Result<void> TarContent::put(size_t begins_before) {
  VARVE_TRY(room_.admit(begins_before));
  Ingest::Stream& stream = image_ ? *image_ : *streams_;
  for (const Ingest::Put& put :
       VARVE_TRY(ingest_.put_fronts(stream, waiting(), chunker_, begins_before))) {
    if (put.is_new) room_.stored(put.length);
    extents_.push_back({at_, put.length, put.id, 0});
    at_ += put.length;
    cut_to_ += put.length;
  }
  return {};
}

/// Cuts what is waiting as long as more than `keep` bytes are.
Result<void> TarContent::cut(size_t keep) {
  if (waiting().size() <= keep) return {};
  choose_stream(waiting());
  while (waiting().size() > keep) VARVE_TRY(put(waiting().size() - keep));
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
  return waiting().size() > keep + kGatheredBytes ? cut(keep) : Result<void>();
}

Result<void> TarContent::finish() {
  return cut(0);
}

}  // namespace varve
