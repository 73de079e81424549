// Rows of text, as the ledger and the log of expiry have them: fields with a space between.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dedup/store_files.h"

namespace varve {

inline constexpr std::string_view kClassLetters = "kpclsr";

/// "p HASH": a file's class and name.
inline std::string row_of(const StoreFile& file) {
  return std::string(1, kClassLetters[static_cast<size_t>(file.file_class)]) + " " +
         file.hash.hex();
}

inline std::optional<StoreFile> file_in(std::string_view letter, std::string_view name) {
  const size_t file_class = letter.size() == 1 ? kClassLetters.find(letter) : std::string::npos;
  const auto hash = FileHash::from_hex(name);
  if (file_class == std::string::npos || !hash) return std::nullopt;
  return StoreFile{static_cast<FileClass>(file_class), *hash};
}

inline std::vector<std::string_view> split_row(std::string_view row) {
  std::vector<std::string_view> fields;
  while (!row.empty()) {
    const size_t end = std::min(row.find(' '), row.size());
    fields.push_back(row.substr(0, end));
    row.remove_prefix(std::min(end + 1, row.size()));
  }
  return fields;
}

template <typename Number>
std::optional<Number> number_in(std::string_view text, int base = 10) {
  Number value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size())
    return std::nullopt;
  return value;
}

}  // namespace varve
