// Promotions: who was succeeded by whom, and where (statement 7, docs/format.md section 6).
// Readable without a key.
//
// A promotion says that `to` took over the live trees of `from` at a replica. A place whose writer
// is `from` learns by it that it was succeeded elsewhere; once it has said by a promotion of its
// own, at its own replica, who writes there from then on, that is settled.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dedup/history_format.h"
#include "dedup/store_config.h"

namespace varve {

struct Promotion {
  WriterId from, to;
  ReplicaId replica;
  uint64_t sequence = 0;  // of the record that says so
};

Statement promotion_statement(const Promotion& promotion);
/// kCorrupt unless it is one.
Result<Promotion> decode_promotion(const Statement& statement, uint64_t sequence);

/// The newest promotion elsewhere than at the replica `here` of one of `mine`, of which none at
/// `here` says anything; nullopt if there is none.
std::optional<Promotion> unsettled_promotion(const std::vector<Promotion>& promotions,
                                             const std::vector<WriterId>& mine,
                                             const ReplicaId& here);

/// Who lives where the promotion was, as far as known: `to`, or who succeeded it there since.
WriterId present_writer_after(const Promotion& promotion, const std::vector<Promotion>& promotions);

/// The promotions in force by the records that lie in `storage`. Records that do not verify count
/// as absent.
Result<std::vector<Promotion>> read_promotions(Storage& storage, const StoreConfig& config);

/// "replica R of it was promoted to a live store, as writer P": part of what is said of it.
std::string describe(const Promotion& promotion);

/// One line for who meets a store at `root` that was succeeded: what happened, what to do.
std::string what_succession_asks(const std::string& root, const Promotion& promotion);

}  // namespace varve
