// Holds at the remote of a pass: they come to count here, and what is evicted is found again.
#include <algorithm>
#include <utility>

#include "replicator/expiry_log.h"
#include "replicator/pass.h"

namespace varve {

/// Another site's are that one's to look after: it is its packs that are evicted.
std::vector<HoldInForce> Pass::own_holds(const CarriedRecords::LiesThere& lies_there) const {
  std::vector<HoldInForce> holds = records_.holds(lies_there);
  std::erase_if(holds, [&](const HoldInForce& one) {
    return one.hold.replica != route_.replica || !is_own(one.writer);
  });
  return holds;
}

std::vector<HoldInForce> Pass::holds_to_see(const CarriedRecords::LiesThere& lies_there) const {
  std::vector<HoldInForce> holds = own_holds(lies_there);
  std::erase_if(holds,
                [&](const HoldInForce& one) { return route_.ledger->is_held(one.statement()); });
  return holds;
}

bool Pass::holds_wait() const {
  return !holds_to_see([](const FileHash&) { return true; }).empty();
}

/// By name: what the ledger knows was there with its length, and a folder is read once.
Result<bool> Pass::is_in_place(const StoreFile& pack) {
  if (!is_there(pack)) return false;
  const std::string folder = folder_of(pack);
  const auto [seen, is_new] = folders_seen_.try_emplace(folder);
  if (is_new) {
    for (const StorageEntry& entry : VARVE_TRY(list_if_there(route_.to, folder)))
      seen->second.insert(entry.name);
  }
  return seen->second.contains(pack.hash.hex());
}

/// What is evicted cannot be sent: where the ledger does not know that it is there, it is looked
/// for, else snapshots that need it would wait for ever.
Result<void> Pass::look_for_evicted() {
  if (std::exchange(looked_for_evicted_, true)) return {};
  for (const HoldInForce& one : own_holds([](const FileHash&) { return true; })) {
    const auto packs = history_.packs_of(one.hold.lists);
    for (const PackInfo& pack : packs.value_or(std::vector<PackInfo>())) {
      const StoreFile file = file_of_pack(pack);
      if (here_set_.contains(file) || is_there(file)) continue;
      if (length_in(route_.to, file) == pack.length)
        route_.ledger->note_there(file, {pack.length, std::nullopt});
    }
  }
  return route_.ledger->save();
}

/// The hold's record is there by now. What is not in place is sent again by the next pass.
Result<bool> Pass::sees_all(const HoldInForce& one) {
  const auto packs = history_.packs_of(one.hold.lists);
  if (!packs) return false;
  bool all = std::all_of(one.hold.lists.begin(), one.hold.lists.end(), [&](const FileHash& list) {
    return is_there({FileClass::kList, list});
  });
  for (const PackInfo& pack : *packs) {
    const StoreFile file = file_of_pack(pack);
    if (VARVE_TRY(is_in_place(file))) continue;
    all = false;
    if (is_there(file)) route_.ledger->note_gone(file);
  }
  return all;
}

/// The records are there: a run of expiry that looks from now on sees the holds. What one that
/// looked before may still take away is in the log by now, and not in place for us.
Result<void> Pass::look_after_holds() {
  if (!holds_wait()) return {};
  VARVE_TRY(follow_expiry_log(route_.to, *route_.ledger));
  const auto lies_there = [&](const FileHash& record) {
    return is_there({FileClass::kRecord, record});
  };
  for (const HoldInForce& one : holds_to_see(lies_there)) {
    if (VARVE_TRY(sees_all(one))) {
      route_.ledger->note_held(one.statement());
      continue;
    }
    const std::string name = "hold " + one.hold.id.hex();
    add_problem(name, name + " does not count yet: not all of its packs are in place there");
  }
  return route_.ledger->save();
}

}  // namespace varve
