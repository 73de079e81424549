// What tests of the chunk index share: ids, packs, and an index on a simulated disk.
#pragma once

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "dedup/chunk_index.h"
#include "tests/support/simulated_storage.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

constexpr const char* kDirectory = "local/index";

inline ChunkId chunk_id(std::mt19937_64& random) {
  ChunkId id;
  for (uint8_t& byte : id.bytes) byte = static_cast<uint8_t>(random());
  return id;
}

inline PackId pack_id(uint32_t number) {
  PackId id;
  for (size_t i = 0; i < 4; i++) id.bytes[i] = static_cast<uint8_t>(number >> (8 * i));
  id.bytes[15] = 1;
  return id;
}

/// A pack of segments of eight chunks.
inline PackIndex pack_of(const std::vector<ChunkId>& ids) {
  PackIndex index;
  for (const ChunkId& id : ids) {
    if (index.chunks.size() % 8 == 0) {
      IndexedSegment segment;
      segment.first_chunk = static_cast<uint32_t>(index.chunks.size());
      index.segments.push_back(segment);
    }
    index.segments.back().chunk_count++;
    index.chunks.push_back({id, 100});
  }
  return index;
}

inline std::vector<ChunkId> many_ids(std::mt19937_64& random, size_t count) {
  std::vector<ChunkId> ids;
  for (size_t i = 0; i < count; i++) ids.push_back(chunk_id(random));
  return ids;
}

class ChunkIndexTest : public testing::Test {
 protected:
  void open() {
    index_.reset();
    index_ = open_chunk_index(storage_, kDirectory).value();
  }
  std::optional<ChunkPlace> find(const ChunkId& id) { return index_->find(id).value(); }
  std::vector<std::string> runs() {
    std::vector<std::string> paths;
    for (const std::string& path : storage_.files()) {
      if (path.find("/run-") != std::string::npos) paths.push_back(path);
    }
    return paths;
  }
  std::set<PackId> on_disk() {
    auto packs = index_->packs_on_disk();
    return {packs.begin(), packs.end()};
  }

  std::mt19937_64 random_{7};
  SimulatedStorage storage_;
  std::unique_ptr<ChunkIndex> index_;
};

}  // namespace
}  // namespace varve
