#include "dedup/index_runs.h"

#include <algorithm>

#include "dedup/base/checksum.h"
#include "dedup/base/codec.h"
#include "dedup/base/log.h"
#include "dedup/index_merge.h"

namespace varve {
namespace {

constexpr size_t kRemovedBytesMax = 256 << 20;
constexpr size_t kTierWidth = 4;
constexpr uint64_t kSmallestTierRows = 16384;

/// Runs of one tier differ by less than kTierWidth in size.
int tier_of(uint64_t rows) {
  int tier = 0;
  for (uint64_t limit = kSmallestTierRows; rows > limit; limit *= kTierWidth) tier++;
  return tier;
}

}  // namespace

IndexRuns::IndexRuns(Storage& storage, std::string directory, PackNumbers& numbers)
    : storage_(storage), directory_(std::move(directory)), numbers_(numbers) {}

Result<std::unique_ptr<IndexRuns>> IndexRuns::open(Storage& storage, const std::string& directory,
                                                   PackNumbers& numbers) {
  VARVE_TRY(storage.make_directories(directory));
  std::unique_ptr<IndexRuns> runs(new IndexRuns(storage, directory, numbers));
  VARVE_TRY(runs->load());
  return runs;
}

Result<void> IndexRuns::load() {
  std::vector<std::shared_ptr<IndexRun>> runs;
  RemovedPacks removed;
  VARVE_TRY(load_runs(runs));
  Result<void> read = load_removed(removed);
  if (!read.ok()) {
    if (read.error().code() != Errc::kCorrupt) return read;
    // Without it, rows of packs that went could not be told from others: all runs are made anew.
    log_warning(read.error().message() + "; the chunk index is made anew from the packs");
    for (auto& run : runs) VARVE_TRY(storage_.unlink(run->path()));
    VARVE_TRY(storage_.unlink(directory_ + "/removed"));
    runs.clear();
    removed.clear();
  }
  hold_all(std::move(runs), removed);
  return {};
}

Result<void> IndexRuns::load_runs(std::vector<std::shared_ptr<IndexRun>>& out) {
  for (const StorageEntry& entry : VARVE_TRY(storage_.list(directory_))) {
    std::string path = directory_ + "/" + entry.name;
    if (entry.name.starts_with(".tmp-")) VARVE_TRY(storage_.unlink(path));
    if (!entry.name.starts_with("run-")) continue;
    Result<std::shared_ptr<IndexRun>> run = IndexRun::open(storage_, path);
    if (run.ok()) {
      out.push_back(*run);
      continue;
    }
    if (run.error().code() != Errc::kCorrupt) return std::move(run).error();
    log_warning(run.error().message() + "; it is removed, its packs are indexed anew");
    VARVE_TRY(storage_.unlink(path));
  }
  // Newest first; of those that end alike the one that covers more.
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    if (a->range().last != b->range().last) return a->range().last > b->range().last;
    return a->range().first < b->range().first;
  });
  std::vector<std::shared_ptr<IndexRun>> kept;
  for (auto& run : out) {
    bool merged = std::any_of(kept.begin(), kept.end(),
                              [&](auto& k) { return k->range().covers(run->range()); });
    if (merged) {
      VARVE_TRY(storage_.unlink(run->path()));
    } else {
      kept.push_back(run);
    }
  }
  out = std::move(kept);
  return {};
}

Result<void> IndexRuns::load_removed(RemovedPacks& out) {
  Result<Bytes> bytes = read_whole(storage_, directory_ + "/removed", kRemovedBytesMax);
  if (!bytes.ok()) {
    if (bytes.error().code() == Errc::kNotFound) return {};
    return std::move(bytes).error();
  }
  size_t content = bytes->size() < 8 ? 0 : bytes->size() - 8;
  Decoder decoder(ByteView(*bytes).first(content));
  Decoder hash(ByteView(*bytes).subspan(content));
  if (hash.u64() != xxh3(ByteView(*bytes).first(content)))
    return Error(Errc::kCorrupt, directory_ + "/removed is damaged");
  while (decoder.remaining() > 0 && !decoder.failed()) {
    uint64_t run = decoder.u64();
    out.emplace(run, decoder.id<PackId>());
  }
  VARVE_TRY(decoder.finish(directory_ + "/removed"));
  removed_on_disk_ = *std::move(bytes);
  return {};
}

void IndexRuns::hold_all(std::vector<std::shared_ptr<IndexRun>> runs, const RemovedPacks& removed) {
  auto list = std::make_shared<List>();
  for (auto& run : runs) {
    auto held = std::make_shared<Held>();
    for (const PackId& pack : run->packs()) {
      bool gone = removed.contains({run->range().last, pack});
      uint32_t number = gone ? numbers_.gone_number(pack) : numbers_.number_of(pack);
      numbers_.set_state(number, PackNumbers::State::kOnDisk);
      held->numbers.push_back(number);
    }
    held->run = std::move(run);
    list->push_back(std::move(held));
  }
  list_ = std::move(list);
}

std::shared_ptr<const IndexRuns::List> IndexRuns::list() const {
  std::lock_guard lock(mutex_);
  return list_;
}

Result<std::optional<ChunkPlace>> IndexRuns::find(const ChunkKey& key) {
  std::shared_ptr<const List> runs = list();
  std::optional<ChunkPlace> place;
  std::optional<Error> damage;
  // Each run may cost a miss of the cache: they are waited for together.
  for (const HeldPtr& held : *runs) held->run->prefetch(key);
  for (const HeldPtr& held : *runs) {
    if (!held->run->may_hold(key)) continue;
    Result<void> found = held->run->find(key, [&](const ChunkRow& row) {
      const std::optional<PackId> pack = numbers_.present(held->numbers[row.pack]);
      if (pack) place = ChunkPlace{*pack, row.segment};
      return pack.has_value();
    });
    if (place) return place;
    if (found.ok()) continue;
    if (found.error().code() == Errc::kCorrupt) lose(held, found.error());
    damage = std::move(found).error();
  }
  // What the damaged run knew is not known: "no such chunk" might be wrong.
  if (damage) return *std::move(damage);
  return place;
}

void IndexRuns::lose(const HeldPtr& held, const Error& error) {
  std::lock_guard lock(mutex_);
  auto rest = std::make_shared<List>(*list_);
  auto at = std::find(rest->begin(), rest->end(), held);
  if (at == rest->end()) return;
  rest->erase(at);
  list_ = std::move(rest);
  log_error(error.message() + "; it is removed, its packs must be indexed anew");
  for (uint32_t number : held->numbers) {
    if (numbers_.is_gone(number)) continue;
    lost_.push_back(numbers_.pack(number));
    numbers_.remove_number(number);
  }
  Result<void> unlinked = storage_.unlink(held->run->path());
  if (!unlinked.ok()) log_error(unlinked.error().message());
}

std::vector<PackId> IndexRuns::take_lost_packs() {
  std::lock_guard lock(mutex_);
  return std::exchange(lost_, {});
}

Result<void> IndexRuns::add(std::vector<ChunkRow> rows, const std::vector<uint32_t>& numbers) {
  std::shared_ptr<const List> runs = list();
  uint64_t next = runs->empty() ? 1 : runs->front()->run->range().last + 1;
  std::vector<uint32_t> places;  // by number less the least
  const uint32_t least = *std::min_element(numbers.begin(), numbers.end());
  std::vector<PackId> packs;
  for (uint32_t number : numbers) {
    if (places.size() <= number - least) places.resize(number - least + 1, kNoPack);
    places[number - least] = static_cast<uint32_t>(packs.size());
    packs.push_back(numbers_.pack(number));
  }
  // Reversed, a key's newer rows come first, and the sort leaves them so.
  std::reverse(rows.begin(), rows.end());
  sort_rows(rows);
  auto writer = VARVE_TRY(
      IndexRunWriter::create(storage_, directory_, {next, next}, std::move(packs), rows.size()));
  for (ChunkRow row : rows) {
    row.pack = places[row.pack - least];
    VARVE_TRY(writer->add(row));
  }
  auto held = std::make_shared<Held>();
  held->run = VARVE_TRY(writer->finish());
  held->numbers = numbers;
  replace({}, std::move(held));
  return {};
}

/// Takes `old` out and puts `merged`, if any, where the newest of them was; with no `old` it is the
/// newest of all.
void IndexRuns::replace(const List& old, HeldPtr merged) {
  std::lock_guard lock(mutex_);
  auto next = std::make_shared<List>();
  if (merged) next->push_back(std::move(merged));
  for (const HeldPtr& held : *list_) {
    if (std::find(old.begin(), old.end(), held) == old.end()) next->push_back(held);
  }
  list_ = std::move(next);
}

/// The newest runs up to the first full tier: all in front of it are smaller and go with it.
size_t IndexRuns::runs_to_merge(const List& runs) const {
  int tier = 0;
  size_t in_tier = 0;
  for (size_t i = 0; i < runs.size(); i++) {
    int own = tier_of(runs[i]->run->rows());
    if (own > tier && in_tier >= kTierWidth) return i;
    if (own > tier) in_tier = 0;
    if (own >= tier) in_tier++;
    tier = std::max(tier, own);
  }
  return in_tier >= kTierWidth ? runs.size() : 0;
}

Result<void> IndexRuns::merge() {
  VARVE_TRY(drop_empty());
  for (;;) {
    std::shared_ptr<const List> runs = list();
    size_t count = runs_to_merge(*runs);
    if (count == 0) return {};
    Result<void> merged = merge_newest(*runs, count);
    // A run that was found damaged is out of the list: the others go on.
    if (!merged.ok() && merged.error().code() != Errc::kCorrupt) return merged;
  }
}

/// Runs all of whose packs are gone.
Result<void> IndexRuns::drop_empty() {
  std::shared_ptr<const List> runs = list();
  for (const HeldPtr& held : *runs) {
    const std::vector<uint32_t>& numbers = held->numbers;
    if (!std::all_of(numbers.begin(), numbers.end(),
                     [&](uint32_t n) { return numbers_.is_gone(n); }))
      continue;
    replace({held}, nullptr);
    VARVE_TRY(storage_.unlink(held->run->path()));
  }
  return {};
}

Result<void> IndexRuns::merge_newest(const List& runs, size_t count) {
  const List old(runs.begin(), runs.begin() + static_cast<ptrdiff_t>(count));
  std::vector<MergedPart> parts;
  std::vector<uint32_t> numbers;
  // After a crash a pack may be in two runs, under one number.
  std::unordered_map<uint32_t, uint32_t> places;
  for (const HeldPtr& held : old) {
    MergedPart part{held->run, {}};
    for (uint32_t number : held->numbers) {
      part.packs.push_back(kNoPack);
      if (numbers_.is_gone(number)) continue;
      const auto [place, is_new] = places.emplace(number, static_cast<uint32_t>(numbers.size()));
      if (is_new) numbers.push_back(number);
      part.packs.back() = place->second;
    }
    parts.push_back(std::move(part));
  }
  HeldPtr merged;
  if (!numbers.empty()) {
    auto held = std::make_shared<Held>();
    held->run = VARVE_TRY(write_merged(old, parts, numbers));
    held->numbers = std::move(numbers);
    merged = std::move(held);
  }
  replace(old, merged);
  for (const HeldPtr& held : old) VARVE_TRY(storage_.unlink(held->run->path()));
  return {};
}

Result<std::shared_ptr<IndexRun>> IndexRuns::write_merged(const List& old,
                                                          const std::vector<MergedPart>& parts,
                                                          const std::vector<uint32_t>& numbers) {
  std::vector<PackId> packs;
  packs.reserve(numbers.size());
  for (uint32_t number : numbers) packs.push_back(numbers_.pack(number));
  uint64_t rows = 0;
  for (const MergedPart& part : parts) rows += part.run->rows();
  const RunRange range{old.back()->run->range().first, old.front()->run->range().last};
  auto writer =
      VARVE_TRY(IndexRunWriter::create(storage_, directory_, range, std::move(packs), rows));
  VARVE_TRY(
      merge_runs(parts, *writer, [&](size_t part, const Error& error) { lose(old[part], error); }));
  return writer->finish();
}

Result<void> IndexRuns::save_removed() {
  Encoder encoder;
  std::shared_ptr<const List> runs = list();
  for (const HeldPtr& held : *runs) {
    for (uint32_t number : held->numbers) {
      if (numbers_.is_gone(number)) encoder.u64(held->run->range().last).id(numbers_.pack(number));
    }
  }
  if (encoder.size() == 0 && removed_on_disk_.empty()) return {};
  encoder.u64(xxh3(encoder.view()));
  Bytes bytes = encoder.take();
  if (bytes == removed_on_disk_) return {};
  VARVE_TRY(write_whole(storage_, directory_ + "/removed", bytes));
  removed_on_disk_ = std::move(bytes);
  return {};
}

std::vector<PackId> IndexRuns::packs() const {
  std::vector<PackId> packs;
  std::shared_ptr<const List> runs = list();
  for (const HeldPtr& held : *runs) {
    for (uint32_t number : held->numbers) {
      if (!numbers_.is_gone(number)) packs.push_back(numbers_.pack(number));
    }
  }
  return packs;
}

IndexRuns::Figures IndexRuns::figures() const {
  Figures figures;
  std::shared_ptr<const List> runs = list();
  figures.runs = runs->size();
  for (const HeldPtr& held : *runs) {
    figures.rows += held->run->rows();
    figures.memory_bytes += held->run->memory_bytes();
  }
  return figures;
}

}  // namespace varve
