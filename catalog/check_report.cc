// What a check has found, in words.

#include <fmt/format.h>

#include "catalog/checker.h"

namespace varve {

std::string_view name_of(FindingKind kind) {
  switch (kind) {
    case FindingKind::kFile:
      return "file";
    case FindingKind::kPack:
      return "pack";
    case FindingKind::kHistory:
      return "history";
    case FindingKind::kContent:
      return "content";
    case FindingKind::kWorkingCopy:
      return "working-copy";
    case FindingKind::kIndex:
      return "index";
    case FindingKind::kTemporary:
      return "temporary";
    case FindingKind::kNote:
      return "note";
  }
  return "";
}

namespace {

/// A name as it can stand in a line: control characters would forge another one.
std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x20 || byte == 0x7f || c == '\\') {
      out += fmt::format("\\{:03o}", byte);
    } else {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace

std::string line_of(const Finding& finding) {
  std::string place;
  if (finding.path) {
    place = finding.snapshot.empty() ? "live tree" : "snapshot " + printable(finding.snapshot);
    place += " of " + (finding.set.empty() ? std::string("the root") : printable(finding.set));
    place += ": /" + printable(*finding.path);
  }
  if (!finding.file.empty()) place += (place.empty() ? "" : ": ") + finding.file;
  if (finding.pack && !finding.path) place += " (pack " + finding.pack->hex() + ")";
  if (!place.empty()) place += ": ";
  std::string line = place + printable(finding.problem);
  // Most problems of a path say already which pack its bytes were in.
  if (finding.pack && line.find(finding.pack->hex()) == std::string::npos) {
    line += " (pack " + finding.pack->hex() + ")";
  }
  return line + (finding.repaired ? " [repaired]" : "");
}

void CheckReport::add(Finding finding) {
  if (finding.is_damage()) damages++;
  if (findings.size() < kFindingsMax) findings.push_back(std::move(finding));
}

}  // namespace varve
