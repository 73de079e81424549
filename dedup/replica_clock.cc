#include "dedup/replica_clock.h"

#include <algorithm>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "dedup/base/limits.h"
#include "dedup/base/log.h"

namespace varve {
namespace {

using nlohmann::json;

constexpr size_t kClockBytesMax = 4 * kKiB;
constexpr const char* kBootIdPath = "/proc/sys/kernel/random/boot_id";

std::optional<ReplicaTime> parse_clock(const Bytes& bytes) {
  const json parsed = json::parse(as_text(bytes), nullptr, false);
  if (!parsed.is_object()) return std::nullopt;
  const auto has = [&](const char* name, auto fits) {
    const auto found = parsed.find(name);
    return found != parsed.end() && fits(*found);
  };
  const auto integer = [](const json& value) { return value.is_number_integer(); };
  const auto natural = [](const json& value) { return value.is_number_unsigned(); };
  const bool whole =
      has("format_version", [](const json& value) { return value == kFormatVersion; }) &&
      has("time", integer) && has("since_boot", natural) && has("sequence", natural) &&
      has("boot", [](const json& value) { return value.is_string(); });
  if (!whole) return std::nullopt;
  ReplicaTime time;
  time.time = parsed["time"].get<Nanoseconds>();
  time.boot = parsed["boot"].get<std::string>();
  time.since_boot = parsed["since_boot"].get<Nanoseconds>();
  time.sequence = parsed["sequence"].get<uint64_t>();
  return time.since_boot < 0 ? std::nullopt : std::optional(time);
}

/// The newest time that was published after what lay here with `sequence`.
std::optional<Nanoseconds> newest_since(const std::vector<PublishedAt>& published,
                                        uint64_t sequence) {
  std::optional<Nanoseconds> newest;
  for (const PublishedAt& one : published) {
    if (one.sequence > sequence && (!newest || one.time > *newest)) newest = one.time;
  }
  return newest;
}

}  // namespace

Result<MachineTime> machine_time() {
  MachineTime time;
  time.wall = system_clock().now();
  std::ifstream file(kBootIdPath);
  if (!std::getline(file, time.boot) || time.boot.empty())
    return Error(Errc::kIo, std::string("cannot read ") + kBootIdPath);
  timespec since{};
  ::clock_gettime(CLOCK_BOOTTIME, &since);
  time.since_boot = since.tv_sec * kSecond + since.tv_nsec;
  return time;
}

Result<std::optional<ReplicaTime>> read_replica_clock(Storage& storage) {
  const Result<Bytes> bytes = read_whole(storage, kReplicaClockPath, kClockBytesMax);
  if (!bytes.ok() && bytes.error().code() == Errc::kNotFound) return std::optional<ReplicaTime>();
  if (!bytes.ok() && bytes.error().code() != Errc::kTooLarge) return bytes.error();
  const std::optional<ReplicaTime> time = bytes.ok() ? parse_clock(*bytes) : std::nullopt;
  if (!time) log_warning("replica/clock makes no sense and counts as absent");
  return time;
}

Result<void> write_replica_clock(Storage& storage, const ReplicaTime& time) {
  const json content = {{"format_version", kFormatVersion},
                        {"time", time.time},
                        {"boot", time.boot},
                        {"since_boot", time.since_boot},
                        {"sequence", time.sequence}};
  VARVE_TRY(storage.make_directories("replica"));
  return write_whole(storage, kReplicaClockPath, as_bytes(content.dump() + "\n"));
}

ReplicaTime advance_replica_clock(const std::optional<ReplicaTime>& before,
                                  const MachineTime& machine,
                                  const std::vector<PublishedAt>& published) {
  ReplicaTime now{0, machine.boot, machine.since_boot, before ? before->sequence : 0};
  for (const PublishedAt& one : published) now.sequence = std::max(now.sequence, one.sequence);
  const std::optional<Nanoseconds> newest = newest_since(published, before ? before->sequence : 0);
  if (!before) {
    now.time = newest ? std::min(machine.wall, *newest) : machine.wall;
    return now;
  }
  now.time = before->time;
  if (before->boot == machine.boot) {
    now.time += std::max<Nanoseconds>(machine.since_boot - before->since_boot, 0);
  } else if (newest) {
    now.time = std::max(now.time, std::min(machine.wall, *newest));
  }
  return now;
}

}  // namespace varve
