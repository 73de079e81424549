// Evicting: local data packs that a remote holds are removed here, so that a small disk fronts a
// large remote (docs/replication.md, "Evicting").
//
// A pack goes only while all of this is so: it is a sealed data pack, a bundle in a catalog pack
// here says what lies in it, every remote of this place has it as far as their ledgers know, a hold
// at the named remote that counts names it, and that remote shows its file just now. What lacks
// only the hold gets one; it goes in a later run, once the replicator has seen the hold counts. So
// after a crash a pack is here, or evicted under a hold. One call at a time.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "catalog/working_copy.h"

namespace varve {

struct EvictRequest {
  std::string remote;
  std::optional<uint64_t> bytes;      // so many are to go
  std::optional<uint64_t> keep_free;  // until the disk has that many free; neither: all that may
  bool dry_run = false;               // nothing is changed, and nobody asked
};

struct EvictFigures {
  uint64_t packs = 0, bytes = 0;  // evicted, or that would be
  /// Under a hold that does not count yet, and wanted by the request.
  uint64_t waiting_packs = 0, waiting_bytes = 0;
  uint64_t newly_held_packs = 0;                         // of those: by a hold of this call
  uint64_t kept_packs = 0, kept_bytes = 0;               // that may not go
  uint64_t unreplicated_packs = 0, unbundled_packs = 0;  // of those: why
  uint64_t lost_packs = 0;  // that the remote does not show, which its ledger claims
};

/// Gives a remote's files, by its name, read so that nobody hangs.
using FilesAt = std::function<Result<std::shared_ptr<Storage>>(const std::string& remote)>;
/// kNotFound if there is no such remote; kIo if it does not answer; what went before stays evicted.
Result<EvictFigures> evict(WorkingCopy& working_copy, const FilesAt& files_at,
                           const EvictRequest& request);

}  // namespace varve
