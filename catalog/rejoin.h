// Rejoin: a site comes back whose remote was promoted meanwhile (dedup/succession.h).
//
// Either it takes the live trees of who succeeded it: what it has itself is kept as a snapshot of
// the whole mount first, then its database is made anew from the store's files. Or its own live
// trees go on. Both under a writer id that nobody has succeeded; and both publish that this is
// settled. Interrupted, the store stays one that waits, and the next run does it all again.
#pragma once

#include <functional>

#include "catalog/working_copy.h"

namespace varve {

struct Rejoined {
  Promotion promotion;  // by which it was succeeded
  WriterId theirs;      // whose live trees it took
  WriterId mine;        // who writes here from now on
  std::string saved;    // the snapshot of the state before; empty where its own went on
};

using MakeWorld = std::function<Result<std::unique_ptr<World>>()>;

/// kInvalid if the store was not succeeded. kNotFound, saying what, if what the other writer's live
/// trees need is not here.
Result<Rejoined> rejoin(const MakeWorld& make_world, const AccessSecret& secret, bool keep_mine,
                        WorkingCopy::Options options, Clock& clock);

}  // namespace varve
