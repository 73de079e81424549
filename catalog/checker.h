// Checks a store, from its snapshots down to its bytes, and the working copy against it. Reads;
// changes nothing (what repairs is in repair.h).
//
// Every tree object is read once, however many snapshots share it, and every pack once: time grows
// with the store and not with its snapshots. Memory: 12 bytes a chunk, about 50 a tree object, one
// a live file. Damage is what is found, not an error; an Error says that the check itself could not
// go on. The store may be in use meanwhile: hand in a view of the database that was opened before.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dedup/base/clock.h"
#include "dedup/base/kv.h"
#include "dedup/hold_format.h"
#include "dedup/keyring.h"
#include "dedup/pack_format.h"
#include "dedup/scrub.h"
#include "dedup/verification_ledger.h"

namespace varve {

/// What is wrong, which is also what would help.
enum class FindingKind : uint8_t {
  kFile,         // an immutable file that is not what its name says: it counts as absent
  kPack,         // a pack that is missing, or damaged, wholly or in places
  kHistory,      // a snapshot, list or record that lacks what it names
  kContent,      // a path that cannot be read in full
  kWorkingCopy,  // local/: the database contradicts itself or the packs
  kIndex,        // local/: the chunk index is damaged or wrong
  kTemporary,    // left by an unfinished write; no damage
  kNote,         // worth knowing; no damage
};
/// "pack", "content" and so on.
std::string_view name_of(FindingKind kind);

struct Finding {
  FindingKind kind = FindingKind::kNote;
  std::string file;  // below the store's directory: "packs/ab/<hash>", "local/db"; may be empty
  std::optional<PackId> pack;       // that it is about, or where the bytes were
  std::string set, snapshot;        // of a path; "" for the root, and in the live tree
  std::optional<std::string> path;  // in the set; "" is its top
  std::string problem;
  bool unreadable = false;  // of a pack: nothing in it can be read
  bool repaired = false;

  bool is_damage() const { return kind != FindingKind::kTemporary && kind != FindingKind::kNote; }
};
/// One line for a person: where, then what.
std::string line_of(const Finding& finding);

struct CheckReport {
  std::vector<Finding> findings;  // the first kFindingsMax
  uint64_t damages = 0;           // all that are damage, the ones that were not kept too
  uint64_t files = 0, packs = 0, packs_read = 0, snapshots = 0, objects = 0, paths = 0, chunks = 0;
  uint64_t bytes_read = 0;    // of packs that were read through
  bool working_copy = false;  // it was there, and was checked

  /// The packs that are here, and which of their segments cannot be read: what an index is made
  /// from.
  struct ReadablePack {
    PackInfo info;
    std::set<uint32_t> lost;
  };
  std::vector<ReadablePack> readable_packs;

  void add(Finding finding);
  static constexpr size_t kFindingsMax = 100'000;
};

struct CheckProgress {
  std::string_view phase;
  uint64_t done = 0, total = 0;  // total 0: not known
  bool bytes = false;            // else things
};

struct CheckedStore {
  Storage& storage;
  const StoreConfig& config;
  const Keyring& keyring;
  /// The database; nullptr where there is none, or only the immutable files matter.
  KvView* database = nullptr;
  /// Whose drops bind here; zeros: nobody's.
  ReplicaId replica;
  Clock& clock = system_clock();
};

struct CheckOptions {
  bool read_data = false;  // read every byte of every pack
  bool local = true;       // look at local/ too, beside the database
  /// Remotes of this place: a pack that one of them holds, by a hold that counts, may be evicted
  /// here, which is no damage.
  HoldingRemotes remotes;
  size_t threads = 2;                    // that read packs; 1: the caller's own
  VerificationLedger* ledger = nullptr;  // told of packs that were found whole
  /// Which packs to read through, with read_data; nothing: all.
  std::function<bool(const FileHash&)> wanted;
  std::function<void(const CheckProgress&)> progress;  // from any thread, one at a time
  /// From any thread: true ends the check soon, with kInterrupted. Nothing: it runs to its end.
  std::function<bool()> stopped;
  bool is_stopped() const { return stopped && stopped(); }
};

Result<CheckReport> check_store(const CheckedStore& store, const CheckOptions& options);

/// What can be said without a key: every immutable file hashes to its name, histories are signed,
/// and the packs that lists of kept snapshots name are there. `store.keyring` and the database play
/// no part.
struct KeylessStore {
  Storage& storage;
  const StoreConfig& config;
  ReplicaId replica;
  Clock& clock = system_clock();
};
Result<CheckReport> check_store_without_key(const KeylessStore& store, const CheckOptions& options);

}  // namespace varve
