// A whole store on a simulated disk, without FUSE: what tests of trees and snapshots live in.
#pragma once

#include <gtest/gtest.h>

#include "catalog/committer.h"
#include "catalog/history.h"
#include "catalog/live_tree.h"
#include "catalog/snapshot_reader.h"
#include "catalog/snapshotter.h"
#include "catalog/unfold.h"
#include "dedup/fetch.h"
#include "tests/support/simulated_kv.h"
#include "tests/support/simulated_storage.h"
#include "tests/support/simulation.h"

namespace varve {

template <typename T>
T must(Result<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << "unexpected error: " << result.error().message() << " (code "
                  << static_cast<int>(result.error().code()) << ")";
    std::abort();
  }
  return std::move(result).value();
}
inline void must(Result<void> result) {
  if (result.ok()) return;
  ADD_FAILURE() << "unexpected error: " << result.error().message();
  std::abort();
}

/// Keys, packs, index and the pipeline.
struct PackedWorld {
  SimulatedStorage storage;
  SeededRandom random{1};
  SimulatedClock clock;
  Metrics metrics;
  NewStore store = make_store();
  Hasher hasher{store.keyring};
  WriterId writer = random.id<WriterId>();
  std::unique_ptr<Executor> threads = make_thread_pool("test", 2, 64);
  PackStore packs{storage, store.keyring, random, writer, metrics};
  std::unique_ptr<ChunkIndex> index = make_memory_chunk_index();
  std::unique_ptr<Ingest> ingest =
      std::make_unique<Ingest>(packs, *index, hasher, *threads, metrics, Ingest::Options());
  Fetch fetch{packs, *index, ingest.get(), threads.get(), metrics, 64u << 20};

  NewStore make_store() {
    std::vector<AccessSecret> secrets;
    secrets.push_back({AccessSecret::Kind::kKeyFile, Secret::copy_of(Bytes(32, 7))});
    ChunkerSizes sizes = must(ChunkerSizes::of_average(32768));
    NewStore made = must(create_store(storage, sizes, secrets, random, "2026-11-22T05:30:00Z"));
    must(storage.make_directories("local/open"));
    return made;
  }
  /// How many chunks and objects are stored.
  uint64_t stored() {
    must(ingest->flush());
    ChunkIndex::Figures figures = index->figures();
    return figures.chunks_in_memory + figures.chunks_in_runs;
  }
  ChunkId put_chunk(std::string_view bytes) {
    auto stream = ingest->open_stream(SegmentType::kChunks, Ingest::Access::kSequential);
    return must(ingest->put(*stream, as_bytes(bytes))).id;
  }
};

/// And the working copy over it.
struct CatalogWorld : PackedWorld {
  explicit CatalogWorld(std::unique_ptr<Kv> base_kv = std::make_unique<SimulatedKv>())
      : base(std::move(base_kv)) {
    history->become(writer);
  }

  std::unique_ptr<Kv> base;
  StagedKv kv{*base};
  TreeUnfolder unfolder{fetch};
  std::unique_ptr<LiveTree> tree = must(LiveTree::open(kv, &unfolder, clock, random));
  Committer committer{kv, *tree, *ingest};
  std::unique_ptr<History> history = must(History::open(storage, store.keyring, clock, random));
  Snapshotter snapshotter{kv, *tree, committer, *ingest, *index, packs, fetch, *history, storage};

  LiveEntry make(Ino directory, std::string_view name, FileType type = FileType::kFile) {
    NewFile file;
    file.type = type;
    file.permissions = type == FileType::kDirectory ? 0755 : 0644;
    file.uid = file.gid = 1000;
    if (type == FileType::kSymlink) file.target = "to/" + std::string(name);
    clock.advance(1000);
    return must(tree->create(directory, name, file));
  }
  Ino make_directory(Ino directory, std::string_view name) {
    return make(directory, name, FileType::kDirectory).ino;
  }
  /// A piece of a file at that offset.
  void write(Ino ino, uint64_t offset, std::string_view bytes) {
    LiveTree::ContentChange change;
    change.from = offset;
    change.to = offset + bytes.size();
    change.extents = {{offset, bytes.size(), put_chunk(bytes), 0}};
    clock.advance(1000);
    change.mtime = change.ctime = clock.now();
    must(tree->change_content(ino, change));
  }
  Result<SnapshotInfo> try_take(const Snapshotter::Request& request) {
    clock.advance(1'000'000'000);
    return snapshotter.take(request, [](const Snapshotter::Moment& moment) { return moment(); });
  }
  SnapshotInfo take(Ino set_top, const std::string& name) {
    return must(try_take({SnapshotClass::kSet, set_of(set_top), name}));
  }
  SnapshotReader reader(const SnapshotInfo& info, size_t tree_number = 0) {
    SnapshotBody body = must(history->body(info.hash));
    return SnapshotReader(fetch, body.trees.at(tree_number));
  }
};

}  // namespace varve
