// Where catalog packs lie: at a remote too, or at the sites alone.
//
// A site's mode for a remote is in the remote's configuration there (replicator/remote.h). The
// remote itself says by replica/catalog/<sender> that a site keeps catalog packs back: then it is
// no disaster copy, and says so to who only has that place (docs/replication.md).
#pragma once

#include <string>
#include <vector>

#include "dedup/base/result.h"
#include "dedup/base/storage.h"

namespace varve {

enum class CatalogMode {
  kReplicated,   // catalog packs go to the remote, as all else does
  kDistributed,  // they stay at the site
};

const char* name_of(CatalogMode mode);
/// kInvalid, naming those that there are.
Result<CatalogMode> parse_catalog_mode(const std::string& name);

/// Says at the remote how `sender` sends, durable on return: before the first snapshot goes there
/// without its catalog packs, and after the last of them is there. Writes only what is not so.
Result<void> note_catalog_mode(Storage& place, const std::string& sender, CatalogMode mode);
/// The senders that keep catalog packs back, by name; none: as far as this is concerned, the place
/// is a disaster copy.
Result<std::vector<std::string>> senders_without_catalog(Storage& place);
/// What people are told of such a place: one line.
std::string no_disaster_copy(const std::vector<std::string>& senders);

}  // namespace varve
