// Rows of the database with a sum behind each value, read from its pages; and what is done about
// damage. Used by lmdb_kv.cc alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dedup/base/damage_mark.h"
#include "dedup/base/lmdb_pages.h"
#include "dedup/base/result.h"

namespace varve {

/// A value as it is stored: `value` and a sum of it and its key.
void put_sum(std::string_view key, std::string_view value, std::string& out);
/// The value without its sum; false if that is another.
bool take_sum(std::string_view key, std::string_view& value);

/// Whether LMDB may open the file in `directory`, or make one where there is none yet; kCorrupt
/// where it would map more than there is, or take a state of another time for the newest.
Result<void> check_database_head(const std::string& directory);

/// The database's file, to read from: LMDB shows its own map to nobody.
class PageMap {
 public:
  PageMap() = default;
  ~PageMap() { close(); }
  PageMap(const PageMap&) = delete;
  PageMap& operator=(const PageMap&) = delete;

  /// `bytes` of address space, in place of what was there; nobody reads meanwhile. An errno, or 0.
  int open(const std::string& directory, uint64_t bytes);
  const uint8_t* data() const { return map_; }
  /// What was read of the file, here and in LMDB's map, no longer counts as this process's memory;
  /// whoever reads it again finds it in the page cache. Others may read meanwhile.
  void let_go() const;

 private:
  void close();
  const uint8_t* map_ = nullptr;
  uint64_t bytes_ = 0;
  void* of_lmdb_ = nullptr;  // as long as ours
};

/// What is known of damage, and who is told of it. Any thread.
class DatabaseDamage {
 public:
  DatabaseDamage(const std::string& directory, bool mark_it);
  /// kCorrupt; from now on the database bears the mark.
  Error found(const std::string& what);
  /// Nothing if damage is not to be marked.
  const std::optional<DamageMark>& mark() const { return mark_; }

 private:
  std::optional<DamageMark> mark_;
};

/// Finds rows whose sums hold, and proves that others are not there. One thread, within one
/// transaction. However many rows it passes, about CheckedPages::kSlots pages of the map stay
/// resident.
class CheckedCursor {
 public:
  CheckedCursor(const LmdbTree& tree, const PageMap& map, CheckedPages& pages,
                DatabaseDamage& damage)
      : at_(tree, pages), map_(&map), pages_(&pages), damage_(&damage) {}

  /// To the first row with a key >= `key`, or the next one; whether there is one. kCorrupt; kIo
  /// where the disk does not give a page.
  Result<bool> seek(std::string_view key);
  Result<bool> next();
  /// Of the row; valid as long as the transaction.
  std::string_view key() const { return at_.key(); }
  std::string_view value() const { return value_; }

 private:
  bool take_value();
  template <typename Move>
  Result<bool> move(const Move& move_to);

  LmdbTreeCursor at_;
  const PageMap* map_;
  CheckedPages* pages_;
  DatabaseDamage* damage_;
  std::string_view value_;
};

}  // namespace varve
