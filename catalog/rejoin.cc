#include "catalog/rejoin.h"

#include "catalog/promotion.h"

namespace varve {

namespace {

Result<void> at_once(const Snapshotter::Moment& moment) {
  return moment();
}

class Rejoin {
 public:
  Rejoin(const MakeWorld& make_world, const AccessSecret& secret, WorkingCopy::Options options,
         Clock& clock)
      : make_world_(make_world), secret_(secret), options_(std::move(options)), clock_(clock) {}

  Result<Rejoined> keep_mine() {
    VARVE_TRY(open(Return::kKeepMine));
    VARVE_TRY(note());
    return settle();
  }

  Result<Rejoined> take_theirs() {
    VARVE_TRY(open(Return::kKeepMine));
    VARVE_TRY(note());
    VARVE_TRY(check_theirs());
    VARVE_TRY(save_mine());
    VARVE_TRY(copy_->finish(at_once));
    VARVE_TRY(open(Return::kTakeTheirs));
    return settle();
  }

 private:
  using Return = WorkingCopy::Options::Return;

  Result<void> open(Return how) {
    copy_.reset();
    options_.on_return = how;
    copy_ = VARVE_TRY(WorkingCopy::open(VARVE_TRY(make_world_()), secret_, options_, metrics_));
    return {};
  }

  Result<void> note() {
    const std::optional<Promotion> promotion = copy_->succeeded_by();
    if (!promotion) return Error(Errc::kInvalid, "it was not succeeded elsewhere");
    outcome_.promotion = *promotion;
    outcome_.theirs = present_writer_after(*promotion, copy_->history().promotions());
    return {};
  }

  /// Before anything is changed for good.
  Result<void> check_theirs() {
    const History& history = copy_->history();
    const RebuiltTrees trees = VARVE_TRY(choose_live_trees(history, outcome_.theirs));
    if (!trees.by_guard) {
      return Error(Errc::kNotFound, "nothing is here that writer " + outcome_.theirs.hex() +
                                        " has published: --from DIR brings it");
    }
    const auto evicted = [&](const PackInfo& pack) {
      return pack.pack_class == PackClass::kData && copy_->packs().is_held(pack.pack);
    };
    return in_context(check_trees_are_whole(trees, history, copy_->storage(), evicted),
                      "the live trees of writer " + outcome_.theirs.hex());
  }

  Result<void> save_mine() {
    const std::string name = "before-rejoin-" + utc_name(clock_.now());
    const Snapshotter::Request request{SnapshotClass::kMount, 0, name};
    VARVE_TRY(copy_->snapshotter().take(request, at_once));
    outcome_.saved = name;
    return {};
  }

  Result<Rejoined> settle() {
    VARVE_TRY(copy_->settle_return());
    VARVE_TRY(copy_->finish(at_once));
    outcome_.mine = copy_->history().writer();
    return outcome_;
  }

  const MakeWorld& make_world_;
  const AccessSecret& secret_;
  WorkingCopy::Options options_;
  Clock& clock_;
  Metrics metrics_;
  std::unique_ptr<WorkingCopy> copy_;
  Rejoined outcome_;
};

}  // namespace

Result<Rejoined> rejoin(const MakeWorld& make_world, const AccessSecret& secret, bool keep_mine,
                        WorkingCopy::Options options, Clock& clock) {
  Rejoin rejoin(make_world, secret, std::move(options), clock);
  return keep_mine ? rejoin.keep_mine() : rejoin.take_theirs();
}

}  // namespace varve
