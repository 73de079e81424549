// Archives for tests, byte by byte: ustar headers, PAX records, contents.
#pragma once

#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "dedup/base/bytes.h"

namespace varve {

struct TarFile {
  std::string path;
  char kind = '0';  // 0 file, 1 link, 2 symlink, 3 and 4 devices, 5 directory, 6 fifo
  std::string content = {};
  unsigned mode = 0644, uid = 1000, gid = 1000;
  long mtime = 1'600'000'000;
  std::string target = {};
  std::vector<std::pair<std::string, std::string>> records = {};  // PAX
};

inline std::string tar_block(const TarFile& file, char kind, size_t size) {
  std::string block(512, '\0');
  auto text = [&](size_t at, const std::string& value) { block.replace(at, value.size(), value); };
  auto octal = [&](size_t at, size_t width, unsigned long value) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%0*lo", static_cast<int>(width - 1), value);
    text(at, digits);
  };
  text(0, file.path.substr(0, 100));
  octal(100, 8, file.mode);
  octal(108, 8, file.uid);
  octal(116, 8, file.gid);
  octal(124, 12, size);
  octal(136, 12, static_cast<unsigned long>(file.mtime));
  block[156] = kind;
  text(157, file.target);
  text(257, std::string("ustar\0"
                        "00",
                        8));
  octal(329, 8, 1);
  octal(337, 8, 3);
  text(148, "        ");
  unsigned sum = 0;
  for (char c : block) sum += static_cast<unsigned char>(c);
  octal(148, 7, sum);
  return block;
}

inline std::string padded(std::string bytes) {
  bytes.resize((bytes.size() + 511) / 512 * 512);
  return bytes;
}

inline std::string tar_entry(const TarFile& file) {
  std::string result;
  if (!file.records.empty()) {
    std::string records;
    for (const auto& [key, value] : file.records) {
      const std::string rest = " " + key + "=" + value + "\n";
      size_t length = rest.size() + 1;
      while (std::to_string(length).size() + rest.size() != length) length++;
      records += std::to_string(length) + rest;
    }
    result += tar_block(file, 'x', records.size()) + padded(records);
  }
  const size_t size = file.kind == '0' ? file.content.size() : 0;
  return result + tar_block(file, file.kind, size) + padded(file.content.substr(0, size));
}

inline std::string tar_of(const std::vector<TarFile>& files) {
  std::string result;
  for (const TarFile& file : files) result += tar_entry(file);
  return result + std::string(1024, '\0');
}

}  // namespace varve
