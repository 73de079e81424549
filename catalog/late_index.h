// A chunk index that is made ready beside a mount: names and attributes need none of it, and a
// great store's takes longer to read than all the rest.
//
// Whoever asks for anything before it is ready waits, so nobody sees an index that does not know
// yet which packs are here. Any thread; open, and make_ready, once.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

#include "dedup/base/executor.h"
#include "dedup/chunk_index.h"

namespace varve {

class LateIndex final : public ChunkIndex {
 public:
  using Open = std::function<Result<std::unique_ptr<ChunkIndex>>()>;
  explicit LateIndex(Open open) : open_(std::move(open)) {}

  /// Opens it here and now. Who asks for anything before make_ready has the index to himself, and
  /// does without it if it cannot be opened then.
  Result<void> open();
  /// Opens it on `executor` if it is not open, and has `complete` bring it up to date. If it cannot
  /// be opened, the log says so, what is added is in memory alone, and what is not found there is
  /// the opening's error. `executor` must come to its end before what `complete` needs.
  void make_ready(Executor& executor, std::function<void(ChunkIndex&)> complete);

  Result<std::optional<ChunkPlace>> find(const ChunkId& id) override;
  void add(const PackId& pack, uint32_t segment, const std::vector<IndexedChunk>& chunks) override;
  void add_pack(const PackId& pack, const PackIndex& index) override;
  Result<void> add_packs(const std::vector<SealedPack>& packs) override;
  void remove_pack(const PackId& pack) override;
  std::vector<PackId> packs_on_disk() override;
  std::vector<PackId> take_lost_packs() override;
  Result<void> settle() override;
  Figures figures() override;

 private:
  ChunkIndex& ready();
  void open_or_do_without();

  const Open open_;
  std::unique_ptr<ChunkIndex> index_;
  std::optional<Error> failed_;  // set before is_ready_
  bool is_promised_ = false;     // make_ready was called
  std::atomic<bool> is_ready_{false};
  std::mutex mutex_;
  std::condition_variable became_ready_;
};

}  // namespace varve
