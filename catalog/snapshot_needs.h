// Which packs a snapshot needs, and whether it is whole: by the newest of its lists all of whose
// packs are here (docs/format.md, section 6).
//
// For one question, or many at a time: each list is read once, each pack looked for once. One
// thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "catalog/history.h"

namespace varve {

/// Whether the pack can be read: it lies here, or a remote holds it.
using PackIsHere = std::function<Result<bool>(const PackInfo&)>;

/// The pack's file is there; its bytes are not looked at.
PackIsHere lies_in(Storage& storage);

class SnapshotNeeds {
 public:
  SnapshotNeeds(const History& history, PackIsHere is_here)
      : history_(history), is_here_(std::move(is_here)) {}

  struct Packs {
    std::vector<PackInfo> packs;
    std::optional<FileHash> born;  // the list that it was born with, if they are by that
  };
  /// By the newest whole one of its lists; where none is whole, by the newest. An error if none can
  /// be read; kIo where the storage does not give one now.
  Result<Packs> of(const SnapshotInfo& snapshot);
  /// The packs of one of its lists are all here.
  Result<bool> is_whole(const SnapshotInfo& snapshot);

 private:
  Result<const PackList*> list(const FileHash& hash);
  Result<bool> are_here(const std::vector<PackInfo>& rows);
  Result<bool> is_list_whole(const FileHash& hash, int depth = 0);
  Result<std::vector<PackInfo>> packs_of(const FileHash& born);

  const History& history_;
  const PackIsHere is_here_;
  std::map<FileHash, Result<PackList>> lists_;
  std::map<FileHash, bool> whole_, packs_;
};

}  // namespace varve
