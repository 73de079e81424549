// What can be said of a store without a key: hashes, signatures, and the packs that lists name.

#include <fmt/format.h>

#include <mutex>
#include <set>

#include "catalog/check_history.h"
#include "catalog/checker.h"
#include "dedup/base/executor.h"
#include "dedup/catalog_mode.h"

namespace varve {
namespace {

bool is_pack_file(const StoreFile& file) {
  return file.file_class == FileClass::kPack || file.file_class == FileClass::kCatalogPack;
}

/// Hashes packs on several threads.
class PackHashes {
 public:
  PackHashes(const KeylessStore& store, const CheckOptions& options,
             const std::map<FileHash, PackInfo>& listed, CheckReport& report)
      : store_(store), options_(options), listed_(listed), report_(report) {}

  void run(const StoreFiles& files) {
    for (const StoreFile& file : files.files) {
      if (!is_pack_file(file)) continue;
      report_.packs++;
      if (!wanted(file)) continue;
      const auto known = listed_.find(file.hash);
      total_ += known == listed_.end() ? kPackBytes : known->second.length;
    }
    auto pool = make_thread_pool("varve-hash", std::max<size_t>(1, options_.threads), 8);
    for (const StoreFile& file : files.files) {
      if (is_pack_file(file)) pool->run([this, file] { check(file); });
    }
  }

 private:
  bool wanted(const StoreFile& file) const {
    return options_.read_data && (!options_.wanted || options_.wanted(file.hash));
  }

  void check(const StoreFile& file) {
    const Result<void> checked = wanted(file) ? hash(file) : look(file);
    if (checked.ok() || checked.error().code() == Errc::kNotFound) return;
    std::lock_guard lock(mutex_);
    Finding finding;
    finding.kind = FindingKind::kPack;
    finding.file = path_of(file);
    const auto known = listed_.find(file.hash);
    if (known != listed_.end()) finding.pack = known->second.pack;
    finding.problem = checked.error().message();
    report_.add(std::move(finding));
  }

  Result<void> hash(const StoreFile& file) {
    const auto on_read = [&](uint64_t bytes) {
      std::lock_guard lock(mutex_);
      done_ += bytes;
      if (options_.progress) options_.progress({"reading packs", done_, total_, true});
    };
    const uint64_t length = VARVE_TRY(hash_store_file(store_.storage, file, on_read));
    VARVE_TRY(compare(file, length));
    if (options_.ledger != nullptr) {
      options_.ledger->note(file.hash, VerificationLedger::Depth::kHash,
                            store_.clock.now() / 1'000'000'000);
    }
    std::lock_guard lock(mutex_);
    report_.packs_read++;
    report_.bytes_read += length;
    return {};
  }

  Result<void> look(const StoreFile& file) {
    const auto opened = VARVE_TRY(store_.storage.open_read(path_of(file)));
    return compare(file, VARVE_TRY(opened->length()));
  }

  Result<void> compare(const StoreFile& file, uint64_t length) const {
    const auto known = listed_.find(file.hash);
    if (known == listed_.end() || known->second.length == length) return {};
    return Error(Errc::kCorrupt,
                 fmt::format("it has {} bytes and should have {}", length, known->second.length));
  }

  const KeylessStore& store_;
  const CheckOptions& options_;
  const std::map<FileHash, PackInfo>& listed_;
  CheckReport& report_;
  std::mutex mutex_;
  uint64_t done_ = 0, total_ = 0;
};

}  // namespace

Result<CheckReport> check_store_without_key(const KeylessStore& store,
                                            const CheckOptions& options) {
  CheckReport report;
  const StoreFiles files = VARVE_TRY(list_store_files(store.storage));
  note_temporaries(files, report);
  CheckedHistory history = VARVE_TRY(CheckedHistory::read(nullptr, store, files, report));
  PackHashes(store, options, history.packs(), report).run(files);
  const std::set<StoreFile> here(files.files.begin(), files.files.end());
  const bool has_catalog = VARVE_TRY(senders_without_catalog(store.storage)).empty();
  const auto is_here = [&](const PackInfo& info) {
    const bool data = info.pack_class == PackClass::kData;
    if (!data && !has_catalog) return true;  // they stay at a site
    return here.contains({data ? FileClass::kPack : FileClass::kCatalogPack, info.hash});
  };
  std::set<FileHash> evicted;
  for (const PackInfo& info : history.evicted(options.remotes, is_here, report))
    evicted.insert(info.hash);
  history.check_lists(
      [&](const PackInfo& info) { return is_here(info) || evicted.contains(info.hash); }, report);
  return report;
}

}  // namespace varve
