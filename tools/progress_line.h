// One line on standard error that is written over and over while something takes its time: on a
// terminal only, and at most ten times a second. One thread at a time.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace varve {

class ProgressLine {
 public:
  explicit ProgressLine(bool wanted);
  void show(std::string_view text);
  void clear();

 private:
  const bool shown_;
  std::chrono::steady_clock::time_point last_{};
};

/// "[#####-----] 50%"; empty if `total` is not known.
std::string progress_bar(uint64_t done, uint64_t total);

}  // namespace varve
