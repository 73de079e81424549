#include "dedup/chunk_index.h"

#include <unordered_set>

#include "dedup/chunk_table.h"
#include "dedup/index_runs.h"
#include "dedup/pack_numbers.h"

namespace varve {
namespace {

/// Memory over runs. A pack's rows are published in a run before they leave memory, and find looks
/// in the same order: at every moment it meets them in one of the two.
class LayeredChunkIndex final : public ChunkIndex {
 public:
  LayeredChunkIndex() = default;
  static Result<std::unique_ptr<ChunkIndex>> open(Storage& storage, const std::string& directory) {
    auto index = std::make_unique<LayeredChunkIndex>();
    index->runs_ = VARVE_TRY(IndexRuns::open(storage, directory, index->numbers_));
    return std::unique_ptr<ChunkIndex>(std::move(index));
  }

  Result<std::optional<ChunkPlace>> find(const ChunkId& id) override {
    ChunkKey key = ChunkKey::of(id);
    ChunkRow row = table_.find(key, [this](uint32_t pack) { return !numbers_.is_gone(pack); });
    if (row.pack != 0)
      return std::optional<ChunkPlace>(ChunkPlace{numbers_.pack(row.pack), row.segment});
    if (!runs_) return std::optional<ChunkPlace>();
    return runs_->find(key);
  }

  void add(const PackId& pack, uint32_t segment, const std::vector<IndexedChunk>& chunks) override {
    uint32_t number = numbers_.number_of(pack);
    for (const IndexedChunk& chunk : chunks) table_.add({ChunkKey::of(chunk.id), number, segment});
    numbers_.note_segment(number, segment);
  }

  void add_pack(const PackId& pack, const PackIndex& index) override {
    uint32_t number = numbers_.number_of(pack);
    if (numbers_.state(number) != PackNumbers::State::kOpen) return;
    for (uint32_t segment = 0; segment < index.segments.size(); segment++) {
      if (numbers_.has_segment(number, segment)) continue;
      visit_rows(number, index, segment, [this](const ChunkRow& row) { table_.add(row); });
    }
    numbers_.set_state(number, PackNumbers::State::kSealed);
  }

  Result<void> add_packs(const std::vector<SealedPack>& packs) override {
    if (!runs_) {
      for (const SealedPack& one : packs) add_pack(one.pack, one.index);
      return {};
    }
    std::lock_guard lock(settling_);
    std::vector<uint32_t> numbers;
    std::unordered_set<uint32_t> taken;
    std::vector<ChunkRow> rows;
    size_t chunks = 0;
    for (const SealedPack& one : packs) chunks += one.index.chunks.size();
    rows.reserve(chunks);
    for (const SealedPack& one : packs) {
      const uint32_t number = numbers_.number_of(one.pack);
      if (numbers_.state(number) != PackNumbers::State::kOpen) continue;
      if (!taken.insert(number).second) continue;
      numbers.push_back(number);
      for (uint32_t segment = 0; segment < one.index.segments.size(); segment++) {
        visit_rows(number, one.index, segment, [&](const ChunkRow& row) { rows.push_back(row); });
      }
    }
    if (numbers.empty()) return {};
    VARVE_TRY(runs_->add(std::move(rows), numbers));
    for (uint32_t number : numbers) numbers_.set_state(number, PackNumbers::State::kOnDisk);
    return {};
  }

  void remove_pack(const PackId& pack) override { numbers_.remove(pack); }

  std::vector<PackId> packs_on_disk() override {
    return runs_ ? runs_->packs() : std::vector<PackId>();
  }

  std::vector<PackId> take_lost_packs() override {
    return runs_ ? runs_->take_lost_packs() : std::vector<PackId>();
  }

  Result<void> settle() override {
    std::lock_guard lock(settling_);
    if (runs_) VARVE_TRY(flush());
    table_.retain([this](uint32_t pack) {
      PackNumbers::State state = numbers_.state(pack);
      return state == PackNumbers::State::kOpen || state == PackNumbers::State::kSealed;
    });
    if (!runs_) return {};
    VARVE_TRY(runs_->merge());
    return runs_->save_removed();
  }

  Figures figures() override {
    Figures figures;
    figures.chunks_in_memory = table_.size();
    figures.resident_bytes = table_.memory_bytes();
    if (!runs_) return figures;
    IndexRuns::Figures runs = runs_->figures();
    figures.chunks_in_runs = runs.rows;
    figures.runs = runs.runs;
    figures.resident_bytes += runs.memory_bytes;
    return figures;
  }

 private:
  /// Visits the places of one segment's chunks.
  template <typename Visit>
  static void visit_rows(uint32_t number, const PackIndex& index, uint32_t segment, Visit visit) {
    const IndexedSegment& own = index.segments[segment];
    for (uint32_t i = 0; i < own.chunk_count && own.first_chunk + i < index.chunks.size(); i++) {
      visit(ChunkRow{ChunkKey::of(index.chunks[own.first_chunk + i].id), number, segment});
    }
  }

  Result<void> flush() {
    std::vector<uint32_t> sealed = numbers_.in_state(PackNumbers::State::kSealed);
    if (sealed.empty()) return {};
    std::vector<bool> wanted(sealed.back() + size_t{1});
    for (uint32_t number : sealed) wanted[number] = true;
    std::vector<ChunkRow> rows;
    table_.collect([&](uint32_t pack) { return pack < wanted.size() && wanted[pack]; }, rows);
    VARVE_TRY(runs_->add(std::move(rows), sealed));
    for (uint32_t number : sealed) numbers_.set_state(number, PackNumbers::State::kOnDisk);
    return {};
  }

  PackNumbers numbers_;
  ChunkTable table_;
  std::unique_ptr<IndexRuns> runs_;
  std::mutex settling_;
};

}  // namespace

Result<std::unique_ptr<ChunkIndex>> open_chunk_index(Storage& storage,
                                                     const std::string& directory) {
  return LayeredChunkIndex::open(storage, directory);
}

std::unique_ptr<ChunkIndex> make_memory_chunk_index() {
  return std::make_unique<LayeredChunkIndex>();
}

}  // namespace varve
