// A store opened for reading by its immutable files alone: no lock, no working copy, mounted or
// not.
#pragma once

#include <memory>
#include <string>

#include "catalog/history.h"
#include "catalog/snapshot_reader.h"
#include "dedup/elsewhere.h"

namespace varve {

class StoreReader {
 public:
  /// What is missing or damaged here is read from `elsewhere`, if given; it must outlive this.
  static Result<std::unique_ptr<StoreReader>> open(const std::string& root,
                                                   const AccessSecret& secret, size_t cache_bytes,
                                                   Elsewhere* elsewhere = nullptr);
  ~StoreReader();

  History& history();
  Fetch& fetch();
  /// Makes the snapshot's packs known (from its list) and gives a reader of the set's tree in it.
  Result<SnapshotReader> snapshot(const SnapshotInfo& info, const SetId& set);

 private:
  struct State;
  explicit StoreReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace varve
