// Where the working state of a store lies: in the store, or in a directory on another disk that
// STORE/local, a symbolic link, leads to.
//
// A directory that is led to says in `belongs-to` which store's and replica's working state it is,
// so that a link which somebody else made, or a copy of one, leads to nobody's database. Paths of
// this machine; any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "dedup/base/id.h"
#include "dedup/base/storage.h"

namespace varve {

/// The directory that STORE/local leads to; nullopt if it is no link. kNotFound if what it leads to
/// is not there, kForeign if that is not the working state of this store and replica.
Result<std::optional<std::string>> linked_local(const std::string& root);

/// Makes `directory` (absolute; made if its parent is there) the place of the working state of the
/// store at `root`, and STORE/local lead to it. It must be empty, or serve as this already:
/// kInvalid or kForeign otherwise.
Result<void> link_local(const std::string& root, const std::string& directory, const StoreId& store,
                        const ReplicaId& replica);

/// kUnsupported, naming the filesystem, where no database may lie: on one of the network, or behind
/// FUSE.
Result<void> check_holds_database(const std::string& directory);

/// The store at `root` with its local/, wherever that is, for who looks after it; without one where
/// that is on another machine.
Result<std::unique_ptr<Storage>> open_store_storage(const std::string& root);

}  // namespace varve
