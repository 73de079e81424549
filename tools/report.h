// What the programs print for people: errors in one line, byte counts, tables.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dedup/base/result.h"

namespace varve {

/// "varve: <message>" on standard error; the exit code that fits.
int report_error(const Error& error);

/// "1.5 GiB".
std::string human_bytes(uint64_t bytes);

/// Columns as wide as their widest cell, two spaces between; `header` first.
std::string table(const std::vector<std::string>& header,
                  const std::vector<std::vector<std::string>>& rows);

}  // namespace varve
