// How often the kernel knows each live file, and which of those have no name any more. Any thread;
// a leaf lock.
#pragma once

#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "catalog/inode.h"

namespace varve {

class LookupCounts {
 public:
  void add(Ino ino);
  /// True if nobody knows the file any more and it is an orphan: its rows may go, by the caller.
  bool forget(Ino ino, uint64_t count);
  /// The file lost its last name. True if nobody knows it: its rows may go at once, by the caller.
  bool orphaned(Ino ino);
  /// The file has a name again (linkat of an O_TMPFILE).
  void named(Ino ino);
  /// Files of the set that the kernel knows.
  std::vector<Ino> known(uint32_t set) const;
  bool knows(Ino ino) const;
  size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<Ino, uint64_t> counts_;
  std::unordered_set<Ino> orphans_;
};

}  // namespace varve
