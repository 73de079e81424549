// The files in snapshots that the kernel knows: read-only, in memory only as long as the kernel
// refers to them. Any thread.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "catalog/snapshot_reader.h"
#include "catalog/working_copy.h"
#include "fs/filesystem.h"
#include "fs/node_id.h"
#include "fs/prefetcher.h"

namespace varve {

class SnapshotNodes {
 public:
  explicit SnapshotNodes(WorkingCopy& working_copy) : working_copy_(working_copy) {}

  /// The top directory of the snapshot (of a set, or of the whole mount: the root's own files, and
  /// the sets beside them).
  Result<Entry> enter(const SnapshotInfo& snapshot, Ino parent);

  Result<Entry> lookup(Ino directory, std::string_view name);
  void forget(Ino node, uint64_t count);
  Result<Entry> attributes(Ino node);
  Result<std::string> read_link(Ino node);
  Result<Xattrs> xattrs(Ino node);

  /// Where a reader of a directory is.
  struct Position {
    std::mutex mutex;
    uint64_t cookie = 2;   // entries behind this one ...
    std::string after;     // ... which has this name
    size_t sets_done = 0;  // of the whole mount's sets
  };
  Result<void> list(Ino directory, Position& position, uint64_t cookie, bool attributes,
                    const std::function<bool(const DirectoryEntry&)>& visit);

  /// An open file.
  class File;
  Result<std::shared_ptr<File>> open(Ino node);
  Result<void> read(File& file, uint64_t offset, size_t size,
                    const std::function<void(ByteView)>& reply);
  Result<uint64_t> seek(File& file, uint64_t offset, bool data);

  /// "SET/SNAPSHOT/path" for people, as far as the kernel still refers to the directories above.
  std::string path(Ino node) const;

  size_t size() const;

 private:
  struct View;
  struct Node;
  Result<std::shared_ptr<View>> view(const SnapshotInfo& snapshot, const SetId& set);
  Result<std::shared_ptr<const Node>> find(Ino node) const;
  Result<Entry> refer(const std::shared_ptr<View>& view, Ino parent, TreeEntry entry);
  Result<Entry> enter_set(const View& whole, size_t index, Ino parent);
  Result<bool> list_one(const Node& node, Position& position, bool attributes, TreeEntry& child,
                        const std::function<bool(const DirectoryEntry&)>& visit);
  Result<void> list_sets(const Node& node, Position& position,
                         const std::function<bool(const DirectoryEntry&)>& visit);
  Result<void> rewind(const Node& node, Position& position, uint64_t cookie);

  WorkingCopy& working_copy_;
  mutable std::mutex mutex_;
  std::unordered_map<Ino, std::shared_ptr<Node>> nodes_;
  std::unordered_map<uint32_t, std::weak_ptr<View>> views_;
};

}  // namespace varve
