// What tests of Ingest and Fetch share: a pipeline over a simulated disk.
#pragma once

#include "dedup/fetch.h"
#include "dedup/ingest.h"
#include "tests/dedup/pack_world.h"

namespace varve {

struct IngestWorld : PackWorld {
  std::unique_ptr<ChunkIndex> index = make_memory_chunk_index();
  std::unique_ptr<Executor> executor = std::make_unique<InlineExecutor>();
  std::unique_ptr<Ingest> ingest;
  std::unique_ptr<Fetch> fetch;

  explicit IngestWorld(Ingest::Options options = {}, size_t threads = 0) {
    if (threads > 0) executor = make_thread_pool("test", threads, 16);
    ingest = std::make_unique<Ingest>(*packs, *index, hasher, *executor, metrics, options);
    fetch =
        std::make_unique<Fetch>(*packs, *index, ingest.get(), executor.get(), metrics, 16 * kMiB);
  }

  std::unique_ptr<Ingest::Stream> open_stream() {
    return ingest->open_stream(SegmentType::kChunks, Ingest::Access::kSequential);
  }
  bool fetches(const ChunkId& id, ByteView bytes) {
    auto chunk = fetch->chunk(id);
    return chunk.ok() &&
           std::equal(chunk->bytes.begin(), chunk->bytes.end(), bytes.begin(), bytes.end());
  }
};

/// The canonical coding of an object: length, canonical part, hints.
inline Bytes object_of(ByteView canonical, ByteView hints) {
  Encoder out;
  out.u32(static_cast<uint32_t>(canonical.size())).raw(canonical).raw(hints);
  return out.take();
}

}  // namespace varve
