// A pack in local/open/: grows by sealed segments, then gets its end and its name.
//
// One thread at a time, but for sync. Errors: after kNoSpace the same call may be made again, and
// goes on with the very bytes that it could not write; any other failure of a write or sync is
// final, and every later call gives it.
#pragma once

#include <mutex>
#include <optional>
#include <set>

#include "dedup/base/checksum.h"
#include "dedup/base/random.h"
#include "dedup/base/storage.h"
#include "dedup/pack_keys.h"
#include "dedup/pack_store.h"

namespace varve {

/// Makes the folders that packs lie in, each durable before a name in it is.
class PackFolders {
 public:
  explicit PackFolders(Storage& storage) : storage_(storage) {}
  /// `folder` below `parent`, e.g. "ab" below "packs".
  Result<void> make(const std::string& parent, const std::string& folder);

 private:
  Storage& storage_;
  std::mutex mutex_;
  std::set<std::string> durable_;
};

class UnfinishedPack {
 public:
  /// `file` holds the header, durable, and nothing else that counts.
  UnfinishedPack(Storage& storage, PackFolders& folders, PackKeys keys,
                 std::shared_ptr<StorageFile> file);

  const PackKeys& keys() const { return keys_; }
  const std::shared_ptr<StorageFile>& file() const { return file_; }
  uint32_t segment_count() const { return static_cast<uint32_t>(index_.segments.size()); }
  size_t chunk_count() const { return index_.chunks.size(); }
  const PackIndex& index() const { return index_; }
  uint64_t length() const { return length_; }

  /// The error that made this object useless, if one did.
  Result<void> check() const;

  /// Writes the segment after the last one.
  Result<void> append(const IndexedSegment& segment, const std::vector<IndexedChunk>& chunks,
                      ByteView sealed);
  /// The same for bytes that are in the file already (recovery).
  void adopt(IndexedSegment segment, const std::vector<IndexedChunk>& chunks, ByteView sealed);

  /// For recovery, when every segment was adopted: true if an end that finish() wrote follows them,
  /// whole. It is kept, durable from now on, and finish() only gives the name: a cut that left the
  /// file under both its names has left one file, which must stay what its hash says.
  Result<bool> adopt_end();

  /// Durable up to the returned length. May run beside append.
  Result<uint64_t> sync();

  /// Filler, index, trailer; then synced and renamed to its hash, the directories synced.
  Result<PackStore::Recovered> finish(bool full, Random& random);

 private:
  Result<void> write(uint64_t offset, ByteView bytes);
  void make_end(bool full, Random& random);
  Result<void> write_end();
  Result<void> publish();
  Error latch(Error error);

  Storage& storage_;
  PackFolders& folders_;
  PackKeys keys_;
  Sha256 hash_;
  PackIndex index_;
  Buffer end_;
  PackInfo info_;
  bool ended_ = false, synced_ = false, renamed_ = false;
  bool adopted_end_ = false;
  bool reopen_ = false;  // the descriptor is broken by kNoSpace

  mutable std::mutex mutex_;  // of the following, for sync beside append
  std::shared_ptr<StorageFile> file_;
  uint64_t length_ = kPackHeaderBytes;
  std::optional<Error> first_error_;
};

}  // namespace varve
