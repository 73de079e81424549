#include "fs/check_fields.h"

#include <nlohmann/json.hpp>

namespace varve {
namespace {

nlohmann::json finding_fields(const Finding& finding) {
  nlohmann::json fields = {{"kind", name_of(finding.kind)},
                           {"damage", finding.is_damage()},
                           {"problem", finding.problem},
                           {"repaired", finding.repaired},
                           {"line", line_of(finding)}};
  if (!finding.file.empty()) fields["file"] = finding.file;
  if (finding.pack) fields["pack"] = finding.pack->hex();
  if (finding.path) {
    fields["set"] = finding.set;
    fields["path"] = *finding.path;
    if (!finding.snapshot.empty()) fields["snapshot"] = finding.snapshot;
  }
  return fields;
}

}  // namespace

nlohmann::json check_fields(const CheckReport& report) {
  nlohmann::json findings = nlohmann::json::array();
  for (const Finding& finding : report.findings) findings.push_back(finding_fields(finding));
  return {{"damages", report.damages},       {"findings", std::move(findings)},
          {"snapshots", report.snapshots},   {"packs", report.packs},
          {"packs_read", report.packs_read}, {"bytes_read", report.bytes_read},
          {"objects", report.objects},       {"paths", report.paths},
          {"chunks", report.chunks},         {"working_copy", report.working_copy}};
}

}  // namespace varve
