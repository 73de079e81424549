// The changes of one call of the tree: seen by the call itself at once, by others when it is
// applied, or never.
//
// One thread, under the tree's lock.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "catalog/staged_kv.h"

namespace varve {

class TreeTransaction {
 public:
  explicit TreeTransaction(StagedKv& kv) : kv_(kv) {}

  Result<std::optional<std::string>> get(std::string_view key) const;
  Result<bool> has(std::string_view key) const;
  /// Rows in [from, to) in order, until `visit` gives false. `visit` must not change the
  /// transaction.
  Result<void> scan(std::string_view from, std::string_view to,
                    const std::function<bool(std::string_view, std::string_view)>& visit) const;

  void put(std::string key, std::string value);
  void erase(std::string key);
  /// Erases a row that is often not there, so that no trace of it is staged for nothing.
  Result<void> erase_if_there(std::string key);
  /// Erases all rows in [from, to), at most `rows_max`; the count of those that it erased.
  Result<size_t> erase_range(std::string_view from, std::string_view to,
                             size_t rows_max = SIZE_MAX);

  /// Hands everything to the staged rows; the transaction is then empty.
  void apply();

 private:
  StagedKv& kv_;
  KvBatch batch_;
};

}  // namespace varve
