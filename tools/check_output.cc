#include "tools/check_output.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tools/report.h"

namespace varve {

void show_progress(ProgressLine& line, const CheckProgress& progress) {
  const std::string done =
      progress.bytes ? human_bytes(progress.done) : fmt::format("{}", progress.done);
  line.show(fmt::format("{} {} {}", progress.phase, progress_bar(progress.done, progress.total),
                        progress.done > 0 ? done : ""));
}

void print_check(const nlohmann::json& report, const std::string& store) {
  for (const nlohmann::json& finding : report["findings"]) {
    fmt::print("{}\n", finding["line"].get<std::string>());
  }
  const uint64_t listed = report["findings"].size();
  const CheckOutcome outcome = outcome_of(report);
  const auto number = [&](const char* field) { return report[field].get<uint64_t>(); };
  fmt::print("{}: {} snapshots, {} packs", store, number("snapshots"), number("packs"));
  if (number("packs_read") > 0) {
    fmt::print(" ({} read in full, {})", number("packs_read"), human_bytes(number("bytes_read")));
  }
  if (number("objects") > 0 || number("chunks") > 0) {
    fmt::print(", {} tree objects, {} paths, {} chunks", number("objects"), number("paths"),
               number("chunks"));
  }
  if (outcome.left == 0 && outcome.repaired == 0) {
    fmt::print(": clean\n");
    return;
  }
  fmt::print(": {} damages left, {} repairs\n", outcome.left, outcome.repaired);
  if (number("damages") > listed) fmt::print("only the first {} are shown\n", listed);
}

CheckOutcome outcome_of(const nlohmann::json& report) {
  CheckOutcome outcome;
  uint64_t repaired_damage = 0;
  for (const nlohmann::json& finding : report["findings"]) {
    if (!finding["repaired"].get<bool>()) continue;
    outcome.repaired++;
    if (finding["damage"].get<bool>()) repaired_damage++;
  }
  outcome.left = report["damages"].get<uint64_t>() - repaired_damage;
  return outcome;
}

}  // namespace varve
