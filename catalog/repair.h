// Repairs what a check has found, as far as it can be without inventing anything. No byte of
// anybody's is deleted: what is damaged is moved aside.
//
//   temporaries, packs in writing that nothing refers to   removed
//   damaged lists, snapshots, records, keys                moved to replica/quarantine/ (they count
//                                                          as absent where they are)
//   packs of which nothing can be read                     the same, with `all` alone
//   a damaged chunk index                                  made anew from the packs
//   chunks that cannot be read                             forgotten by the index, so that they are
//                                                          stored anew when they are written again
//   a database that contradicts itself                     moved to local/refused-<time>, with
//                                                          `all` alone
//
// The caller holds the store's lock, and rebuilds the working copy afterwards by opening it.
#pragma once

#include <string>

#include "catalog/checker.h"
#include "dedup/base/clock.h"

namespace varve {

struct RepairOptions {
  bool all = false;
  std::string root;  // the store's directory, for local/'s own files
};

struct Repairs {
  uint64_t changes = 0;
  bool working_copy_refused = false;  // it is to be rebuilt
};
/// Marks in `report` what it has repaired. An Error where the storage failed; what was done stays.
Result<Repairs> repair_store(const CheckedStore& store, const RepairOptions& options,
                             CheckReport& report);

/// Moves local/'s database and open packs to local/refused-<time>, which it gives; older such
/// folders go. The database must be closed. `local` is the directory that local/ is.
Result<std::string> move_working_copy_aside(Storage& storage, const std::string& local,
                                            Clock& clock);

}  // namespace varve
