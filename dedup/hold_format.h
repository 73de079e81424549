// A hold: that a replica is to keep the packs of some lists, whatever it expires, because somebody
// else relies on finding them there (docs/format.md section 6). Pure functions.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "dedup/history_format.h"

namespace varve {

/// Random name of a hold.
using HoldId = Id<struct HoldIdTag, 16>;

struct Hold {
  HoldId id;
  ReplicaId replica;  // that is to keep them
  bool held = true;   // false: released
  std::vector<FileHash> lists;
};

/// One statement of a hold; a later one of the same hold takes its place.
struct HoldSeen {
  HoldId id;
  WriterId writer;
  uint64_t sequence = 0;
  friend bool operator==(const HoldSeen&, const HoldSeen&) = default;
  friend bool operator<(const HoldSeen& a, const HoldSeen& b) {
    return std::tie(a.id, a.writer, a.sequence) < std::tie(b.id, b.writer, b.sequence);
  }
};

/// The statement of a hold that is in force, and whose it is.
struct HoldInForce {
  Hold hold;
  WriterId writer;
  uint64_t sequence = 0;
  HoldSeen statement() const { return {hold.id, writer, sequence}; }
};

/// What is known here of a remote that is to hold packs: the holds that count there.
struct HoldingRemote {
  std::string name;
  std::set<HoldSeen> counted;
};
using HoldingRemotes = std::map<ReplicaId, HoldingRemote>;

Statement encode_hold(const Hold& hold);
/// kCorrupt if it has not a hold's form.
Result<Hold> decode_hold(const Statement& statement);

}  // namespace varve
