#include "tools/transfer_output.h"

#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tools/exit_codes.h"
#include "tools/report.h"

namespace varve {

std::string absolute_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                         &std::free);
  return real ? std::string(real.get()) : path;
}

void TransferLine::show(const TransferFigures& figures) {
  line_.show(fmt::format("{} files copied ({}), {} were there", figures.files_copied,
                         human_bytes(figures.bytes_copied), figures.files_were_there));
}

int report_transfer(const TransferFigures& figures, bool json) {
  if (json) {
    const nlohmann::json fields = {{"files_copied", figures.files_copied},
                                   {"bytes_copied", figures.bytes_copied},
                                   {"files_were_there", figures.files_were_there},
                                   {"snapshots_waiting", figures.snapshots_waiting},
                                   {"snapshots_expired", figures.snapshots_expired},
                                   {"problems", figures.problems}};
    fmt::print("{}\n", fields.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    for (const std::string& problem : figures.problems) fmt::print(stderr, "varve: {}\n", problem);
    fmt::print("{} files copied ({}), {} were there already\n", figures.files_copied,
               human_bytes(figures.bytes_copied), figures.files_were_there);
    if (figures.snapshots_expired > 0)
      fmt::print("{} snapshots have expired there and stay out\n", figures.snapshots_expired);
    if (figures.snapshots_waiting > 0) {
      fmt::print("{} snapshots wait for packs that are neither there nor here\n",
                 figures.snapshots_waiting);
    }
  }
  return figures.problems.empty() ? kExitOk : kExitCorrupt;
}

}  // namespace varve
