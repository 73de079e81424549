#include "dedup/base/metrics.h"

namespace varve {
namespace {

/// The text format knows two escapes in help texts.
std::string escape_help(const std::string& help) {
  std::string text;
  for (char c : help) {
    if (c == '\\') {
      text += "\\\\";
    } else if (c == '\n') {
      text += "\\n";
    } else {
      text += c;
    }
  }
  return text;
}

}  // namespace

Metric& Metrics::find(const std::string& name, const std::string& help, Kind kind) {
  std::lock_guard lock(mutex_);
  for (auto& named : metrics_) {
    if (named->name == name) return named->metric;
  }
  auto& named = metrics_.emplace_back(std::make_unique<Named>());
  named->name = name;
  named->help = help;
  named->kind = kind;
  return named->metric;
}

std::vector<Metrics::Sample> Metrics::samples() const {
  std::lock_guard lock(mutex_);
  std::vector<Sample> samples;
  samples.reserve(metrics_.size());
  for (auto& named : metrics_) {
    samples.push_back({named->name, named->help, named->kind, named->metric.value()});
  }
  return samples;
}

std::string Metrics::prometheus() const {
  std::string text;
  for (const Sample& sample : samples()) {
    text += "# HELP " + sample.name + " " + escape_help(sample.help) + "\n";
    text += "# TYPE " + sample.name + (sample.kind == Kind::kCounter ? " counter\n" : " gauge\n");
    text += sample.name + " " + std::to_string(sample.value) + "\n";
  }
  return text;
}

}  // namespace varve
