#include "fs/status.h"

#include <unistd.h>

#include <map>
#include <nlohmann/json.hpp>

namespace varve {
namespace {

/// What one would need without, over what one needs with; null if there is nothing to compare.
nlohmann::json ratio(uint64_t without, uint64_t with) {
  if (with == 0) return nullptr;
  return static_cast<double>(without) / static_cast<double>(with);
}

nlohmann::json time_or_null(Nanoseconds time) {
  return time == 0 ? nlohmann::json(nullptr) : nlohmann::json(utc_iso(time));
}

nlohmann::json imports_of(const Volume& volume) {
  nlohmann::json result = nlohmann::json::array();
  for (const TarImports::Figures& one : volume.imports()) {
    result.push_back({{"set", one.set},
                      {"replace", one.replace},
                      {"received_bytes", one.received_bytes},
                      {"entries", one.progress.entries},
                      {"failed", one.progress.failed},
                      {"file_bytes", one.progress.bytes},
                      {"path", one.progress.path}});
  }
  return result;
}

}  // namespace

uint64_t Status::metric(const char* name) const {
  for (const Metrics::Sample& sample : metrics_.samples()) {
    if (sample.name == name) return sample.value;
  }
  return 0;
}

nlohmann::json Status::sets() {
  std::map<SetId, uint64_t> snapshots;
  for (const SnapshotInfo& info : working_copy_.history().snapshots()) {
    if (info.header.snapshot_class == SnapshotClass::kSet) snapshots[info.header.set]++;
  }
  nlohmann::json result = nlohmann::json::array();
  for (const LiveTree::Set& set : working_copy_.tree().sets()) {
    if (set.row.id.is_zero() || set.row.removed) continue;
    result.push_back({{"name", set.row.name},
                      {"id", set.row.id.hex()},
                      {"live", true},
                      {"snapshots", snapshots[set.row.id]}});
    snapshots.erase(set.row.id);
  }
  for (const SetInfo& set : working_copy_.history().sets()) {
    auto at = snapshots.find(set.id);
    if (at == snapshots.end()) continue;
    result.push_back(
        {{"name", set.name}, {"id", set.id.hex()}, {"live", false}, {"snapshots", at->second}});
  }
  return result;
}

nlohmann::json Status::bytes() {
  uint64_t stored = 0, evicted = 0;
  for (const PackInfo& pack : working_copy_.packs().sealed_packs()) stored += pack.length;
  for (const PackInfo& pack : working_copy_.packs().evicted_packs()) evicted += pack.length;
  stored -= std::min(stored, evicted);
  uint64_t raw = metric("varve_ingest_raw_bytes_total"),
           fresh = metric("varve_ingest_new_bytes_total");
  uint64_t compressed = metric("varve_ingest_compressed_bytes_total");
  return {{"logical", working_copy_.tree().figures().logical_bytes},
          {"ingested", raw},
          {"ingested_new", fresh},
          {"compressed", compressed},
          {"stored_in_packs", stored},
          {"evicted", evicted},
          {"pending", working_copy_.ingest().outstanding_bytes()},
          {"staged", working_copy_.committer().staged_bytes()},
          {"deduplication_ratio", ratio(raw, fresh)},
          {"compression_ratio", ratio(fresh, compressed)}};
}

nlohmann::json Status::fields() {
  ChunkIndex::Figures index = working_copy_.index().figures();
  nlohmann::json result = {{"format_version", 1},
                           {"store",
                            {{"id", working_copy_.config().store_id.hex()},
                             {"path", working_copy_.root()},
                             {"local", working_copy_.local_directory()},
                             {"only_read", working_copy_.only_reads()}}},
                           {"writer", working_copy_.history().writer().hex()},
                           {"mountpoint", mountpoint_},
                           {"pid", ::getpid()},
                           {"since", utc_iso(since_)},
                           {"files", working_copy_.tree().figures().files},
                           {"sets", sets()},
                           {"bytes", bytes()},
                           {"cache",
                            {{"bytes", metric("varve_cache_bytes")},
                             {"hits", metric("varve_cache_hits_total")},
                             {"misses", metric("varve_cache_misses_total")}}},
                           {"index",
                            {{"chunks_in_memory", index.chunks_in_memory},
                             {"chunks_in_runs", index.chunks_in_runs},
                             {"runs", index.runs},
                             {"resident_bytes", index.resident_bytes}}},
                           {"errors",
                            {{"reads", metric("varve_read_failures_total")},
                             {"flushes", metric("varve_flush_failures_total")},
                             {"commits", metric("varve_commit_failures_total")},
                             {"damaged_segments", metric("varve_damaged_segments_total")}}},
                           {"remote_reads",
                            {{"packs", metric("varve_remote_packs_total")},
                             {"segments", metric("varve_remote_segments_total")},
                             {"failures", metric("varve_remote_read_failures_total")},
                             {"mended_packs", metric("varve_mended_packs_total")},
                             {"mended_bytes", metric("varve_mended_bytes_total")}}},
                           {"evicted_packs", working_copy_.packs().evicted_packs().size()},
                           {"last_commit", time_or_null(committed_)},
                           {"last_checkpoint", time_or_null(checkpointed_)}};
  if (!working_copy_.only_reads()) {
    if (const auto promotion = working_copy_.succeeded_by())
      result["succeeded"] = what_succession_asks(working_copy_.root(), *promotion);
  }
  if (const char* transport = transport_) result["transport"] = transport;
  if (const Volume* volume = volume_) {
    Volume::Figures figures = volume->figures();
    result["bytes"]["dirty"] = figures.dirty_bytes;
    result["bytes"]["dirty_max"] = figures.dirty_bytes_max;
    result["memory"] = {{"open_files", figures.states},
                        {"known_nodes", figures.known_nodes},
                        {"snapshot_nodes", figures.snapshot_nodes}};
    result["imports"] = imports_of(*volume);
  }
  if (Result<StorageSpace> space = working_copy_.storage().space(); space.ok()) {
    result["disk"] = {{"total", space->total}, {"available", space->available}};
  }
  return result;
}

std::string Status::json() {
  // Names of sets may be any bytes; JSON may not.
  return fields().dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void Status::set_gauges() {
  auto set = [this](const char* name, const char* help, uint64_t value) {
    metrics_.gauge(name, help).set(value);
  };
  LiveTree::Figures tree = working_copy_.tree().figures();
  set("varve_files", "Files in the live trees, as far as known", tree.files);
  set("varve_logical_bytes", "Bytes of the live files", tree.logical_bytes);
  set("varve_staged_bytes", "Bytes of metadata that are not durable yet",
      working_copy_.committer().staged_bytes());
  set("varve_snapshots", "Snapshots in force", working_copy_.history().snapshots().size());
  ChunkIndex::Figures index = working_copy_.index().figures();
  set("varve_index_chunks", "Chunks that the index knows",
      index.chunks_in_memory + index.chunks_in_runs);
  set("varve_index_resident_bytes", "Memory of the index", index.resident_bytes);
  const std::vector<PackInfo> evicted = working_copy_.packs().evicted_packs();
  uint64_t evicted_bytes = 0;
  for (const PackInfo& pack : evicted) evicted_bytes += pack.length;
  set("varve_evicted_packs", "Packs that only a remote has, which holds them", evicted.size());
  set("varve_evicted_bytes", "Bytes of those", evicted_bytes);
  if (const Volume* volume = volume_) {
    Volume::Figures figures = volume->figures();
    set("varve_dirty_bytes", "Memory of data that is in no chunk yet", figures.dirty_bytes);
    set("varve_known_nodes", "Live files that the kernel knows", figures.known_nodes);
    set("varve_snapshot_nodes", "Files in snapshots that the kernel knows", figures.snapshot_nodes);
  }
}

std::string Status::prometheus() {
  set_gauges();
  return metrics_.prometheus();
}

}  // namespace varve
