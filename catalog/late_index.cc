#include "catalog/late_index.h"

#include "dedup/base/log.h"

namespace varve {

Result<void> LateIndex::open() {
  index_ = VARVE_TRY(open_());
  is_ready_ = true;
  return {};
}

void LateIndex::open_or_do_without() {
  Result<std::unique_ptr<ChunkIndex>> opened = open_();
  if (opened.ok()) {
    index_ = std::move(opened).value();
    return;
  }
  failed_ = std::move(opened).error();
  log_error("the chunk index cannot be opened: " + failed_->message() +
            "; until the next mount, what needs it cannot be read");
  index_ = make_memory_chunk_index();
}

void LateIndex::make_ready(Executor& executor, std::function<void(ChunkIndex&)> complete) {
  {
    std::lock_guard lock(mutex_);
    is_promised_ = true;
    is_ready_ = false;
  }
  executor.run([this, complete = std::move(complete)] {
    if (!index_) open_or_do_without();
    if (!failed_) complete(*index_);
    std::lock_guard lock(mutex_);
    is_ready_.store(true, std::memory_order_release);
    became_ready_.notify_all();
  });
}

ChunkIndex& LateIndex::ready() {
  if (!is_ready_.load(std::memory_order_acquire)) {
    std::unique_lock lock(mutex_);
    if (!is_promised_) {
      open_or_do_without();
      is_ready_ = true;
    }
    became_ready_.wait(lock, [this] { return is_ready_.load(std::memory_order_acquire); });
  }
  return *index_;
}

Result<std::optional<ChunkPlace>> LateIndex::find(const ChunkId& id) {
  Result<std::optional<ChunkPlace>> found = ready().find(id);
  if (failed_ && found.ok() && !*found) return *failed_;
  return found;
}

void LateIndex::add(const PackId& pack, uint32_t segment, const std::vector<IndexedChunk>& chunks) {
  ready().add(pack, segment, chunks);
}

void LateIndex::add_pack(const PackId& pack, const PackIndex& index) {
  ready().add_pack(pack, index);
}

Result<void> LateIndex::add_packs(const std::vector<SealedPack>& packs) {
  return ready().add_packs(packs);
}

void LateIndex::remove_pack(const PackId& pack) {
  ready().remove_pack(pack);
}

std::vector<PackId> LateIndex::packs_on_disk() {
  return ready().packs_on_disk();
}

std::vector<PackId> LateIndex::take_lost_packs() {
  return ready().take_lost_packs();
}

Result<void> LateIndex::settle() {
  VARVE_TRY(ready().settle());
  return failed_ ? Result<void>(*failed_) : Result<void>();
}

ChunkIndex::Figures LateIndex::figures() {
  return ready().figures();
}

}  // namespace varve
