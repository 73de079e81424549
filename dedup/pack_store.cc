#include "dedup/pack_store.h"

#include <fmt/format.h>

#include "dedup/base/log.h"
#include "dedup/pack_store_state.h"

namespace varve {
namespace {

constexpr size_t kOpenFilesMax = 256;
constexpr size_t kFarReadersMax = 128;
constexpr size_t kTablesMax = 4096;  // packs; a table takes a kilobyte or so

}  // namespace

PackStore::State::State(Storage& storage_in, const Keyring& keyring_in, Random& random_in,
                        WriterId writer_in, Metrics& metrics)
    : storage(storage_in),
      keyring(keyring_in),
      random(random_in),
      writer(writer_in),
      hasher(keyring_in),
      folders(storage_in),
      packs_sealed(metrics.counter("varve_packs_sealed_total", "Packs finished")),
      pack_bytes(metrics.counter("varve_pack_bytes_total", "Bytes of packs finished")),
      segments_decoded(
          metrics.counter("varve_segments_decoded_total", "Segments read and decoded")),
      segments_damaged(
          metrics.counter("varve_damaged_segments_total", "Segments found missing or damaged")),
      segments_elsewhere(
          metrics.counter("varve_remote_segments_total", "Segments read from a remote")),
      packs_elsewhere(metrics.counter("varve_remote_packs_total",
                                      "Packs found missing or damaged, and read from a remote")),
      failures_elsewhere(metrics.counter("varve_remote_read_failures_total",
                                         "Segments that no remote gave when they were read")),
      readers(kOpenFilesMax),
      tables(kTablesMax),
      far_readers(kFarReadersMax) {}

PackHeader PackStore::State::new_header(PackClass pack_class) {
  PackHeader header;
  header.pack_class = pack_class;
  header.store = keyring.store_id();
  header.writer = writer;
  header.pack = random.id<PackId>();
  header.epoch = keyring.current().id;
  return header;
}

void PackStore::State::sealed_now(const Recovered& recovered, std::shared_ptr<PackReader> reader) {
  packs_sealed.add();
  pack_bytes.add(recovered.info.length);
  const PackId& pack = recovered.info.pack;
  std::lock_guard lock(mutex);
  sealed[pack] = recovered.info;
  writing.erase(pack);
  damaged.erase(pack);
  if (!reader) return;
  tables.put(pack, reader->table());
  readers.put(pack, std::move(reader));
}

Result<bool> PackStore::State::knows_sealed(const PackId& pack) {
  {
    std::lock_guard lock(mutex);
    if (sealed.contains(pack)) return true;
  }
  if (!finder) return false;
  VARVE_TRY(finder(pack));
  std::lock_guard lock(mutex);
  return sealed.contains(pack);
}

Result<std::shared_ptr<PackReader>> PackStore::State::reader(const PackId& pack) {
  PackInfo info;
  std::shared_ptr<const SegmentTable> table;
  {
    std::lock_guard lock(mutex);
    if (auto found = writing.find(pack); found != writing.end()) return found->second;
    if (auto* found = readers.find(pack)) return *found;
  }
  if (!VARVE_TRY(knows_sealed(pack)))
    return Error(Errc::kNotFound, "pack " + pack.hex() + " is not known here");
  {
    std::lock_guard lock(mutex);
    auto found = sealed.find(pack);
    if (found == sealed.end())
      return Error(Errc::kNotFound, "pack " + pack.hex() + " is not known here any more");
    info = found->second;
    if (auto* known = tables.find(pack)) table = *known;
  }
  auto opened = VARVE_TRY(PackReader::open(storage, keyring, info, table.get()));
  std::lock_guard lock(mutex);
  auto found = sealed.find(pack);
  if (found == sealed.end() || !(found->second == info))
    return opened;  // changed meanwhile: serve, but do not keep
  if (!table && !opened->was_walked()) tables.put(pack, opened->table());
  readers.put(pack, opened);
  return opened;
}

Error PackStore::State::report(const PackId& pack, uint32_t segment, const Error& error) {
  std::string path = open_pack_path(pack);
  bool first_of_segment, first_of_pack;
  {
    std::lock_guard lock(mutex);
    if (auto found = sealed.find(pack); found != sealed.end()) {
      path = pack_path(found->second.pack_class, found->second.hash);
    }
    readers.erase(pack);  // so that a pack that was healed is read anew
    auto& segments = damaged[pack];
    first_of_pack = segments.empty();
    first_of_segment = segments.insert(segment).second;
  }
  const std::string place =
      segment == kNoSegment ? std::string() : fmt::format(": segment {}", segment);
  std::string reason = error.message();
  if (error.code() == Errc::kNotFound) reason = "the file is missing";
  if (reason.empty()) reason = "its seal does not open";
  // What the storage could not read may be whole; anything else is damage.
  const Errc code = error.code() == Errc::kIo ? Errc::kIo : Errc::kCorrupt;
  Error result(code, fmt::format("pack {} ({}){}: {}", pack.hex(), path, place, reason));
  if (first_of_segment) segments_damaged.add();
  if (first_of_pack) log_error(result.message());
  return result;
}

PackStore::PackStore(Storage& storage, const Keyring& keyring, Random& random, WriterId writer,
                     Metrics& metrics)
    : state_(std::make_unique<State>(storage, keyring, random, writer, metrics)) {}
PackStore::~PackStore() = default;

void PackStore::add(const PackInfo& info) {
  std::lock_guard lock(state_->mutex);
  state_->damaged.erase(info.pack);
  auto [place, is_new] = state_->sealed.try_emplace(info.pack, info);
  if (is_new || place->second == info) return;
  place->second = info;
  state_->readers.erase(info.pack);
  state_->tables.erase(info.pack);
}

void PackStore::ask(Finder finder) {
  state_->finder = std::move(finder);
}

void PackStore::remove(const PackId& pack) {
  std::lock_guard lock(state_->mutex);
  state_->sealed.erase(pack);
  state_->readers.erase(pack);
  state_->tables.erase(pack);
  state_->damaged.erase(pack);
}

std::optional<PackInfo> PackStore::find(const PackId& pack) const {
  std::lock_guard lock(state_->mutex);
  auto found = state_->sealed.find(pack);
  if (found == state_->sealed.end()) return std::nullopt;
  return found->second;
}

std::vector<PackInfo> PackStore::sealed_packs() const {
  std::lock_guard lock(state_->mutex);
  std::vector<PackInfo> packs;
  packs.reserve(state_->sealed.size());
  for (const auto& [pack, info] : state_->sealed) packs.push_back(info);
  return packs;
}

Result<std::shared_ptr<const DecodedSegment>> PackStore::State::read_here(const PackId& pack,
                                                                          uint32_t segment,
                                                                          Naming naming) {
  auto opened = reader(pack);
  if (!opened.ok()) {
    // Of a pack that is known kNotFound would say that the hint is stale.
    std::lock_guard lock(mutex);
    if (opened.error().code() == Errc::kNotFound && sealed.contains(pack))
      return Error(Errc::kCorrupt, "the file is missing");
    return std::move(opened).error();
  }
  auto decoded = (*opened)->read(segment, hasher, naming);
  if (decoded.ok()) segments_decoded.add();
  return decoded;
}

Result<PackIndex> PackStore::read_index(const PackId& pack) {
  return state_->index_of(pack, [](const PackReader& reader) { return reader.read_index(); });
}

Result<PackIndex> PackStore::readable_index(const PackId& pack) {
  return state_->index_of(
      pack, [this](const PackReader& reader) { return reader.readable_index(state_->hasher); });
}

Result<PackIndex> PackStore::State::index_of(
    const PackId& pack, const std::function<Result<PackIndex>(const PackReader&)>& read) {
  if (!VARVE_TRY(knows_sealed(pack)))
    return Error(Errc::kNotFound, "pack " + pack.hex() + " is not known here");
  auto opened = reader(pack);
  const auto failed = [&](const Error& error) {
    const Error told = report(pack, kNoSegment, error);
    if (wanted) {
      std::unique_lock lock(mutex);
      const PackInfo info = sealed[pack];
      lock.unlock();
      wanted(info);
    }
    return told;
  };
  if (!opened.ok()) return failed(opened.error());
  auto index = read(**opened);
  if (!index.ok()) return failed(index.error());
  return index;
}

}  // namespace varve
