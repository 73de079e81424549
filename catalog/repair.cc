#include "catalog/repair.h"

#include <fmt/format.h>

#include <filesystem>
#include <set>

#include "dedup/base/log.h"
#include "dedup/chunk_index.h"
#include "dedup/hasher.h"
#include "dedup/quarantine.h"

namespace varve {
namespace {

constexpr const char* kIndexFolder = "local/index";
constexpr std::string_view kRefusedPrefix = "refused-";
constexpr size_t kPacksPerSettle = 64;

std::string folder_above(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

/// Only the newest refused working copy is kept; these are local/'s own files, so plain calls do.
void remove_older_refused(const std::string& local, const std::string& newest) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(local, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kRefusedPrefix) || name == newest) continue;
    std::error_code failed;
    std::filesystem::remove_all(entry.path(), failed);
    if (failed) log_warning(entry.path().string() + " stays: " + failed.message());
  }
}

class Repair {
 public:
  Repair(const CheckedStore& store, const RepairOptions& options, CheckReport& report)
      : store_(store), options_(options), report_(report) {}

  Result<Repairs> run() {
    VARVE_TRY(files());
    VARVE_TRY(index());
    VARVE_TRY(working_copy());
    return done_;
  }

 private:
  void mark(Finding& finding) {
    finding.repaired = true;
    done_.changes++;
  }

  Result<void> files() {
    std::set<std::string> moved;
    for (Finding& finding : report_.findings) {
      const bool damaged_file = finding.kind == FindingKind::kFile ||
                                (finding.kind == FindingKind::kPack && finding.unreadable);
      if (finding.kind == FindingKind::kTemporary) {
        VARVE_TRY(store_.storage.unlink(finding.file));
        VARVE_TRY(store_.storage.sync_dir(folder_above(finding.file)));
        mark(finding);
      } else if (damaged_file && (finding.kind == FindingKind::kFile || options_.all)) {
        if (moved.contains(finding.file) ||
            VARVE_TRY(move_to_quarantine(store_.storage, finding.file))) {
          moved.insert(finding.file);
          mark(finding);
        }
      }
    }
    return {};
  }

  // The index.

  Result<void> index() {
    bool anew = false, has_lost_chunks = false;
    for (const Finding& finding : report_.findings) {
      anew = anew || finding.kind == FindingKind::kIndex;
      has_lost_chunks = has_lost_chunks || finding.kind == FindingKind::kPack;
    }
    if (!anew && (!has_lost_chunks || !VARVE_TRY(store_.storage.exists(kIndexFolder)))) return {};
    if (anew) VARVE_TRY(remove_runs());
    const auto index = VARVE_TRY(open_chunk_index(store_.storage, kIndexFolder));
    const std::vector<PackId> listed = index->packs_on_disk();
    const std::set<PackId> indexed(listed.begin(), listed.end());
    size_t unsettled = 0;
    for (const CheckReport::ReadablePack& pack : report_.readable_packs) {
      if (!anew && pack.lost.empty()) continue;
      if (!anew && !indexed.contains(pack.info.pack)) continue;
      index->remove_pack(pack.info.pack);
      VARVE_TRY(index->settle());
      VARVE_TRY(add(pack, *index));
      if (++unsettled % kPacksPerSettle == 0) VARVE_TRY(index->settle());
    }
    VARVE_TRY(index->settle());
    for (Finding& finding : report_.findings) {
      if (finding.kind == FindingKind::kIndex) mark(finding);
    }
    return {};
  }

  Result<void> remove_runs() {
    for (const StorageEntry& entry : VARVE_TRY(list_if_there(store_.storage, kIndexFolder))) {
      if (entry.is_directory) continue;
      VARVE_TRY(store_.storage.unlink(std::string(kIndexFolder) + "/" + entry.name));
    }
    return {};
  }

  /// What can be read in the pack, and nothing else.
  Result<void> add(const CheckReport::ReadablePack& pack, ChunkIndex& index) {
    const bool data = pack.info.pack_class == PackClass::kData;
    const StoreFile file{data ? FileClass::kPack : FileClass::kCatalogPack, pack.info.hash};
    const Hasher hasher(store_.keyring);
    ScrubbedPack scrubbed =
        scrub_pack(store_.storage, store_.keyring, hasher, file, std::nullopt, ScrubDepth::kEnds);
    if (!scrubbed.header) return {};
    std::set<uint32_t> lost = scrubbed.lost;
    lost.insert(pack.lost.begin(), pack.lost.end());
    for (const uint32_t segment : lost) {
      if (segment < scrubbed.index.segments.size())
        scrubbed.index.segments[segment].chunk_count = 0;
    }
    index.add_pack(pack.info.pack, scrubbed.index);
    return {};
  }

  // The database.

  Result<void> working_copy() {
    const auto is_wrong = [](const Finding& f) { return f.kind == FindingKind::kWorkingCopy; };
    if (!options_.all || std::none_of(report_.findings.begin(), report_.findings.end(), is_wrong)) {
      return {};
    }
    VARVE_TRY(move_working_copy_aside(store_.storage, options_.root + "/local", store_.clock));
    done_.working_copy_refused = true;
    for (Finding& finding : report_.findings) {
      const bool live = finding.path && finding.snapshot.empty();
      if (is_wrong(finding) || live) mark(finding);
    }
    return {};
  }

  const CheckedStore& store_;
  const RepairOptions& options_;
  CheckReport& report_;
  Repairs done_;
};

}  // namespace

Result<Repairs> repair_store(const CheckedStore& store, const RepairOptions& options,
                             CheckReport& report) {
  return Repair(store, options, report).run();
}

Result<std::string> move_working_copy_aside(Storage& storage, const std::string& local,
                                            Clock& clock) {
  const std::string base = std::string(kRefusedPrefix) + utc_name(clock.now());
  std::string name = base;
  for (int i = 2; VARVE_TRY(storage.exists("local/" + name)); i++) {
    name = base + "-" + std::to_string(i);
  }
  const std::string folder = "local/" + name;
  VARVE_TRY(storage.make_directories(folder));
  for (const char* part : {"db", "open"}) {
    const std::string from = std::string("local/") + part;
    if (VARVE_TRY(storage.exists(from))) VARVE_TRY(storage.rename(from, folder + "/" + part));
    VARVE_TRY(storage.sync_dir(folder));
    VARVE_TRY(storage.make_directories(from));  // this syncs local/, and so the rename
  }
  remove_older_refused(local, name);
  return folder;
}

}  // namespace varve
