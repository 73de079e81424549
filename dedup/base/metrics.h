// Figures of what the program does, named once, readable by any thread at any time.
//
// A name is Prometheus's: [a-z_]+, with its unit last (varve_cache_bytes, varve_reads_total).
// Counters only grow; gauges are set. Objects live as long as their Metrics.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace varve {

class Metric {
 public:
  void add(uint64_t amount = 1) { value_.fetch_add(amount, std::memory_order_relaxed); }
  void subtract(uint64_t amount) { value_.fetch_sub(amount, std::memory_order_relaxed); }
  void set(uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

class Metrics {
 public:
  enum class Kind { kCounter, kGauge };
  struct Sample {
    std::string name, help;
    Kind kind;
    uint64_t value;
  };

  /// The metric of that name, made when first asked for.
  Metric& counter(const std::string& name, const std::string& help) {
    return find(name, help, Kind::kCounter);
  }
  Metric& gauge(const std::string& name, const std::string& help) {
    return find(name, help, Kind::kGauge);
  }

  /// All, in the order of their making.
  std::vector<Sample> samples() const;
  /// Prometheus's text format 0.0.4.
  std::string prometheus() const;

 private:
  struct Named {
    std::string name, help;
    Kind kind;
    Metric metric;
  };
  Metric& find(const std::string& name, const std::string& help, Kind kind);

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Named>> metrics_;
};

}  // namespace varve
