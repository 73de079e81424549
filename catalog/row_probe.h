// A cursor for keys that are asked for in ascending order, most of which are not there. One thread.
//
// It knows which keys lie between what it was asked for last and the row that it stands on: none.
// So asking for rows of a kind that few files have costs nothing where a seek would cost a walk
// down the database.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "dedup/base/kv.h"

namespace varve {

class RowProbe {
 public:
  static Result<RowProbe> open(KvView& view);

  /// Stands on the first row whose key is >= `key` afterwards.
  Result<void> seek(std::string_view key);
  Result<void> next();
  /// Stands on a row whose key begins with `prefix`.
  bool within(std::string_view prefix) const {
    return cursor_->valid() && cursor_->key().starts_with(prefix);
  }
  /// Valid until the probe moves, and only while within() something.
  std::string_view key() const { return cursor_->key(); }
  std::string_view value() const { return cursor_->value(); }

 private:
  explicit RowProbe(std::unique_ptr<KvCursor> cursor) : cursor_(std::move(cursor)) {}
  bool covers(std::string_view key) const;

  std::unique_ptr<KvCursor> cursor_;
  bool placed_ = false;
  std::string from_;  // no key lies in [from_, the row that the cursor stands on)
};

/// Every row of a table, in order.
Result<void> scan_table(
    KvView& view, char table,
    const std::function<Result<void>(std::string_view key, std::string_view value)>& visit);

}  // namespace varve
