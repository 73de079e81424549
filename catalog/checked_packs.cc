#include "catalog/checked_packs.h"

#include <fmt/format.h>

#include "catalog/index_bundles.h"
#include "dedup/base/executor.h"

namespace varve {
namespace {

constexpr size_t kScrubQueue = 8;
constexpr uint64_t kProgressBytes = 4 * kMiB;

PackClass class_of(const StoreFile& file) {
  return file.file_class == FileClass::kPack ? PackClass::kData : PackClass::kCatalog;
}

bool is_pack(const StoreFile& file) {
  return file.file_class == FileClass::kPack || file.file_class == FileClass::kCatalogPack;
}

}  // namespace

CheckedPacks::CheckedPacks(const CheckedStore& store, const CheckOptions& options,
                           CheckReport& report)
    : store_(store), options_(options), report_(report), hasher_(store.keyring) {}

Result<void> CheckedPacks::scrub(const StoreFiles& files,
                                 const std::map<FileHash, PackInfo>& expected) {
  for (const StoreFile& file : files.files) {
    if (!is_pack(file)) continue;
    report_.packs++;
    const auto known = expected.find(file.hash);
    bytes_total_ += known == expected.end() ? kPackBytes : known->second.length;
  }
  if (!options_.read_data) bytes_total_ = 0;
  std::unique_ptr<Executor> pool;
  if (options_.threads > 1) pool = make_thread_pool("varve-scrub", options_.threads, kScrubQueue);
  for (const StoreFile& file : files.files) {
    if (!is_pack(file)) continue;
    const auto known = expected.find(file.hash);
    const PackInfo* info = known == expected.end() ? nullptr : &known->second;
    const auto scrub = [this, file, info] { scrub_one(file, info); };
    if (pool) {
      pool->run(scrub);
    } else {
      scrub();
    }
  }
  pool.reset();  // waits for all of them
  return {};
}

void CheckedPacks::scrub_one(const StoreFile& file, const PackInfo* expected) {
  if (options_.is_stopped()) return;
  const bool wanted = options_.read_data && (!options_.wanted || options_.wanted(file.hash));
  std::optional<PackInfo> info;
  if (expected != nullptr) info = *expected;
  uint64_t pending = 0;
  const auto on_read = [&](uint64_t bytes) {
    pending += bytes;
    if (pending < kProgressBytes || !options_.progress) return;
    std::lock_guard lock(mutex_);
    bytes_done_ += std::exchange(pending, 0);
    options_.progress({"reading packs", bytes_done_, bytes_total_, true});
  };
  ScrubbedPack scrubbed = scrub_pack(store_.storage, store_.keyring, hasher_, file, info,
                                     wanted ? ScrubDepth::kData : ScrubDepth::kEnds, on_read);
  const bool whole = scrubbed.damage.empty() && scrubbed.read_through;
  if (whole && options_.ledger != nullptr) {
    options_.ledger->note(file.hash, VerificationLedger::Depth::kDecoded,
                          store_.clock.now() / 1'000'000'000);
  }
  std::lock_guard lock(mutex_);
  bytes_done_ += wanted ? pending : 0;
  if (!wanted && bytes_total_ > 0) bytes_total_ -= std::min(bytes_total_, scrubbed.length);
  if (scrubbed.read_through) {
    report_.packs_read++;
    report_.bytes_read += scrubbed.length;
  }
  take(file, scrubbed);
}

void CheckedPacks::take(const StoreFile& file, ScrubbedPack& scrubbed) {
  const bool unreadable =
      !scrubbed.header || scrubbed.lost.size() == scrubbed.index.segments.size();
  for (PackDamage& damage : scrubbed.damage) {
    Finding finding;
    finding.unreadable = unreadable;
    finding.kind = FindingKind::kPack;
    finding.file = path_of(file);
    if (scrubbed.header) finding.pack = scrubbed.header->pack;
    finding.problem = damage.segment ? fmt::format("segment {}: {}", *damage.segment, damage.what)
                                     : std::move(damage.what);
    report_.add(std::move(finding));
  }
  if (!scrubbed.header) return;
  const PackId pack = scrubbed.header->pack;
  const auto number = static_cast<uint32_t>(packs_.size());
  numbers_by_file_.emplace(file.hash, number);
  // A pack that was finished twice, before and after a restored image, lies in two files.
  if (!numbers_.emplace(pack, number).second) {
    Finding finding;
    finding.file = path_of(file);
    finding.pack = pack;
    finding.problem = "says that it is the same pack as another file";
    report_.add(std::move(finding));
  }
  packs_.push_back({pack, file.hash, scrubbed.length, class_of(file)});
  if (file.file_class == FileClass::kCatalogPack) objects_->add_pack(pack, scrubbed.index);
  for (uint32_t i = 0; i < scrubbed.index.segments.size(); i++) {
    const IndexedSegment& segment = scrubbed.index.segments[i];
    const bool lost = scrubbed.lost.contains(i);
    for (uint32_t c = 0; c < segment.chunk_count; c++) {
      const IndexedChunk& chunk = scrubbed.index.chunks[segment.first_chunk + c];
      if (lost) {
        lost_.emplace(chunk.id, ChunkPlace{pack, i});
      } else {
        inventory_.add(chunk.id, chunk.length, number);
      }
    }
  }
  if (!scrubbed.lost.empty()) damaged_[pack] = std::move(scrubbed.lost);
}

void CheckedPacks::scrub_open(const PackId& pack, uint64_t committed_length) {
  const Result<PackIndex> index =
      scrub_open_pack(store_.storage, store_.keyring, hasher_, pack, committed_length);
  if (!index.ok()) {
    Finding finding;
    finding.kind = FindingKind::kPack;
    finding.file = open_pack_path(pack);
    finding.pack = pack;
    finding.problem = index.error().message();
    report_.add(std::move(finding));
    return;
  }
  const auto number = static_cast<uint32_t>(packs_.size());
  if (!numbers_.emplace(pack, number).second) return;
  packs_.push_back({pack, FileHash(), 0, PackClass::kData});
  for (const IndexedChunk& chunk : index->chunks) inventory_.add(chunk.id, chunk.length, number);
}

void CheckedPacks::settle(const std::map<FileHash, PackInfo>& expected) {
  inventory_.settle();
  std::unordered_set<PackId, IdHash> silent;
  for (const auto& [hash, info] : expected) {
    if (!numbers_.contains(info.pack)) silent.insert(info.pack);
  }
  read_bundles(silent, [&](const PackId& pack, uint32_t segment, const IndexedChunk& chunk) {
    lost_.emplace(chunk.id, ChunkPlace{pack, segment});
  });
}

void CheckedPacks::add_evicted(const std::vector<PackInfo>& packs) {
  for (const PackInfo& info : packs) {
    const auto number = static_cast<uint32_t>(packs_.size());
    if (!numbers_.emplace(info.pack, number).second) continue;
    numbers_by_file_.emplace(info.hash, number);
    packs_.push_back(info);
    evicted_.insert(info.pack);
  }
  read_bundles(evicted_, [&](const PackId& pack, uint32_t, const IndexedChunk& chunk) {
    inventory_.add(chunk.id, chunk.length, numbers_.at(pack));
  });
}

void CheckedPacks::read_bundles(const std::unordered_set<PackId, IdHash>& wanted,
                                const VisitChunk& visit) {
  if (wanted.empty()) return;
  Metrics metrics;
  PackStore packs(store_.storage, store_.keyring, system_random(), WriterId(), metrics);
  for (const PackInfo& catalog : packs_) {
    if (catalog.pack_class != PackClass::kCatalog) continue;
    packs.add(catalog);
    // A bundle that does not open was reported with its pack; it only makes lines less precise.
    (void)visit_bundles(catalog, packs, [&](IndexBundle bundle) {
      const PackId& pack = bundle.header.pack;
      if (!wanted.contains(pack)) return;
      for (uint32_t i = 0; i < bundle.index.segments.size(); i++) {
        const IndexedSegment& segment = bundle.index.segments[i];
        for (uint32_t c = 0; c < segment.chunk_count; c++)
          visit(pack, i, bundle.index.chunks[segment.first_chunk + c]);
      }
    }).ok();
  }
}

bool CheckedPacks::is_here(const PackInfo& info) const {
  return numbers_by_file_.contains(info.hash);
}

std::optional<PackInfo> CheckedPacks::find(const PackId& pack) const {
  const auto found = numbers_.find(pack);
  if (found == numbers_.end()) return std::nullopt;
  return packs_[found->second];
}

std::optional<uint32_t> CheckedPacks::number_of(const PackInfo& info) const {
  const auto found = numbers_by_file_.find(info.hash);
  if (found == numbers_by_file_.end()) return std::nullopt;
  return found->second;
}

std::optional<CheckedPacks::Chunk> CheckedPacks::chunk(const ChunkId& id) const {
  const auto places = inventory_.find(id);
  if (places.empty()) return std::nullopt;
  return Chunk{places.front().length(), places};
}

std::optional<ChunkPlace> CheckedPacks::lost_place(const ChunkId& id,
                                                   const std::optional<ChunkPlace>& hint) const {
  const auto found = lost_.find(id);
  if (found != lost_.end()) return found->second;
  return hint;
}

std::string CheckedPacks::where(const std::optional<ChunkPlace>& place) const {
  if (!place) return "in no pack that is here";
  const bool here = numbers_.contains(place->pack);
  return fmt::format("in segment {} of pack {}, which is {}", place->segment, place->pack.hex(),
                     here ? "damaged" : "missing");
}

std::vector<CheckReport::ReadablePack> CheckedPacks::readable_packs() const {
  std::vector<CheckReport::ReadablePack> result;
  for (const PackInfo& info : packs_) {
    if (info.length == 0 || evicted_.contains(info.pack)) continue;  // in writing, or elsewhere
    CheckReport::ReadablePack pack{info, {}};
    if (const auto lost = damaged_.find(info.pack); lost != damaged_.end())
      pack.lost = lost->second;
    result.push_back(std::move(pack));
  }
  return result;
}

}  // namespace varve
