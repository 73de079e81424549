#include "catalog/index_batch.h"

#include "dedup/base/log.h"

namespace varve {

void IndexBatch::add(const PackId& pack, PackIndex content) {
  chunks_ += content.chunks.size();
  packs_.push_back({pack, std::move(content)});
  if (chunks_ >= chunks_at_once_) begin_run();
}

void IndexBatch::begin_run() {
  await_run();
  in_run_.swap(packs_);
  chunks_ = 0;
  run_ = std::async(std::launch::async, [this] { return index_.add_packs(in_run_); });
}

void IndexBatch::await_run() {
  if (!run_.valid()) return;
  const Result<void> written = run_.get();
  if (!written.ok()) {
    log_warning("the index cannot be written: " + written.error().message());
    for (const ChunkIndex::SealedPack& one : in_run_) index_.add_pack(one.pack, one.index);
  }
  in_run_.clear();
}

void IndexBatch::finish() {
  await_run();
  for (const ChunkIndex::SealedPack& one : packs_) index_.add_pack(one.pack, one.index);
  packs_.clear();
  chunks_ = 0;
}

}  // namespace varve
