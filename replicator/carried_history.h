// What a carrier can know of a store's history without a key: which snapshots and lists are here,
// and which packs each snapshot needs (docs/format.md section 6).
//
// Files are immutable, so what was read once is not read again. One thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dedup/history_format.h"
#include "dedup/store_config.h"
#include "dedup/store_files.h"

namespace varve {

struct CarriedSnapshot {
  FileHash hash;
  WriterId writer;
  uint64_t sequence = 0;
  Nanoseconds time = 0;
  SnapshotHeader header;

  bool is_checkpoint() const { return header.snapshot_class == SnapshotClass::kCheckpoint; }
  StoreFile file() const { return {FileClass::kSnapshot, hash}; }
};

/// What a snapshot lacks at some place.
struct Lacking {
  std::vector<FileHash> lists;  // not to be had: which packs they name is not known
  std::vector<PackInfo> packs;
  bool nothing() const { return lists.empty() && packs.empty(); }
};

StoreFile file_of_pack(const PackInfo& pack);
inline bool is_pack(const StoreFile& file) {
  return file.file_class == FileClass::kPack || file.file_class == FileClass::kCatalogPack;
}

class CarriedHistory {
 public:
  using IsThere = std::function<bool(const StoreFile&)>;

  /// Reads what `files` of `storage` has and was not read before, and forgets what it has not.
  /// Files that are damaged, or of an unknown epoch, count as absent and are in problems(). Those
  /// that go while it reads are no error.
  Result<void> refresh(Storage& storage, const StoreConfig& config, const StoreFiles& files);

  /// Adds snapshots and lists that lie elsewhere, in `storage`; those of other classes are passed
  /// over. Until the next refresh, to which the keys belong, too.
  Result<void> add(Storage& storage, const StoreConfig& config,
                   const std::vector<StoreFile>& files);

  /// Oldest first, checkpoints among them.
  const std::vector<CarriedSnapshot>& snapshots() const { return snapshots_; }
  /// A checkpoint that is not the newest of its writer does not travel.
  bool is_superseded(const CarriedSnapshot& snapshot) const {
    return snapshot.is_checkpoint() && has_newer_checkpoint(snapshot);
  }
  bool has_newer_checkpoint(const CarriedSnapshot& snapshot) const;
  /// A checkpoint that was replaced by a newer one where it would be sent; remembered for as long
  /// as this lives, so that it is not looked for again.
  void note_replaced(const FileHash& checkpoint) { replaced_.insert(checkpoint); }
  bool was_replaced(const FileHash& checkpoint) const { return replaced_.contains(checkpoint); }
  /// One line a file that counts as absent.
  const std::map<StoreFile, std::string>& problems() const { return problems_; }
  bool has_list(const FileHash& list) const { return lists_.contains(list); }
  /// The packs that the lists and all their bases name; nullopt if one of those is not here.
  std::optional<std::vector<PackInfo>> packs_of(const std::vector<FileHash>& lists) const;
  /// The packs that the list's own rows name; empty if it is not here.
  const std::vector<PackInfo>& rows_of(const FileHash& list) const;
  /// The list that it was born with and its bases as far as they are here, and the exact lists that
  /// name it; each once, bases first.
  std::vector<FileHash> lists_of(const CarriedSnapshot& snapshot) const;
  /// What the snapshot lacks where `is_there` says what is, by that of its lists by which it lacks
  /// least. A list that is not there lacks itself. Nothing: the snapshot is whole there.
  Lacking lacking(const CarriedSnapshot& snapshot, const IsThere& is_there) const;

  struct List {
    uint64_t sequence = 0;
    PackList content;
  };
  const std::map<FileHash, List>& lists() const { return lists_; }
  /// The list and its bases as far as they are here, bases first; without those that were `met`.
  void add_with_bases(const FileHash& list, std::set<FileHash>& met,
                      std::vector<FileHash>& out) const;
  std::vector<FileHash> with_bases(const FileHash& list) const;
  /// Exact lists that name the snapshot.
  std::vector<FileHash> exact_lists_of(const FileHash& snapshot) const;

 private:
  Result<void> read_file(Storage& storage, const StoreConfig& config, const StoreFile& file);
  Result<void> take(const StoreFile& file, const Envelope& envelope);
  void forget_others(const std::set<StoreFile>& here);
  void arrange();
  Lacking lacking_by_birth(const CarriedSnapshot& snapshot, const IsThere& is_there) const;
  Lacking lacking_by_exact(const CarriedSnapshot& snapshot, const FileHash& list,
                           const IsThere& is_there) const;

  std::vector<std::pair<EpochId, PublicKey>> keys_;
  std::set<FileHash> keys_read_;  // the generations that keys_ comes from
  std::map<FileHash, List> lists_;
  std::map<FileHash, CarriedSnapshot> by_hash_;
  std::vector<CarriedSnapshot> snapshots_;
  std::map<FileHash, std::vector<FileHash>> exact_for_;  // snapshot: exact lists that name it
  std::map<WriterId, uint64_t> newest_checkpoint_;
  std::set<FileHash> replaced_;
  std::map<StoreFile, std::string> problems_;
};

}  // namespace varve
