// What the filesystem says about itself: status.json and metrics. Any thread.
#pragma once

#include <atomic>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "catalog/working_copy.h"
#include "dedup/base/metrics.h"
#include "fs/volume.h"

namespace varve {

class Status {
 public:
  Status(WorkingCopy& working_copy, Metrics& metrics, std::string mountpoint, Nanoseconds since)
      : working_copy_(working_copy),
        metrics_(metrics),
        mountpoint_(std::move(mountpoint)),
        since_(since) {}

  /// Before it is called, the volume's figures are left out.
  void show(const Volume* volume) { volume_ = volume; }
  /// How the kernel's requests come: "io_uring", "device". Text that stays.
  void transport(const char* name) { transport_ = name; }
  void committed(Nanoseconds time) { committed_ = time; }
  void checkpointed(Nanoseconds time) { checkpointed_ = time; }

  nlohmann::json fields();
  /// The same as text.
  std::string json();
  /// Prometheus's text format.
  std::string prometheus();

 private:
  nlohmann::json sets();
  nlohmann::json bytes();
  uint64_t metric(const char* name) const;
  void set_gauges();

  WorkingCopy& working_copy_;
  Metrics& metrics_;
  const std::string mountpoint_;
  const Nanoseconds since_;
  std::atomic<const Volume*> volume_ = nullptr;
  std::atomic<const char*> transport_ = nullptr;
  std::atomic<Nanoseconds> committed_ = 0, checkpointed_ = 0;
};

}  // namespace varve
