#include "catalog/promotion.h"

#include <algorithm>
#include <map>
#include <set>

#include "catalog/snapshot_needs.h"
#include "dedup/base/log.h"

namespace varve {

namespace {

constexpr size_t kMissingNamed = 3;

/// With another length than its list says it is what an interrupted copy has left.
Result<bool> is_there(const PackInfo& pack, Storage& storage) {
  const auto file = storage.open_read(pack_path(pack.pack_class, pack.hash));
  if (!file.ok() && file.error().code() == Errc::kNotFound) return false;
  if (!file.ok()) return file.error();
  return VARVE_TRY((*file)->length()) == pack.length;
}

Error misses(const std::vector<std::string>& missing) {
  std::string names;
  for (size_t i = 0; i < missing.size() && i < kMissingNamed; i++) {
    names += (i == 0 ? "" : ", ") + missing[i];
  }
  if (missing.size() > kMissingNamed)
    names += " and " + std::to_string(missing.size() - kMissingNamed) + " more";
  return {Errc::kNotFound, "the newest live trees need what is missing or torn here: " + names +
                               ". Copy the rest here first (varve absorb); what is whole can be "
                               "read all the same (mount -o ro,local=DIR, varve restore)"};
}

/// A live store is no remote any more.
Result<void> check_not_live(const PromotionPlace& place, const Guard& guard) {
  const bool has_local = VARVE_TRY(place.storage.exists("local"));
  if (!has_local && place.elsewhere) return {};
  const std::string lost =
      has_local ? "" : ", whose working copy is lost and made anew by the next mount";
  return Error(Errc::kBusy, place.shown + " is a live store already, of writer " +
                                guard.writer.hex() + lost + ": mount it, mount.varve " +
                                place.shown + " MOUNTPOINT");
}

/// A link is the caller's, who knows where it leads to; a directory is a live store's, or what
/// somebody has put there.
Result<void> check_is_remote(const PromotionPlace& place, const GuardFound& found) {
  const auto local = place.storage.list("local");
  if (!local.ok()) return {};
  if (found.guard && found.guard->anywhere) {
    return Error(Errc::kInvalid,
                 place.shown + " has a local/ that no promotion has made: look at it, remove it");
  }
  return Error(Errc::kBusy, place.shown +
                                " has a working copy (local/): it is a live store already, mount "
                                "it, mount.varve " +
                                place.shown + " MOUNTPOINT");
}

std::set<WriterId> writers_of(const History& history) {
  std::set<WriterId> writers;
  for (const SnapshotInfo& info : history.checkpoints()) writers.insert(info.writer);
  for (const SnapshotInfo& info : history.snapshots()) writers.insert(info.writer);
  return writers;
}

std::set<SetId> sets_of(const RebuiltTrees& trees) {
  std::set<SetId> sets;
  for (const RebuiltTree& one : trees.trees) {
    if (!one.tree.set.is_zero()) sets.insert(one.tree.set);
  }
  return sets;
}

/// "writer W, sets a, b, as of T"
std::string described(const RebuiltTrees& trees) {
  std::string names;
  for (const RebuiltTree& one : trees.trees) {
    if (!one.tree.set.is_zero()) names += (names.empty() ? "" : ", ") + one.tree.set_name;
  }
  return "writer " + trees.writer->hex() + " (sets " + names + "; as of " +
         utc_iso(trees.trees[0].from.time) + ")";
}

/// A writer whose sets are all others than those of `newest` is another site's; one that shares
/// sets is the same site's under an earlier id, or one that was succeeded.
Result<void> check_is_only_site(const RebuiltTrees& newest, const History& history) {
  const std::set<SetId> taken = sets_of(newest);
  std::string others;
  for (const WriterId& writer : writers_of(history)) {
    const RebuiltTrees theirs = VARVE_TRY(choose_live_trees(history, writer));
    const std::set<SetId> sets = sets_of(theirs);
    const auto is_taken = [&](const SetId& set) { return taken.contains(set); };
    if (sets.empty() || std::ranges::any_of(sets, is_taken)) continue;
    others += (others.empty() ? "" : "; ") + described(theirs);
  }
  if (others.empty()) return {};
  return Error(Errc::kInvalid, "several sites have their live trees here: " + described(newest) +
                                   "; " + others +
                                   ". Name the site that goes on with --site WRITER");
}

Result<WriterId> find_site(const std::string& site, const History& history) {
  std::optional<WriterId> found;
  for (const WriterId& writer : writers_of(history)) {
    if (!writer.hex().starts_with(site)) continue;
    if (found) return Error(Errc::kInvalid, "several writers' ids begin with " + site);
    found = writer;
  }
  if (found) return *found;
  return Error(Errc::kNotFound,
               "no writer whose id begins with " + site + " has a snapshot or a checkpoint here");
}

/// The live trees that go on: of a promotion that has begun those of the writer in the guard.
Result<RebuiltTrees> choose_site(const History& history, const PromotionPlan& plan,
                                 const std::string& site) {
  std::optional<WriterId> wanted;
  if (plan.resumes) {
    wanted = plan.guard.writer;
  } else if (!site.empty()) {
    wanted = VARVE_TRY(find_site(site, history));
  }
  RebuiltTrees trees = VARVE_TRY(choose_live_trees(history, wanted));
  if (!trees.writer || trees.trees.empty())
    return Error(Errc::kNotFound, "there is no snapshot and no checkpoint to go on from");
  if (!wanted) VARVE_TRY(check_is_only_site(trees, history));
  return trees;
}

}  // namespace

Result<void> check_trees_are_whole(const RebuiltTrees& trees, const History& history,
                                   Storage& storage,
                                   const std::function<bool(const PackInfo&)>& evicted) {
  std::map<FileHash, SnapshotInfo> snapshots;
  for (const RebuiltTree& tree : trees.trees) snapshots.emplace(tree.from.hash, tree.from);
  std::vector<std::string> missing;
  std::set<FileHash> looked_at;
  SnapshotNeeds needed_by(history, lies_in(storage));
  for (const auto& [hash, snapshot] : snapshots) {
    const auto needs = needed_by.of(snapshot);
    if (!needs.ok() && needs.error().code() == Errc::kIo) return needs.error();
    if (!needs.ok()) missing.push_back(needs.error().message());
    if (!needs.ok()) continue;
    for (const PackInfo& pack : needs->packs) {
      if (!looked_at.insert(pack.hash).second || evicted(pack)) continue;
      if (VARVE_TRY(is_there(pack, storage))) continue;
      missing.push_back(pack_path(pack.pack_class, pack.hash));
    }
  }
  if (missing.empty()) return {};
  return misses(missing);
}

Result<PromotionPlan> plan_promotion(const PromotionPlace& place, const AccessSecret& secret,
                                     const std::string& site, Clock& clock, Random& random) {
  PromotionPlan plan;
  plan.config = VARVE_TRY(read_store_config(place.storage));
  const GuardFound found = VARVE_TRY(read_guard(place.storage, place.place, plan.config.store_id));
  plan.guard = found.guard ? *found.guard : Guard{random.id<ReplicaId>(), {}};
  plan.resumes = !plan.guard.writer.is_zero();
  if (plan.resumes && !plan.guard.promoting) VARVE_TRY(check_not_live(place, plan.guard));
  if (!plan.resumes) VARVE_TRY(check_is_remote(place, found));
  const Keyring keyring = VARVE_TRY(open_keyring(place.storage, plan.config, secret));
  const auto history =
      VARVE_TRY(History::open(place.storage, keyring, clock, random, plan.guard.replica));
  const RebuiltTrees trees = VARVE_TRY(choose_site(*history, plan, site));
  VARVE_TRY(
      check_trees_are_whole(trees, *history, place.storage, [](const PackInfo&) { return false; }));
  plan.left_at = trees.trees[0].from.time;
  plan.sets = trees.trees.size() - (trees.trees[0].tree.set.is_zero() ? 1 : 0);
  plan.snapshots = history->snapshots().size();
  if (plan.resumes) return plan;
  plan.guard.writer = *trees.writer;
  plan.guard.promoting = true;
  plan.guard.anywhere = place.unbound;
  return plan;
}

Result<void> begin_promotion(const PromotionPlace& place, const PromotionPlan& plan) {
  if (plan.resumes) return {};
  if (plan.guard.anywhere)
    return write_unbound_guard(place.storage, plan.config.store_id, plan.guard);
  return write_guard(place.storage, place.place, plan.config.store_id, plan.guard);
}

Result<WriterId> complete_promotion(std::unique_ptr<World> world, const AccessSecret& secret,
                                    const WorkingCopy::Options& options) {
  Metrics metrics;
  auto copy = VARVE_TRY(WorkingCopy::open(std::move(world), secret, options, metrics));
  VARVE_TRY(copy->finish([](const Snapshotter::Moment& moment) { return moment(); }));
  if (copy->is_promoting()) {
    return Error(Errc::kIo,
                 "it is a live store now, but what follows is not complete (see above): run it "
                 "again, or mount it");
  }
  return copy->history().writer();
}

}  // namespace varve
