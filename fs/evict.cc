#include "fs/evict.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_set>

#include "dedup/base/log.h"
#include "replicator/carried_history.h"
#include "replicator/ledger.h"
#include "replicator/remote.h"

namespace varve {
namespace {

/// What a bundle has beside its pack's rows, at most.
constexpr uint64_t kBundleOverheadBytes = 1024;
constexpr uint64_t kBundleChunkBytes = 36, kBundleSegmentBytes = 32;

using Packs = std::unordered_set<PackId, IdHash>;

class Eviction {
 public:
  Eviction(WorkingCopy& working_copy, const FilesAt& files_at, const EvictRequest& request)
      : working_copy_(working_copy), files_at_(files_at), request_(request) {}

  Result<EvictFigures> run() {
    remote_ = VARVE_TRY(find_remote(working_copy_.storage(), request_.remote));
    VARVE_TRY(read_ledgers());
    VARVE_TRY(read_holds());
    wanted_bytes_ = VARVE_TRY(wanted_bytes());
    std::vector<PackInfo> goes, waits, lacks_hold;
    VARVE_TRY(choose(goes, waits, lacks_hold));
    if (!lacks_hold.empty() && !request_.dry_run) {
      VARVE_TRY(working_copy_.history().publish_hold(remote_.replica, lacks_hold));
      working_copy_.packs().hold(lacks_hold);
      figures_.newly_held_packs = lacks_hold.size();
    }
    if (!goes.empty() && !request_.dry_run) VARVE_TRY(remove_all(goes));
    return figures_;
  }

 private:
  Result<void> read_ledgers() {
    for (const RemoteConfig& remote : VARVE_TRY(list_remotes(working_copy_.storage()))) {
      auto ledger = VARVE_TRY(ReplicationLedger::read(working_copy_.storage(),
                                                      replication_ledger_path(remote.replica)));
      (remote.replica == remote_.replica ? ledger_ : others_.emplace_back()) = std::move(ledger);
    }
    return {};
  }

  Result<void> read_holds() {
    for (const HoldInForce& one : working_copy_.history().holds()) {
      if (one.hold.replica != remote_.replica) continue;
      const bool counts = ledger_->is_held({one.hold.id, one.writer, one.sequence});
      for (const FileHash& list : one.hold.lists) {
        for (const PackInfo& pack : VARVE_TRY(working_copy_.history().packs_of_list(list)))
          (counts ? counted_ : announced_).insert(pack.pack);
      }
    }
    return {};
  }

  Result<uint64_t> wanted_bytes() {
    if (request_.bytes) return *request_.bytes;
    if (!request_.keep_free) return UINT64_MAX;
    const StorageSpace space = VARVE_TRY(working_copy_.storage().space());
    return *request_.keep_free - std::min(*request_.keep_free, space.available);
  }

  /// By the oldest list of a snapshot that names them; what only lists name that no snapshot does
  /// is older still.
  Result<std::vector<PackInfo>> oldest_first() {
    std::vector<FileHash> lists = working_copy_.history().lists_of(SetId());
    std::reverse(lists.begin(), lists.end());
    std::vector<PackInfo> named;
    Packs met;
    for (const FileHash& list : lists) {
      const Result<PackList> content = working_copy_.history().list(list);
      if (!content.ok()) continue;
      for (const PackInfo& row : content->rows) {
        if (met.insert(row.pack).second) named.push_back(row);
      }
    }
    std::vector<PackInfo> result;
    for (const PackInfo& info : working_copy_.packs().sealed_packs()) {
      if (!met.contains(info.pack)) result.push_back(info);
    }
    result.insert(result.end(), named.begin(), named.end());
    return result;
  }

  bool is_replicated(const PackInfo& info) const {
    const auto has = [&](const ReplicationLedger& ledger) {
      const auto entry = ledger.entry(file_of_pack(info));
      return entry && entry->length == info.length;
    };
    return has(*ledger_) &&
           std::all_of(others_.begin(), others_.end(), [&](const auto& one) { return has(*one); });
  }

  /// Whether what lies in it can be told without it.
  Result<bool> is_bundled(const PackInfo& info) {
    if (!VARVE_TRY(working_copy_.is_bundled(info.pack))) return false;
    const Result<PackIndex> index = working_copy_.packs().read_index(info.pack);
    if (!index.ok()) return false;
    return index->chunks.size() * kBundleChunkBytes + index->segments.size() * kBundleSegmentBytes +
               kBundleOverheadBytes <=
           kObjectBytesMax;
  }

  Result<bool> may_go(const PackInfo& info) {
    if (is_replicated(info) && VARVE_TRY(is_bundled(info))) return true;
    (is_replicated(info) ? figures_.unbundled_packs : figures_.unreplicated_packs)++;
    figures_.kept_packs++;
    figures_.kept_bytes += info.length;
    return false;
  }

  /// First what may go at once, then what has to wait, until it is enough.
  Result<void> choose(std::vector<PackInfo>& goes, std::vector<PackInfo>& waits,
                      std::vector<PackInfo>& lacks_hold) {
    std::vector<PackInfo> later;
    for (const PackInfo& info : VARVE_TRY(oldest_first())) {
      if (info.pack_class != PackClass::kData || !working_copy_.packs().find(info.pack)) continue;
      if (!VARVE_TRY(is_here(info)) || !VARVE_TRY(may_go(info))) continue;
      if (!counted_.contains(info.pack)) {
        later.push_back(info);
      } else if (figures_.bytes < wanted_bytes_) {
        goes.push_back(info);
        figures_.packs++;
        figures_.bytes += info.length;
      }
    }
    for (const PackInfo& info : later) {
      if (figures_.bytes + figures_.waiting_bytes >= wanted_bytes_) break;
      figures_.waiting_packs++;
      figures_.waiting_bytes += info.length;
      (announced_.contains(info.pack) ? waits : lacks_hold).push_back(info);
    }
    return {};
  }

  Result<bool> is_here(const PackInfo& info) {
    return working_copy_.storage().exists(pack_path(info.pack_class, info.hash));
  }

  // Removing.

  /// With its length: what is torn there counts as absent.
  static Result<bool> is_shown(Storage& there, const PackInfo& info) {
    const auto file = there.open_read(pack_path(info.pack_class, info.hash));
    if (!file.ok() && file.error().code() == Errc::kNotFound) return false;
    if (!file.ok()) return file.error();
    return VARVE_TRY((*file)->length()) == info.length;
  }

  /// What is not there stays here: false.
  Result<bool> remove(Storage& there, const PackInfo& info) {
    if (!VARVE_TRY(in_context(is_shown(there, info), "remote " + remote_.name))) {
      log_error(fmt::format("remote {} has lost {}: it stays here (varve replicate --relist)",
                            remote_.name, pack_path(info.pack_class, info.hash)));
      figures_.lost_packs++;
      figures_.kept_packs++;
      figures_.kept_bytes += info.length;
      return false;
    }
    VARVE_TRY(working_copy_.packs().evict(info));
    figures_.packs++;
    figures_.bytes += info.length;
    return true;
  }

  Result<void> remove_all(const std::vector<PackInfo>& packs) {
    const std::string shown = "remote " + remote_.name;
    const auto there = VARVE_TRY(in_context(files_at_(remote_.name), shown));
    VARVE_TRY(in_context(check_remote_identity(*there, working_copy_.config(), remote_), shown));
    figures_.packs = figures_.bytes = 0;  // chosen so far; now what goes
    std::set<std::string> folders;
    Result<void> done;
    for (const PackInfo& info : packs) {
      const Result<bool> removed = remove(*there, info);
      if (!removed.ok()) {
        done = removed.error();
        break;
      }
      const std::string path = pack_path(info.pack_class, info.hash);
      if (*removed) folders.insert(path.substr(0, path.rfind('/')));
    }
    for (const std::string& folder : folders) VARVE_TRY(working_copy_.storage().sync_dir(folder));
    if (figures_.packs > 0)
      log_info(fmt::format("{} packs ({} bytes) are evicted; {} holds them", figures_.packs,
                           figures_.bytes, shown));
    return done;
  }

  WorkingCopy& working_copy_;
  const FilesAt& files_at_;
  const EvictRequest& request_;
  RemoteConfig remote_;
  std::unique_ptr<ReplicationLedger> ledger_;
  std::vector<std::unique_ptr<ReplicationLedger>> others_;
  Packs counted_, announced_;  // under holds that count, and that do not yet
  uint64_t wanted_bytes_ = 0;
  EvictFigures figures_;
};

}  // namespace

Result<EvictFigures> evict(WorkingCopy& working_copy, const FilesAt& files_at,
                           const EvictRequest& request) {
  return Eviction(working_copy, files_at, request).run();
}

}  // namespace varve
