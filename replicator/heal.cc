#include "replicator/heal.h"

#include <set>

#include "dedup/catalog_mode.h"
#include "dedup/scrub.h"
#include "replicator/carried_history.h"
#include "replicator/carried_records.h"
#include "replicator/holding_remotes.h"

namespace varve {
namespace {

class Healing {
 public:
  Healing(Storage& store, Storage& from, const std::string& sender, HealLook look,
          const HealProgress& progress, HealEvicted evicted)
      : store_(store),
        from_(from),
        sender_(sender),
        look_(look),
        progress_(progress),
        evicted_(evicted) {}

  Result<HealFigures> run() {
    config_ = VARVE_TRY(read_store_config(store_));
    const StoreConfig theirs =
        VARVE_TRY(in_context(read_store_config(from_), "the place to heal from"));
    if (theirs.hash != config_.hash)
      return Error(Errc::kForeign,
                   "the place to heal from is of another store (" + theirs.store_id.hex() + ")");
    has_catalog_ = VARVE_TRY(senders_without_catalog(store_)).empty();
    VARVE_TRY(mend_damaged());
    VARVE_TRY(bring_missing());
    for (const StoreFile& file : unhealed_) {
      figures_.unhealed.push_back(path_of(file) +
                                  ": damaged or missing, and the other place has no "
                                  "whole copy of it");
    }
    return std::move(figures_);
  }

 private:
  void tell() {
    if (progress_) progress_(figures_);
  }

  Result<void> bring(const std::vector<StoreFile>& files) {
    const Shipment::Route route{from_, store_, sender_};
    return transfer(
        route, files, figures_.brought, [&](const TransferFigures&) { tell(); },
        TransferRule::kReplace);
  }

  // Damaged.

  Result<bool> is_whole(const StoreFile& file) {
    const Result<uint64_t> length = hash_store_file(store_, file);
    if (length.ok()) figures_.bytes_read += *length;
    const bool gone = !length.ok() && length.error().code() == Errc::kNotFound;
    return length.ok() || gone;
  }

  /// Nobody can say of a file that is not there.
  Result<bool> has_its_length(const StoreFile& file) {
    const auto here = store_.open_read(path_of(file)), there = from_.open_read(path_of(file));
    if (!here.ok() || !there.ok()) return true;
    const Result<uint64_t> ours = (*here)->length(), theirs = (*there)->length();
    return !ours.ok() || !theirs.ok() || *ours == *theirs;
  }

  Result<void> mend_damaged() {
    std::vector<StoreFile> damaged;
    for (const StoreFile& file : VARVE_TRY(list_store_files(store_)).files) {
      const bool whole =
          look_ == HealLook::kBytes ? VARVE_TRY(is_whole(file)) : VARVE_TRY(has_its_length(file));
      figures_.files_looked_at++;
      if (!whole) {
        damaged.push_back(file);
        figures_.damaged++;
      }
      tell();
    }
    VARVE_TRY(bring(damaged));
    for (const StoreFile& file : damaged) {
      if (!hash_store_file(store_, file).ok()) unhealed_.insert(file);
    }
    return {};
  }

  // Missing.

  /// What the snapshots that are here are known to lack; more may be known when that is here.
  Result<std::vector<StoreFile>> lacking() {
    const StoreFiles here = VARVE_TRY(list_store_files(store_));
    const std::set<StoreFile> names(here.files.begin(), here.files.end());
    std::vector<StoreFile> result;
    const Result<void> read = history_.refresh(store_, config_, here);
    if (!read.ok() && read.error().code() == Errc::kCorrupt) {
      for (const StoreFile& file : VARVE_TRY(list_store_files(from_)).files) {
        if (file.file_class == FileClass::kKeys && !names.contains(file)) result.push_back(file);
      }
      return result;
    }
    VARVE_TRY(Result<void>(read));
    VARVE_TRY(records_.refresh(store_, config_, here));
    std::set<StoreFile> found;
    for (const CarriedSnapshot& snapshot : history_.snapshots()) {
      const Lacking lacks =
          history_.lacking(snapshot, [&](const StoreFile& file) { return names.contains(file); });
      for (const FileHash& list : lacks.lists) found.insert({FileClass::kList, list});
      for (const PackInfo& pack : lacks.packs) {
        // Where sites keep catalog packs back, they are not missing.
        if (has_catalog_ || pack.pack_class != PackClass::kCatalog)
          found.insert(file_of_pack(pack));
      }
    }
    if (evicted_ == HealEvicted::kBring) {
      for (const StoreFile& file : VARVE_TRY(held())) found.insert(file);
    } else {
      for (const StoreFile& file : VARVE_TRY(held())) found.erase(file);
    }
    // A list that lies here damaged was tried already.
    for (const StoreFile& file : found) {
      if (!names.contains(file)) result.push_back(file);
    }
    return result;
  }

  /// Packs under holds at remotes of this store; those that are to be left, by holds that count.
  Result<std::vector<StoreFile>> held() {
    const HoldingRemotes remotes = VARVE_TRY(holding_remotes(store_));
    std::vector<StoreFile> files;
    for (const HoldInForce& one : records_.holds()) {
      const auto remote = remotes.find(one.hold.replica);
      if (remote == remotes.end()) continue;
      const bool counts = remote->second.counted.contains(one.statement());
      if (!counts && evicted_ == HealEvicted::kLeave) continue;
      const auto packs = history_.packs_of(one.hold.lists);
      for (const PackInfo& pack : packs.value_or(std::vector<PackInfo>()))
        files.push_back(file_of_pack(pack));
    }
    return files;
  }

  Result<void> bring_missing() {
    std::set<StoreFile> tried;
    for (;;) {
      std::vector<StoreFile> wanted;
      for (const StoreFile& file : VARVE_TRY(lacking())) {
        if (tried.insert(file).second) wanted.push_back(file);
      }
      if (wanted.empty()) break;
      figures_.missing += wanted.size();
      VARVE_TRY(bring(wanted));
    }
    for (const StoreFile& file : tried) {
      if (!VARVE_TRY(store_.exists(path_of(file)))) unhealed_.insert(file);
    }
    return {};
  }

  Storage& store_;
  Storage& from_;
  const std::string& sender_;
  const HealLook look_;
  const HealProgress& progress_;
  const HealEvicted evicted_;
  StoreConfig config_;
  bool has_catalog_ = true;
  CarriedHistory history_;
  CarriedRecords records_;
  std::set<StoreFile> unhealed_;
  HealFigures figures_;
};

}  // namespace

Result<HealFigures> heal(Storage& store, Storage& from, const std::string& sender, HealLook look,
                         const HealProgress& progress, HealEvicted evicted) {
  return Healing(store, from, sender, look, progress, evicted).run();
}

}  // namespace varve
