#include "fs/rechunk.h"

#include <algorithm>
#include <cstring>

#include "fs/read_view.h"

namespace varve {
namespace {

constexpr uint64_t kLookAheadBytes = 8u << 20;  // old extents are asked for in steps of this
constexpr size_t kWindowBytes = 4u << 20;  // copied together where dirty bytes lie in small pieces

}  // namespace

Result<void> Rechunk::run(const std::vector<FileRange>& runs) {
  runs_ = runs;
  next_ = 0;
  while (next_ < runs_.size()) VARVE_TRY(cut_region());
  return {};
}

Result<uint64_t> Rechunk::start_of(FileRange run) {
  uint64_t probe = run.from > 0 ? run.from - 1 : 0;
  std::vector<Extent> around = VARVE_TRY(source_.old_extents(probe, run.from + 1));
  for (const Extent& extent : around) {
    uint64_t end = extent.offset + extent.length;
    if (extent.offset < run.from && run.from < end) return extent.offset;
    bool appends =
        end == run.from && run.from == options_.old_size && run.from != options_.natural_end;
    if (appends) return extent.offset;
  }
  return run.from;
}

Result<void> Rechunk::load_old(uint64_t at) {
  if (at + 2 * options_.chunk_bytes_max < old_known_to_) return {};
  uint64_t to = at + kLookAheadBytes;
  old_ = VARVE_TRY(source_.old_extents(at > 0 ? at - 1 : 0, to));
  old_known_to_ = to;
  return {};
}

/// Where the dirty run that the window's end lies in ends; 0 if it lies in none.
uint64_t Rechunk::dirty_end() const {
  const uint64_t at = position_ + window_.size();
  const auto run = std::find_if(runs_.begin() + static_cast<ptrdiff_t>(next_ - 1), runs_.end(),
                                [&](FileRange r) { return r.to > position_; });
  return run != runs_.end() && run->from <= at ? run->to : 0;
}

/// The window becomes [position_, to), what is there of it first.
Result<void> Rechunk::copy_window(uint64_t to) {
  const size_t have = window_.size(), size = static_cast<size_t>(to - position_);
  Buffer grown(size > copied_.size() ? size : 0);
  Buffer& target = grown.size() > 0 ? grown : copied_;
  if (have > 0) std::memmove(target.data(), window_.data(), have);
  if (grown.size() > 0) copied_ = std::move(grown);
  borrowed_ = {};
  window_ = copied_.view().first(have);
  VARVE_TRY(source_.read(position_ + have, copied_.span().subspan(have, size - have)));
  window_ = copied_.view().first(size);
  return {};
}

Result<void> Rechunk::fill_window() {
  if (window_.size() >= options_.chunk_bytes_max) return {};
  VARVE_TRY(load_old(position_));
  std::span<const FileRange> ahead = runs_.subspan(next_ - 1);  // earlier ones end before position_
  data_end_ = std::min(data_end(position_, ahead, old_), old_known_to_);
  // Old bytes are read only as far as cutting needs them; dirty ones lie in memory anyway, and are
  // cut where they lie if enough of them lie together.
  const uint64_t want = position_ + options_.chunk_bytes_max, dirty_to = dirty_end();
  uint64_t to = std::min(want, data_end_);
  if (position_ + window_.size() >= to) return {};
  if (dirty_to > position_) {
    const DirtySlice slice = source_.borrow(position_, std::min(dirty_to, data_end_));
    const uint64_t together = slice.bytes.size();
    if (position_ + together >= to) {
      borrowed_ = slice;
      window_ = borrowed_.bytes;
      return {};
    }
    const uint64_t copied = together >= options_.chunk_bytes_max / 2
                                ? together + options_.chunk_bytes_max
                                : kWindowBytes;
    to = std::max(to, std::min({dirty_to, data_end_, position_ + copied}));
  }
  return copy_window(to);
}

bool Rechunk::is_boundary(uint64_t at) const {
  return std::none_of(old_.begin(), old_.end(),
                      [&](const Extent& e) { return e.offset < at && at < e.offset + e.length; });
}

uint64_t Rechunk::boundary_behind(uint64_t at) const {
  for (const Extent& extent : old_) {
    if (extent.offset > at) return extent.offset;
    if (extent.offset + extent.length > at) return extent.offset + extent.length;
  }
  return UINT64_MAX;
}

bool Rechunk::waits_for_more() const {
  return data_end_ == options_.open_end && window_.size() < options_.chunk_bytes_max;
}

void Rechunk::took(const RechunkSource::Front& chunk) {
  extents_.push_back({position_, chunk.length, chunk.id, 0});
  window_ = window_.subspan(chunk.length);
  position_ += chunk.length;
  pending_.to = position_;
}

/// The next chunk, and those behind it that begin before that place of the file.
Result<void> Rechunk::take_chunks(uint64_t begins_before) {
  const uint64_t ahead = begins_before > position_ ? begins_before - position_ : 1;
  for (const RechunkSource::Front& chunk : VARVE_TRY(source_.put_fronts(window_, ahead)))
    took(chunk);
  return {};
}

Result<void> Rechunk::take_chunk(size_t limit) {
  took(VARVE_TRY(source_.put_front(window_, limit)));
  return {};
}

Result<void> Rechunk::publish() {
  if (pending_.length() == 0) return {};
  FileRange range = pending_;
  pending_.from = pending_.to;
  return source_.replace(range, std::exchange(extents_, {}));
}

Result<void> Rechunk::cut_region() {
  position_ = VARVE_TRY(start_of(runs_[next_]));
  pending_ = {position_, position_};
  window_ = {};
  old_known_to_ = 0;
  uint64_t covered_to = runs_[next_++].to;
  while (true) {
    VARVE_TRY(fill_window());
    if (position_ >= covered_to && (position_ >= data_end_ || is_boundary(position_))) break;
    if (waits_for_more()) {
      natural_end_ = position_;
      while (next_ < runs_.size() && runs_[next_].from < data_end_) next_++;
      break;
    }
    if (position_ < covered_to + options_.resync_bytes_max) {
      VARVE_TRY(take_chunks(covered_to));
    } else {
      VARVE_TRY(take_chunk(boundary_behind(position_) - position_));
    }
    if (pending_.length() >= options_.replace_bytes_max) VARVE_TRY(publish());
    while (next_ < runs_.size() && runs_[next_].from < position_)
      covered_to = std::max(covered_to, runs_[next_++].to);
  }
  return publish();
}

}  // namespace varve
