#include "catalog/index_batch.h"

#include "dedup/base/log.h"

namespace varve {
void IndexBatch::add(const PackId& pack, PackIndex content) {
  chunks_ += content.chunks.size();
  packs_.push_back({pack, std::move(content)});
  if (chunks_ >= chunks_at_once_) write_run();
}

void IndexBatch::write_run() {
  const Result<void> written = index_.add_packs(packs_);
  if (!written.ok()) {
    log_warning("the index cannot be written: " + written.error().message());
    return finish();
  }
  packs_.clear();
  chunks_ = 0;
}

void IndexBatch::finish() {
  for (const ChunkIndex::SealedPack& one : packs_) index_.add_pack(one.pack, one.index);
  packs_.clear();
  chunks_ = 0;
}

}  // namespace varve
