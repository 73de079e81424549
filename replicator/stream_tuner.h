// How many files are under way at once, by the goodput that was measured with as many.
//
// It doubles the number while that brings more, stays with the best, and tries fewer and more in
// turns from time to time, for lines change. What has just changed is not measured: new streams
// first bring a block each (some mounts connect anew for each, and stand still meanwhile), and then
// a measure lasts until each has brought some more; so that pieces of megabytes, which leave at
// once and arrive later, are no noise. One thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dedup/base/clock.h"

namespace varve {

class StreamTuner {
 public:
  /// What has arrived since the beginning.
  struct Progress {
    uint64_t bytes = 0;
    uint64_t files = 0;
  };

  StreamTuner(size_t streams_max, Nanoseconds now) : streams_max_(streams_max), since_(now) {}
  size_t streams() const { return streams_; }
  /// To be told some times a second; `busy`: as many are under way as may be (else the number tells
  /// nothing, and what was measured is thrown away). May change streams().
  void note(Nanoseconds now, const Progress& progress, bool busy);

 private:
  enum class Aim { kDouble, kStay, kMore, kFewer };

  void begin_phase(Nanoseconds now, const Progress& progress, bool settling);
  /// `goodput` (a second) was reached with streams().
  void decide(double goodput);
  void doubled(double goodput);
  void stayed(double goodput);
  void tried_more(double goodput);
  void tried_fewer(double goodput);
  void take(double goodput);
  void go_back();
  size_t more() const;
  size_t fewer() const;

  const size_t streams_max_;
  size_t streams_ = 4;
  Aim aim_ = Aim::kDouble;
  bool fewer_next_ = false;  // of the two that are tried in turns
  int stays_ = 0;
  size_t best_streams_ = 0;
  double best_ = 0;  // with best_streams_

  bool settling_ = true;
  Nanoseconds since_;  // when the phase began
  Progress before_;    // as it was then
};

}  // namespace varve
