// An immutable sorted run of the chunk index: rows by key, in buckets that are checked when they
// are read; the table of the buckets in memory, so that a chunk that is not here costs no read and
// one that is here costs one.
//
//   header page | rows | packs' ids | table of buckets
//
// Rows of one key stand newest first. Any thread may find; the file outlives its name. A run is
// private to the program and its version.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dedup/base/storage.h"
#include "dedup/bucket_table.h"
#include "dedup/chunk_table.h"

namespace varve {

/// Which flushes of memory a run holds: [first, last]. A merged run covers those that it was made
/// of.
struct RunRange {
  uint64_t first = 0, last = 0;
  bool covers(const RunRange& other) const { return first <= other.first && other.last <= last; }
  friend bool operator==(const RunRange&, const RunRange&) = default;
};

class IndexRun {
 public:
  static constexpr size_t kHeaderPageBytes = 4096;
  static constexpr size_t kRowBytes = 24;

  /// kCorrupt if it is not a whole run; buckets are checked later, one by one.
  static Result<std::shared_ptr<IndexRun>> open(Storage& storage, const std::string& path);

  /// Whether the chunk may be here: no read. What is asked of many runs is prefetched from all of
  /// them first.
  void prefetch(const ChunkKey& key) const { table_.prefetch(key); }
  bool may_hold(const ChunkKey& key) const { return table_.may_hold(key); }
  /// Calls `visit` with the rows of the key, newest first, until it gives true. Packs are numbered
  /// from 0, as in packs(). kCorrupt for a damaged bucket.
  template <typename Visit>
  Result<void> find(const ChunkKey& key, Visit visit) const {
    BucketRows rows;
    VARVE_TRY(rows.read(*this, table_.bucket_of(key)));
    for (size_t i = rows.lower_bound(key); i < rows.size(); i++) {
      const ChunkRow row = rows.at(i);
      if (row.key != key) break;
      if (row.pack >= packs_.size()) return damaged("a row names no pack");
      if (visit(row)) break;
    }
    return {};
  }
  /// The rows of `count` buckets from `bucket` on, for merging; `rows` is written over. kCorrupt
  /// unless they ascend.
  Result<void> read_buckets(uint64_t bucket, uint64_t count, std::vector<ChunkRow>& rows) const;

  const std::string& path() const { return path_; }
  const RunRange& range() const { return range_; }
  const std::vector<PackId>& packs() const { return packs_; }
  uint64_t rows() const { return rows_; }
  uint64_t buckets() const { return table_.buckets(); }
  uint64_t memory_bytes() const { return table_.memory_bytes() + packs_.size() * sizeof(PackId); }

 private:
  friend class IndexRunWriter;

  /// One bucket's rows as they are stored.
  class BucketRows {
   public:
    Result<void> read(const IndexRun& run, uint64_t bucket);
    size_t size() const { return bytes_.size() / kRowBytes; }
    ChunkRow at(size_t index) const;
    size_t lower_bound(const ChunkKey& key) const;

   private:
    std::array<uint8_t, 2 * BucketTable::kRowsPerBucket * kRowBytes> usual_;
    Bytes great_;  // where there is more
    ByteView bytes_;
  };

  explicit IndexRun(uint64_t buckets) : table_(buckets) {}
  Result<void> check_bucket(uint64_t bucket, ByteView rows) const;
  Result<void> load_bucket(uint64_t bucket, ByteView stored, ChunkRow* out) const;
  Error damaged(std::string_view what) const;

  std::string path_;
  std::unique_ptr<StorageFile> file_;
  RunRange range_;
  uint64_t rows_ = 0;
  std::vector<PackId> packs_;
  BucketTable table_;
};

/// Writes a run under a temporary name; it has its name, and is durable, when finish returns.
class IndexRunWriter {
 public:
  /// `rows_max`: at least as many as will be added.
  static Result<std::unique_ptr<IndexRunWriter>> create(Storage& storage,
                                                        const std::string& directory,
                                                        RunRange range, std::vector<PackId> packs,
                                                        uint64_t rows_max);
  ~IndexRunWriter();

  /// In ascending order of keys.
  Result<void> add(const ChunkRow& row);
  Result<std::shared_ptr<IndexRun>> finish();

 private:
  IndexRunWriter(Storage& storage, std::string directory, std::shared_ptr<IndexRun> run);
  void end_buckets(uint64_t next);
  Result<void> write_out();
  Result<void> write_tail_and_header();

  Storage& storage_;
  const std::string directory_, temporary_path_;
  std::shared_ptr<IndexRun> run_;
  Bytes buffer_;
  uint64_t written_ = IndexRun::kHeaderPageBytes;
  uint64_t bucket_ = 0;        // the one that rows are added to
  uint64_t bucket_first_ = 0;  // its first row
  bool finished_ = false;
};

}  // namespace varve
