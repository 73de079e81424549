// A snapshot as files: what browsing and restoring read. Any thread; copies share their caches.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "catalog/snapshot_body.h"
#include "catalog/tree.h"

namespace varve {

class SnapshotReader {
 public:
  SnapshotReader(Fetch& fetch, SnapshotTree tree);

  /// The top directory: number 1.
  TreeEntry top() const;
  /// An entry of `directory` (a directory's entry); links are resolved: `node` is filled in,
  /// `linked` says so. kNotFound if there is none.
  Result<TreeEntry> lookup(const TreeEntry& directory, std::string_view name);
  /// Entries behind `after` ("": from the start) in order of names, until `visit` gives false.
  /// `resolve_links` false leaves links' nodes empty.
  Result<void> list(const TreeEntry& directory, std::string_view after, bool resolve_links,
                    const std::function<Result<bool>(TreeEntry&)>& visit);
  /// A file's extents that overlap [from, to), in order, uncut; the first `count_max` of them.
  Result<std::vector<HintedExtent>> extents(const TreeEntry& file, uint64_t from, uint64_t to,
                                            size_t count_max = SIZE_MAX);
  /// Reads file bytes; holes are zeros. Fewer than out.size() only at the end of the file. Reads
  /// that follow one another decode ahead.
  Result<size_t> read(const TreeEntry& file, uint64_t offset, ByteSpan out);

 private:
  struct Ahead;
  Result<std::vector<HintedExtent>> extents_of_tree(const TreeRef& tree, uint64_t from, uint64_t to,
                                                    size_t count_max);
  static Fetch::Wish wish_for(const HintedExtent& extent);
  Result<void> read_extent(const HintedExtent& extent, uint64_t offset, ByteSpan out);
  void read_ahead(const TreeEntry& file, uint64_t from, uint64_t to);

  Fetch* fetch_;
  TreeReader reader_;
  std::shared_ptr<const SnapshotTree> tree_;
  std::shared_ptr<Ahead> ahead_;
};

}  // namespace varve
