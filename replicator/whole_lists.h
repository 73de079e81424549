// By which list each snapshot is whole at some place, found for many snapshots at the price of
// reading each list once. Refers to the history, which must not change meanwhile. One thread.
#pragma once

#include <map>
#include <set>

#include "replicator/carried_history.h"

namespace varve {

class WholeLists {
 public:
  WholeLists(const CarriedHistory& history, CarriedHistory::IsThere is_there)
      : history_(history), is_there_(std::move(is_there)) {}

  /// The newest of its lists that is there with all the packs that the snapshot needs by it; none:
  /// it is not whole there.
  std::optional<FileHash> newest_whole_list(const CarriedSnapshot& snapshot);
  /// The list is there with its bases, and every pack that they name.
  bool is_whole(const FileHash& list);

 private:
  const CarriedHistory& history_;
  const CarriedHistory::IsThere is_there_;
  std::set<FileHash> met_;
  std::map<FileHash, bool> whole_;  // with its bases
};

}  // namespace varve
