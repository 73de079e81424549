// replica/guard: which replica a directory is, and which writer lives there (docs/format.md section
// 7).
//
// The guard is bound to its place, so that a copied or restored directory does not take itself for
// the original. One that is bound to none is a remote's: over a mount of another machine's disk a
// place looks different each time, so a remote is told from its copies by visits (replicator/).
// What a guard says is unsigned and binds that place only.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "dedup/base/id.h"
#include "dedup/base/random.h"
#include "dedup/base/result.h"
#include "dedup/base/storage.h"

namespace varve {

struct Guard {
  ReplicaId replica;
  WriterId writer;        // zeros: none yet
  bool anywhere = false;  // it is bound to no place: a remote's, or one that was promoted
  /// A promotion took effect and is not complete: `writer` is the one whose live trees the next
  /// one here takes over.
  bool promoting = false;
};

struct GuardFound {
  std::optional<Guard> guard;  // of this place
  std::optional<Guard> moved;  // there is one, but it was made for another place
};

/// What a copy of the directory does not have in common with it.
struct Place {
  std::string filesystem;  // f_fsid, hexadecimal
  uint64_t inode = 0;      // of replica/
  friend bool operator==(const Place&, const Place&) = default;
};
/// Of the store at `root`, which has its replica/.
Result<Place> place_of(const std::string& root);
using AskPlace = std::function<Result<Place>()>;

/// Reads the guard of the store in `storage`; `place` is asked where there is one. A guard that
/// makes no sense counts as absent, with a log line.
Result<GuardFound> read_guard(Storage& storage, const AskPlace& place, const StoreId& store);
/// Writes it for this place; makes replica/ if it is not there.
Result<void> write_guard(Storage& storage, const AskPlace& place, const StoreId& store,
                         const Guard& guard);
/// Writes one that is bound to no place: for a remote, and for what is reached over such a mount.
Result<void> write_unbound_guard(Storage& storage, const StoreId& store, const Guard& guard);

/// The same for the store at `root`, whose Storage is `storage`.
Result<GuardFound> read_guard(Storage& storage, const std::string& root, const StoreId& store);
Result<void> write_guard(Storage& storage, const std::string& root, const StoreId& store,
                         const Guard& guard);

}  // namespace varve
