// The entries of an exported archive in their order: each directory before what is in it, names
// ascending, one tree after the other. Sockets, which no archive has, are left out.
//
// One thread at a time; what it walks is shared and never changes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "catalog/snapshot_reader.h"

namespace varve {

/// A tree in the archive: a set's, or the root's own files.
struct TarRoot {
  std::string prefix;  // empty, or "SET/"
  SnapshotReader reader;
};

struct TarItem {
  size_t root = 0;
  std::string path;  // in the tree; empty: its top
  TreeEntry entry;
};

class TarWalk {
 public:
  using Roots = std::shared_ptr<const std::vector<TarRoot>>;
  /// From the first entry.
  explicit TarWalk(Roots roots) : roots_(std::move(roots)) {}
  /// From the entry behind that one.
  static Result<TarWalk> behind(Roots roots, size_t root, const std::string& path);

  /// False behind the last one.
  Result<bool> next(TarItem& item);

 private:
  struct Frame {
    TreeEntry directory;
    std::string path;   // empty, or with "/" at its end
    std::string after;  // the name that came last
    std::vector<TreeEntry> batch;
    size_t at = 0;
    bool complete = false;  // nothing is behind the batch
  };
  Result<void> fill(Frame& frame);
  SnapshotReader reader() const { return (*roots_)[root_].reader; }

  Roots roots_;
  size_t root_ = 0;
  bool begun_ = false;  // the top of the tree was given
  std::vector<Frame> frames_;
};

}  // namespace varve
