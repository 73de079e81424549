// The Kv on LMDB: the only file that knows LMDB.
//
// Default sync, no WRITEMAP. A directory may be opened once in a process, never on a remote
// filesystem, and never before a fork. Opening a view costs a fraction of a microsecond.
//
// A page that the disk does not give is kIo, of views and commits alike. A page or row that is
// damaged is kCorrupt: every row bears a sum of its key and value, and the pages are read by
// lmdb_pages.h, so that also what is missing is told. LMDB itself writes: what it does with pages
// that nobody looked at before may end the process.
//
// Errors of commit: kNoSpace (nothing changed; it may be tried again when there is space); kBusy
// where the map had to grow and views stayed open (may be tried again); any other is final: every
// later commit answers it.
#pragma once

#include "dedup/base/kv.h"

namespace varve {

struct LmdbOptions {
  /// Address space, not memory: the map grows when it is full, which has to wait for views to
  /// close. 0: as large as sensible.
  uint64_t map_bytes = 0;
  /// Damage that is found, and a death within LMDB, are written beside the database, and it is
  /// opened no more.
  bool mark_damage = false;
};
/// Opens, or creates, the database in `directory`, which must exist. kCorrupt if it is no database
/// of ours, or bears the mark of damage.
Result<std::unique_ptr<Kv>> open_lmdb_kv(const std::string& directory,
                                         const LmdbOptions& options = {});

}  // namespace varve
