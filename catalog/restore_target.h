// The directory that a restore writes below: names are looked up from open directories without
// following a symbolic link, so that nothing outside it is touched whatever lies there, and whoever
// changes it meanwhile. One thread.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <vector>

#include "catalog/tree_format.h"
#include "dedup/base/result.h"
#include "dedup/base/unique_fd.h"

namespace varve {

/// A directory that is open, with the calls that a restore needs on the names in it.
class RestoreDirectory {
 public:
  explicit RestoreDirectory(UniqueFd fd) : fd_(std::move(fd)) {}

  /// Makes `path` and what is missing above it, and opens it. The path is the user's own: links in
  /// it are followed.
  static Result<RestoreDirectory> open_root(const std::string& path);

  /// The directory of that name, made if it is not there. What is there and is no directory goes.
  Result<RestoreDirectory> enter(const std::string& name) const;
  /// The same, of a directory that is there.
  Result<RestoreDirectory> open(const std::string& name) const;

  std::optional<struct stat> status(const std::string& name) const;
  Result<UniqueFd> open_file(const std::string& name) const;
  /// A new file for reading and writing; what had the name before goes.
  Result<UniqueFd> create_file(const std::string& name) const;
  /// A symbolic link, fifo, socket or device; what had the name before goes.
  Result<void> create_node(const std::string& name, const TreeEntry& entry) const;
  Result<std::string> read_link(const std::string& name) const;
  /// Another name for a file; what had the name before goes.
  Result<void> link(const RestoreDirectory& from, const std::string& from_name,
                    const std::string& name) const;
  /// Replaces what `to` was. A directory in the way goes if it is empty.
  Result<void> rename(const std::string& from, const std::string& to) const;
  void remove(const std::string& name) const;

  /// Owner, xattrs, mode and times of a name in this directory, or (`name` empty) of the directory
  /// itself. Symbolic links are not followed.
  Result<void> set_attributes(const std::string& name, const TreeEntry& entry) const;
  /// Everything in the filesystem is on its disk.
  Result<void> sync_filesystem() const;

 private:
  Result<void> set_xattrs(const std::string& path, const Xattrs& wanted) const;

  UniqueFd fd_;
};

}  // namespace varve
