// The rows of packs that a collection removes. One thread; nobody takes a snapshot meanwhile.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "catalog/collection_marks.h"
#include "catalog/live_tree.h"
#include "catalog/staged_kv.h"

namespace varve {

class CollectedRows {
 public:
  CollectedRows(StagedKv& kv, LiveTree& tree, const History& history)
      : kv_(kv), tree_(tree), history_(history) {}

  /// Of catalog packs that go: the packs whose index bundles they have.
  using Bundles = std::map<PackId, std::vector<PackId>>;
  /// Takes them out of the tables, for the next commit. Sets whose newest list names one of them
  /// have their next list written out flat; bundles of what stays are written anew.
  Result<void> remove(const std::vector<PackInfo>& packs, const Bundles& bundles);
  /// Puts back what remove took, where that could not be committed; but the sets' next lists are
  /// written out flat all the same.
  void restore();
  /// Lists that were to be built on, and are not any more.
  const std::vector<FileHash>& let_go() const { return let_go_; }

 private:
  bool names_any(const FileHash& list, const PackIds& goes) const;
  Result<std::set<FileHash>> lists_that_name(const PackIds& goes) const;
  Result<void> put_back_sets(const std::set<FileHash>& lists, KvBatch& rows);
  Result<void> take(const std::string& key, KvBatch& rows);

  StagedKv& kv_;
  LiveTree& tree_;
  const History& history_;
  KvBatch taken_;
  std::vector<FileHash> let_go_;
};

}  // namespace varve
