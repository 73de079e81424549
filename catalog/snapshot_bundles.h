// Packs that were sealed: their indexes as bundles in a catalog pack.
#pragma once

#include <vector>

#include "catalog/staged_kv.h"
#include "dedup/ingest.h"

namespace varve {

/// What writing bundles did.
struct WrittenBundles {
  std::vector<PackId> packs;     // that are bundled now, or can never be: their u rows may go
  std::vector<ChunkId> objects;  // the bundles
};

/// Writes the index of every pack that has a u row as an object of a catalog pack. `sealed` are
/// indexes that are at hand already.
Result<WrittenBundles> write_bundles(const StagedKv& kv, Ingest& ingest, PackStore& packs,
                                     Storage& storage,
                                     const std::vector<PackStore::Recovered>& sealed);

}  // namespace varve
