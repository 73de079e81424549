#include "tools/progress_line.h"

#include <fmt/format.h>
#include <unistd.h>

namespace varve {

ProgressLine::ProgressLine(bool wanted) : shown_(wanted && ::isatty(STDERR_FILENO) == 1) {}

void ProgressLine::show(std::string_view text) {
  const auto now = std::chrono::steady_clock::now();
  if (!shown_ || now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  fmt::print(stderr, "\r{}\033[K", text);
}

void ProgressLine::clear() {
  if (shown_) fmt::print(stderr, "\r\033[K");
}

std::string progress_bar(uint64_t done, uint64_t total) {
  constexpr size_t kWidth = 30;
  if (total == 0) return "";
  const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const size_t full = static_cast<size_t>(part * kWidth);
  return fmt::format("[{:#<{}}{:-<{}}] {:.0f}%", "", full, "", kWidth - full, part * 100);
}

}  // namespace varve
