#include "tools/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "tools/exit_codes.h"

namespace varve {

int report_error(const Error& error) {
  fmt::print(stderr, "varve: {}\n", error.message().empty() ? "failed" : error.message());
  return exit_code_of(error);
}

std::string human_bytes(uint64_t bytes) {
  static constexpr std::array<const char*, 6> kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    unit++;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string table(const std::vector<std::string>& header,
                  const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(header.size());
  for (size_t i = 0; i < header.size(); i++) {
    widths[i] = header[i].size();
    for (const auto& row : rows) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  auto add_row = [&](const std::vector<std::string>& cells) {
    for (size_t i = 0; i < cells.size(); i++) {
      const bool last = i + 1 == cells.size();
      out += last ? cells[i] + "\n" : fmt::format("{:<{}}  ", cells[i], widths[i]);
    }
  };
  add_row(header);
  for (const auto& row : rows) add_row(row);
  return out;
}

}  // namespace varve
