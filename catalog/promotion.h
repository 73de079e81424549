// Promotion: a remote becomes a live store when the site is gone.
//
// plan_promotion looks and writes nothing. Where several sites send to one remote, one of them is
// promoted: whose live trees they are has to be said. begin_promotion writes the guard, in one
// rename: before it the place is a remote; from then on it is a live store whose local/ is lost, of
// the writer whose live trees it takes over, and replicators of others are refused.
// complete_promotion opens it, which makes the working copy as after the loss of local/, under a
// new writer id, takes a checkpoint, publishes the promotion, and names the new writer in the
// guard. Whatever opens the store next does what of that was interrupted.
#pragma once

#include "catalog/recovery.h"
#include "catalog/working_copy.h"

namespace varve {

struct PromotionPlan {
  StoreConfig config;
  Guard guard;           // as begin_promotion writes it
  bool resumes = false;  // it has taken effect already, or the working copy of a promoted place is
                         // lost: there is nothing to begin
  Nanoseconds left_at = 0;  // when the live trees were so
  size_t sets = 0, snapshots = 0;
};

struct PromotionPlace {
  Storage& storage;   // of the place, local/ left out
  std::string shown;  // for messages
  AskPlace place;
  bool unbound = false;    // it looks different each time it is mounted
  bool elsewhere = false;  // local/ is to lie in another directory
};

/// `site`: the writer whose live trees go on, as hexadecimal digits that its id begins with; empty
/// for the one with the newest checkpoint. kWrongPassphrase; kBusy if it is a live store;
/// kNotFound, saying what, if something is missing that the newest checkpoint needs, or if there is
/// nothing to take over; kInvalid, naming them, if other sites than the newest one have live trees
/// here and none was named.
Result<PromotionPlan> plan_promotion(const PromotionPlace& place, const AccessSecret& secret,
                                     const std::string& site, Clock& clock, Random& random);
Result<void> begin_promotion(const PromotionPlace& place, const PromotionPlan& plan);
/// The new writer.
Result<WriterId> complete_promotion(std::unique_ptr<World> world, const AccessSecret& secret,
                                    const WorkingCopy::Options& options);

/// kNotFound, naming them, if lists or packs that the trees need are not here with their length,
/// but for packs that are `evicted`.
Result<void> check_trees_are_whole(const RebuiltTrees& trees, const History& history,
                                   Storage& storage,
                                   const std::function<bool(const PackInfo&)>& evicted);

}  // namespace varve
