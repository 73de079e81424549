// A store of any size that takes little disk and no time: for what mounting and rebuilding cost.
//
//   great_store make STORE KEY-FILE CHUNKS   a store with a small live tree, and so many chunks in
//                                            packs that have index and trailer but no payload;
//                                            their bundles; a list and a snapshot that name them
//   great_store rebuild STORE KEY-FILE       removes local/ and opens the store: what it took
//
// Such packs' names are not the hashes of their bytes, which a mount does not look at; nothing can
// be read from them, and fsck.varve says so.
#include <fmt/core.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "catalog/index_bundles.h"
#include "catalog/schema.h"
#include "catalog/snapshot_bundles.h"
#include "catalog/staged_kv.h"
#include "catalog/working_copy.h"
#include "dedup/base/checksum.h"
#include "dedup/base/posix_storage.h"
#include "dedup/pack_keys.h"
#include "tests/bench/synthetic_packs.h"
#include "tests/support/simulated_kv.h"

namespace varve {
namespace {

constexpr int kFiles = 20;
constexpr const char* kSet = "documents";

Result<AccessSecret> secret_of(const std::string& key_file) {
  std::ifstream file(key_file, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (bytes.empty()) return Error(Errc::kInvalid, key_file + " cannot be read, or is empty");
  return AccessSecret{AccessSecret::Kind::kKeyFile, Secret::copy_of(as_bytes(bytes))};
}

Result<void> at_once(const Snapshotter::Moment& moment) {
  return moment();
}

/// One mount of the store, without a kernel.
struct Opened {
  Metrics metrics;
  std::unique_ptr<WorkingCopy> copy;

  Result<void> open(const std::string& store, const AccessSecret& secret) {
    WorkingCopy::Options options;
    options.mountpoint = "(great_store)";
    copy = VARVE_TRY(WorkingCopy::open(store, secret, options, metrics));
    return {};
  }
};

Result<void> make_tree(WorkingCopy& copy) {
  NewFile directory;
  directory.type = FileType::kDirectory;
  directory.permissions = 0755;
  const LiveEntry set = VARVE_TRY(copy.tree().create(kRootIno, kSet, directory));
  auto stream = copy.ingest().open_stream(SegmentType::kChunks, Ingest::Access::kSequential);
  for (int i = 0; i < kFiles; i++) {
    NewFile file;
    file.type = FileType::kFile;
    file.permissions = 0644;
    const LiveEntry made = VARVE_TRY(copy.tree().create(set.ino, fmt::format("file {}", i), file));
    const std::string content = fmt::format("the content of file {}\n", i);
    const Ingest::Put put = VARVE_TRY(copy.ingest().put(*stream, as_bytes(content)));
    LiveTree::ContentChange change;
    change.to = content.size();
    change.size = content.size();
    change.extents = {{0, content.size(), put.id, 0}};
    VARVE_TRY(copy.tree().change_content(made.ino, change));
  }
  return copy.committer().commit();
}

/// A full pack of which header, index and trailer are there and the rest is a hole.
Result<PackInfo> write_pack(Storage& storage, const Keyring& keyring, const WriterId& writer,
                            uint64_t number) {
  const PackHeader header{PackClass::kData, keyring.store_id(), writer, synthetic_pack(number),
                          keyring.current().id};
  const PackKeys keys = VARVE_TRY(PackKeys::derive(keyring, header));
  const PackIndex index = synthetic_index(number);
  Bytes fresh(kPackFreshBytes);
  system_random().fill(fresh);
  const Bytes sealed = seal_once(keys.index_key(fresh), pack_additional_data(header, "index"),
                                 encode_pack_index(index));
  PackTrailer trailer;
  trailer.index_offset = kPackBytes - kPackTrailerBytes - sealed.size();
  trailer.index_length = static_cast<uint32_t>(sealed.size());
  trailer.segment_count = static_cast<uint32_t>(index.segments.size());
  trailer.segments_end = index.segments.back().offset + index.segments.back().length;
  Encoder end;
  end.raw(sealed).raw(fresh).raw(seal_once(keys.trailer_key(fresh),
                                           pack_additional_data(header, "trailer"),
                                           encode_pack_trailer(trailer)));
  const PackInfo info{header.pack, sha256(end.view()), kPackBytes, PackClass::kData};
  const auto file = VARVE_TRY(storage.create(pack_path(info.pack_class, info.hash)));
  VARVE_TRY(file->write_at(0, encode_pack_header(header)));
  VARVE_TRY(file->write_at(trailer.index_offset, end.view()));
  return info;
}

Result<std::vector<PackInfo>> write_packs(Storage& storage, const Keyring& keyring,
                                          const WriterId& writer, uint64_t count) {
  for (int folder = 0; folder < 256; folder++) {
    VARVE_TRY(storage.make_directories(fmt::format("packs/{:02x}", folder)));
  }
  std::vector<PackInfo> packs;
  for (uint64_t i = 0; i < count; i++) {
    packs.push_back(VARVE_TRY(write_pack(storage, keyring, writer, i)));
  }
  return packs;
}

/// Bundles of the packs in catalog packs: these.
Result<std::vector<PackInfo>> bundle(WorkingCopy& copy, const std::vector<PackInfo>& packs) {
  SimulatedKv none;
  StagedKv unbundled(none);
  KvBatch rows;
  for (const PackInfo& info : packs) {
    copy.packs().add(info);
    rows.emplace(key::unbundled(info.pack), "");
  }
  unbundled.apply(std::move(rows));
  VARVE_TRY(write_bundles(unbundled, copy.ingest(), copy.packs(), copy.storage(), {}));
  std::vector<PackInfo> catalogs;
  for (const PackStore::Recovered& sealed :
       VARVE_TRY(copy.ingest().seal_open(PackClass::kCatalog))) {
    catalogs.push_back(sealed.info);
  }
  return catalogs;
}

Result<void> make(const std::string& store, const AccessSecret& secret, uint64_t chunks) {
  std::filesystem::create_directory(store);
  const auto storage = VARVE_TRY(open_posix_storage(store));
  std::vector<AccessSecret> secrets;
  secrets.push_back({secret.kind, Secret::copy_of(secret.bytes.view())});
  VARVE_TRY(create_store(*storage, VARVE_TRY(ChunkerSizes::of_average(kSyntheticChunkBytes)),
                         secrets, system_random(), utc_iso(system_clock().now())));
  Opened opened;
  VARVE_TRY(opened.open(store, secret));
  WorkingCopy& copy = *opened.copy;
  VARVE_TRY(make_tree(copy));
  const LiveTree::Set set = *copy.tree().set_named(kSet);
  const SnapshotInfo small =
      VARVE_TRY(copy.snapshotter().take({SnapshotClass::kSet, set.number, "small"}, at_once));
  const Keyring keyring = VARVE_TRY(open_keyring(*storage, copy.config(), secret));
  History::NewSnapshot great;
  great.set = set.row.id;
  great.body = VARVE_TRY(copy.history().body(small.hash));
  great.body.name = "great";
  great.bases = {small.header.list};
  great.rows = VARVE_TRY(
      write_packs(*storage, keyring, copy.history().writer(), chunks / kSyntheticChunksPerPack));
  const std::vector<PackInfo> catalogs = VARVE_TRY(bundle(copy, great.rows));
  great.rows.insert(great.rows.end(), catalogs.begin(), catalogs.end());
  VARVE_TRY(copy.history().publish_snapshot(great));
  // What follows builds on it, as after any snapshot.
  opened.copy.reset();
  std::filesystem::remove_all(store + "/local");
  return {};
}

double processor_seconds() {
  timespec now;
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Of /proc/self/status, in MiB.
uint64_t peak_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) / 1024;
  }
  return 0;
}

Result<void> rebuild(const std::string& store, const AccessSecret& secret) {
  std::filesystem::remove_all(store + "/local");
  Opened opened;
  const auto start = std::chrono::steady_clock::now();
  VARVE_TRY(opened.open(store, secret));
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  const double processor = processor_seconds();
  uint64_t bytes = 0;
  for (const PackInfo& info : opened.copy->packs().sealed_packs()) {
    if (info.pack_class == PackClass::kCatalog) bytes += info.length;
  }
  const ChunkIndex::Figures figures = opened.copy->index().figures();
  const double mb = static_cast<double>(bytes) / 1e6;
  fmt::print(
      "rebuilt from {:.0f} MB of bundles in {:.2f} s, {:.2f} s of processor time: {:.0f} "
      "MB/s, {:.0f} MB/s; {} chunks in {} runs, {} in memory; at most {} MiB resident\n",
      mb, wall.count(), processor, mb / wall.count(), mb / processor, figures.chunks_in_runs,
      figures.runs, figures.chunks_in_memory, peak_mib());
  return opened.copy->finish(at_once);
}

Result<void> run(const std::vector<std::string>& words) {
  const bool making = words.size() == 4 && words[0] == "make";
  if (!making && !(words.size() == 3 && words[0] == "rebuild")) {
    return Error(Errc::kInvalid, "make STORE KEY-FILE CHUNKS, or rebuild STORE KEY-FILE");
  }
  const AccessSecret secret = VARVE_TRY(secret_of(words[2]));
  if (!making) return rebuild(words[1], secret);
  return make(words[1], secret, std::strtoull(words[3].c_str(), nullptr, 10));
}

}  // namespace
}  // namespace varve

int main(int argc, char** argv) {
  const varve::Result<void> done = varve::run({argv + 1, argv + argc});
  if (!done.ok()) fmt::print(stderr, "great_store: {}\n", done.error().message());
  return done.ok() ? 0 : 1;
}
