// An immutable sorted run of the chunk index: rows by key, in pages that are checked when they are
// read; a filter and the pages' first keys in memory, so that a chunk that is not here costs no
// read and one that is here costs one.
//
//   header page | pages of rows | packs' ids | first keys of pages | filter
//
// Rows of one key stand newest first. Any thread may find; the file outlives its name. A run is
// private to the program and its version.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dedup/base/storage.h"
#include "dedup/chunk_filter.h"
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
  static constexpr size_t kPageBytes = 4096;
  static constexpr size_t kRowsPerPage = 170;

  /// kCorrupt if it is not a whole run; pages are checked later, one by one.
  static Result<std::shared_ptr<IndexRun>> open(Storage& storage, const std::string& path);

  /// Calls `visit` with the rows of the key, newest first, until it gives true. Packs are numbered
  /// from 0, as in packs(). kCorrupt for a damaged page.
  Result<void> find(const ChunkKey& key, const std::function<bool(const ChunkRow&)>& visit) const;
  /// The rows of `count` pages from `page` on, for merging.
  Result<std::vector<ChunkRow>> read_pages(uint64_t page, uint64_t count) const;

  const std::string& path() const { return path_; }
  const RunRange& range() const { return range_; }
  const std::vector<PackId>& packs() const { return packs_; }
  uint64_t rows() const { return rows_; }
  uint64_t pages() const { return first_keys_.size(); }
  uint64_t memory_bytes() const;

 private:
  friend class IndexRunWriter;
  IndexRun() : filter_(0) {}
  Result<void> read_header(uint64_t length);
  Result<void> check_page(uint64_t page, ByteView bytes) const;
  size_t rows_of_page(uint64_t page) const;

  std::string path_;
  std::unique_ptr<StorageFile> file_;
  RunRange range_;
  uint64_t rows_ = 0;
  std::vector<PackId> packs_;
  std::vector<uint64_t> first_keys_;  // their upper halves
  ChunkFilter filter_;
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
  IndexRunWriter(Storage& storage, std::string directory, std::shared_ptr<IndexRun> run,
                 uint64_t rows_max);
  Result<void> end_page();
  Result<void> write_out();
  Result<void> write_tail_and_header();

  Storage& storage_;
  const std::string directory_, temporary_path_;
  std::shared_ptr<IndexRun> run_;
  std::vector<ChunkRow> page_;
  Bytes buffer_;
  uint64_t written_ = IndexRun::kPageBytes;
  bool finished_ = false;
};

}  // namespace varve
