#include "replicator/stream_tuner.h"

#include <algorithm>

#include "dedup/base/limits.h"
#include "replicator/shipment.h"

namespace varve {
namespace {

constexpr Nanoseconds kMeasureAtLeast = 2'000'000'000, kMeasureAtMost = 60'000'000'000;
/// Blocks or files that each stream brings in a measure.
constexpr uint64_t kPerStream = 2;
/// A file costs ways there and back whatever its size: as much as that many bytes, about.
constexpr double kFileIsWorth = 256.0 * kKiB;
/// Twice as many streams, or half as many again, must bring so much.
constexpr double kWorthDoubling = 1.2, kWorthKeeping = 1.05, kWorthMore = 1.15;
/// Fewer that bring as much are better.
constexpr double kAsMuch = 0.95;
constexpr int kStays = 8;

}  // namespace

void StreamTuner::begin_phase(Nanoseconds now, const Progress& progress, bool settling) {
  settling_ = settling;
  since_ = now;
  before_ = progress;
}

void StreamTuner::note(Nanoseconds now, const Progress& progress, bool busy) {
  if (!busy) return begin_phase(now, progress, settling_);
  const uint64_t bytes = progress.bytes - before_.bytes, files = progress.files - before_.files;
  const Nanoseconds lasted = now - since_;
  const uint64_t wanted = streams_ * (settling_ ? 1 : kPerStream);
  const bool enough = bytes / kResumeBlockBytes + files >= wanted && lasted >= kMeasureAtLeast;
  // A line that carries nothing at all says nothing about numbers.
  if (!enough && (lasted < kMeasureAtMost || (bytes == 0 && files == 0))) return;
  if (settling_) return begin_phase(now, progress, false);
  const size_t streams = streams_;
  decide((static_cast<double>(bytes) + static_cast<double>(files) * kFileIsWorth) * 1e9 /
         static_cast<double>(lasted));
  begin_phase(now, progress, streams != streams_);
}

void StreamTuner::decide(double goodput) {
  switch (aim_) {
    case Aim::kDouble:
      return doubled(goodput);
    case Aim::kStay:
      return stayed(goodput);
    case Aim::kMore:
      return tried_more(goodput);
    case Aim::kFewer:
      return tried_fewer(goodput);
  }
}

void StreamTuner::doubled(double goodput) {
  if (goodput < best_ * kWorthKeeping) return go_back();
  const bool goes_on = goodput > best_ * kWorthDoubling && streams_ < streams_max_;
  take(goodput);
  aim_ = goes_on ? Aim::kDouble : Aim::kStay;
  if (goes_on) streams_ = std::min(streams_ * 2, streams_max_);
}

void StreamTuner::stayed(double goodput) {
  best_ += (goodput - best_) / 4;
  if (++stays_ < kStays) return;
  stays_ = 0;
  fewer_next_ = !fewer_next_;
  const bool try_fewer = streams_ == streams_max_ || (fewer_next_ && streams_ > 1);
  aim_ = try_fewer ? Aim::kFewer : Aim::kMore;
  streams_ = try_fewer ? fewer() : more();
}

void StreamTuner::tried_more(double goodput) {
  if (goodput < best_ * kWorthMore) return go_back();
  take(goodput);
  aim_ = streams_ < streams_max_ ? Aim::kDouble : Aim::kStay;
  streams_ = std::min(streams_ * 2, streams_max_);
}

void StreamTuner::tried_fewer(double goodput) {
  if (goodput < best_ * kAsMuch) return go_back();
  take(goodput);
  if (streams_ == 1) aim_ = Aim::kStay;
  streams_ = fewer();
}

void StreamTuner::take(double goodput) {
  best_ = goodput;
  best_streams_ = streams_;
}

void StreamTuner::go_back() {
  streams_ = best_streams_;
  aim_ = Aim::kStay;
}

size_t StreamTuner::more() const {
  return std::min(streams_ + std::max<size_t>(1, streams_ / 2), streams_max_);
}

size_t StreamTuner::fewer() const {
  return std::max<size_t>(1, streams_ - std::max<size_t>(1, streams_ / 4));
}

}  // namespace varve
