// What the parts of PackStore share; included by them alone.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "dedup/lru.h"
#include "dedup/pack_reader.h"
#include "dedup/pack_store.h"
#include "dedup/unfinished_pack.h"

namespace varve {

struct PackStore::State {
  State(Storage& storage_in, const Keyring& keyring_in, Random& random_in, WriterId writer_in,
        Metrics& metrics);

  /// The header of a new pack of this writer.
  PackHeader new_header(PackClass pack_class);
  /// A pack came to its end under its name: `reader`, if there is one, serves it from now on.
  void sealed_now(const PackStore::Recovered& recovered, std::shared_ptr<PackReader> reader);
  /// Whether the pack is known as sealed, now that the finder was asked.
  Result<bool> knows_sealed(const PackId& pack);
  /// The reader of a pack in writing, or of a sealed one. kNotFound if the pack is not known.
  Result<std::shared_ptr<PackReader>> reader(const PackId& pack);
  /// The pack found no space for its end: it is read where it is.
  Result<void> wait_for_space(std::shared_ptr<UnfinishedPack> pack);
  /// A sealed pack's index as `read` gives it.
  Result<PackIndex> index_of(const PackId& pack,
                             const std::function<Result<PackIndex>(const PackReader&)>& read);
  using Segment = std::shared_ptr<const DecodedSegment>;
  /// From the file here; kNotFound for a stale hint alone.
  Result<Segment> read_here(const PackId& pack, uint32_t segment, Naming naming);
  /// `reason`: why it cannot be had here.
  Result<Segment> read_elsewhere(const PackInfo& info, uint32_t segment, Naming naming,
                                 const Error& reason);
  Result<std::shared_ptr<PackReader>> reader_at(const Elsewhere::Place& place,
                                                const PackInfo& info);
  /// Notes what is wrong with a sealed pack here, and that it is wanted.
  void miss(const PackInfo& info, const Error& reason);
  /// Says what is wrong with a pack, to the log at the first time; the error to give.
  Error report(const PackId& pack, uint32_t segment, const Error& error);

  Storage& storage;
  const Keyring& keyring;
  Random& random;
  PackStore::Finder finder;        // set before anything is read
  Elsewhere* elsewhere = nullptr;  // so are these
  PackStore::Wanted wanted;
  const WriterId writer;
  const Hasher hasher;
  PackFolders folders;
  Metric& packs_sealed;
  Metric& pack_bytes;
  Metric& segments_decoded;
  Metric& segments_damaged;
  Metric& segments_elsewhere;
  Metric& packs_elsewhere;
  Metric& failures_elsewhere;

  std::mutex mutex;  // of all that follows; never held over a call of Storage
  std::unordered_map<PackId, PackInfo, IdHash> sealed;
  std::unordered_map<PackId, std::shared_ptr<PackReader>, IdHash> writing;
  LruMap<PackId, std::shared_ptr<PackReader>, IdHash> readers;  // bounds open files
  LruMap<PackId, std::shared_ptr<const SegmentTable>, IdHash>
      tables;  // outlive the files: cheap to keep, dear to read
  std::unordered_map<PackId, std::set<uint32_t>, IdHash> damaged;  // segments reported
  std::map<PackId, std::shared_ptr<UnfinishedPack>> waiting;       // recovered, without space
  std::set<PackId> missing;                                        // asked for while not there
  std::unordered_set<PackId, IdHash> held, evicted;
  std::set<PackId> lost;              // the same, but that the index has them still
  std::atomic<bool> any_lost{false};  // so that nobody takes the lock to find out that none is
  /// Opened elsewhere, by place and pack. They keep the place's files open.
  struct FarReader {
    std::shared_ptr<Storage> files;
    std::shared_ptr<PackReader> reader;
  };
  LruMap<std::string, FarReader, std::hash<std::string>> far_readers;
  bool far_used = false;            // since the last rest
  std::set<PackId> told_elsewhere;  // in the log, until they are mended
};

/// Any failure of a whole pack counts under this number.
inline constexpr uint32_t kNoSegment = UINT32_MAX;

}  // namespace varve
