// The working copy's rows against each other, and against the packs: entries and inodes, link
// counts, extents, what is still in tree objects, the tables of packs. A part of the checker.
//
// One thread; reads one view of the database. Tables are in catalog/schema.h.
#pragma once

#include <array>
#include <unordered_map>

#include "catalog/check_trees.h"
#include "catalog/schema.h"
#include "dedup/base/kv.h"

namespace varve {

/// A small number for each of many, mostly dense, file numbers: a byte each, in pages.
class NumberTable {
 public:
  static constexpr uint32_t kMax = 255;
  uint8_t& at(uint64_t number) { return pages_[number / kPage][number % kPage]; }

 private:
  static constexpr size_t kPage = 4096;
  std::unordered_map<uint64_t, std::array<uint8_t, kPage>> pages_;
};

/// Visits the rows whose keys begin with `prefix`, in order.
Result<void> visit_rows(
    KvView& view, const std::string& prefix,
    const std::function<Result<void>(std::string_view key, std::string_view value)>& visit);

/// What the tables of packs say.
struct PackRows {
  std::map<PackId, PackInfo> sealed;
  std::map<PackId, OpenPackRow> open;
};
/// What does not decode is reported and left out.
Result<PackRows> read_pack_rows(KvView& view, CheckReport& report);

/// Whether there is anything in the database, and whether it is this store's. Else why not.
enum class DatabaseState { kEmpty, kOurs, kRefused };
Result<DatabaseState> state_of_database(KvView& view, const StoreId& store);

struct LiveTables {
  KvView& view;
  const PackRows& rows;
  const CheckedPacks& packs;
};
/// Everything but the rows of packs themselves.
Result<void> check_live_tables(const LiveTables& tables, TreeCheck& trees, CheckReport& report);

/// One set's live tree.
class LiveTreeCheck {
 public:
  LiveTreeCheck(const LiveTables& tables, uint32_t set, const SetRow& row, TreeCheck& trees,
                CheckReport& report);
  Result<void> run();

 private:
  using Row =
      std::function<Result<void>(uint64_t number, std::string_view rest, std::string_view value)>;
  /// The tree's rows in one table: file number, the key's rest, the value.
  Result<void> each(char table, const Row& visit);
  Result<std::optional<Inode>> inode(uint64_t number);
  Result<bool> has(const std::string& key);

  Result<void> check_entries();
  Result<void> check_entry(uint64_t directory, std::string_view name, std::string_view value);
  Result<void> check_entry_inode(uint64_t directory, std::string_view name, const DirentRow& row);
  Result<void> check_set_entry(std::string_view name, const DirentRow& row);
  Result<void> end_directory();
  Result<void> check_inodes();
  Result<void> check_inode(uint64_t number, const Inode& inode);
  Result<void> check_directory(uint64_t number, const Inode& inode);
  Result<void> check_belongings();
  Result<void> check_extents();
  Result<void> end_extents(uint64_t number);
  Result<void> check_references();

  /// "dir/file", or what stands for it where that cannot be told.
  std::string path_of(uint64_t number);
  std::optional<std::pair<uint64_t, std::string>> name_of(uint64_t number);
  void wrong(uint64_t number, std::string problem);

  const LiveTables& tables_;
  const uint32_t set_;
  const SetRow& row_;
  TreeCheck& trees_;
  CheckReport& report_;
  TreeCheck::Where where_;
  bool has_stubs_ = false;
  NumberTable names_;                            // how many entries name it
  std::unordered_map<uint64_t, uint32_t> many_;  // where that is more than a byte holds
  NumberTable reached_;                          // 1: the top is above it
  uint64_t entries_ = 0;
  uint64_t directory_ = 0, subdirectories_ = 0;  // of the directory whose entries are read
  TreeCheck::FileDamage damage_;
  static constexpr int kSearchesMax = 100;  // through all entries, for names of linked files
  int searches_ = 0;
};

}  // namespace varve
