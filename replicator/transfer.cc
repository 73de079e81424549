#include "replicator/transfer.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "dedup/base/codec.h"
#include "replicator/carried_history.h"
#include "replicator/expiry_log.h"
#include "replicator/remote.h"

namespace varve {
namespace {

constexpr size_t kTransferThreads = 4;

/// Copies files of one class, by several threads.
class Stage {
 public:
  Stage(const Shipment::Route& route, const std::vector<StoreFile>& files, TransferFigures& figures,
        const TransferProgress& progress, TransferRule rule)
      : route_(route), files_(files), figures_(figures), progress_(progress), rule_(rule) {}

  Result<void> run() {
    VARVE_TRY(make_folders());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < std::min(kTransferThreads, files_.size()); i++)
      threads.emplace_back([this] { work(); });
    for (std::thread& thread : threads) thread.join();
    if (error_) return *error_;
    return {};
  }

 private:
  Result<void> make_folders() {
    std::set<std::string> folders;
    for (const StoreFile& file : files_) folders.insert(folder_of(file));
    for (const std::string& folder : folders) VARVE_TRY(route_.to.make_directories(folder));
    return {};
  }

  void work() {
    for (;;) {
      const size_t number = next_++;
      if (number >= files_.size() || failed_) return;
      const Result<void> done = copy_one(files_[number]);
      if (done.ok()) continue;
      std::lock_guard lock(mutex_);
      if (!error_) error_ = done.error();
      failed_ = true;
    }
  }

  Result<void> copy_one(const StoreFile& file) {
    const bool look = rule_ == TransferRule::kWhatIsThereCounts;
    Shipment shipment(route_, file, look ? Shipment::Look::kFirst : Shipment::Look::kNone);
    for (;;) {
      const std::optional<Shipment::Outcome> outcome = VARVE_TRY(shipment.step());
      if (!outcome) continue;
      note(shipment, *outcome);
      return {};
    }
  }

  void note(const Shipment& shipment, Shipment::Outcome outcome) {
    std::lock_guard lock(mutex_);
    switch (outcome) {
      case Shipment::Outcome::kSent:
        figures_.files_copied++;
        figures_.bytes_copied += shipment.length();
        break;
      case Shipment::Outcome::kWasThere:
        figures_.files_were_there++;
        break;
      case Shipment::Outcome::kSourceGone:
      case Shipment::Outcome::kNotThere:
        break;
      case Shipment::Outcome::kSourceDamaged:
        figures_.problems.push_back(shipment.problem() + "; it is not copied");
        break;
    }
    if (progress_) progress_(figures_);
  }

  const Shipment::Route& route_;
  const std::vector<StoreFile>& files_;
  TransferFigures& figures_;
  const TransferProgress& progress_;
  const TransferRule rule_;
  std::atomic<size_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::optional<Error> error_;
};

std::vector<StoreFile> of_class(const std::vector<StoreFile>& files, FileClass file_class) {
  std::vector<StoreFile> found;
  std::copy_if(files.begin(), files.end(), std::back_inserter(found),
               [&](const StoreFile& file) { return file.file_class == file_class; });
  return found;
}

/// Without checkpoints that have a newer one of their writer among them or in `there`.
std::vector<StoreFile> without_superseded(const std::vector<const CarriedSnapshot*>& whole,
                                          const CarriedHistory& history,
                                          const std::set<StoreFile>& there) {
  std::map<WriterId, uint64_t> newest;
  const auto note = [&](const CarriedSnapshot& snapshot) {
    uint64_t& sequence = newest[snapshot.writer];
    if (snapshot.is_checkpoint()) sequence = std::max(sequence, snapshot.sequence);
  };
  for (const CarriedSnapshot& snapshot : history.snapshots()) {
    if (there.contains(snapshot.file())) note(snapshot);
  }
  for (const CarriedSnapshot* snapshot : whole) note(*snapshot);
  std::vector<StoreFile> files;
  for (const CarriedSnapshot* snapshot : whole) {
    if (!snapshot->is_checkpoint() || snapshot->sequence == newest[snapshot->writer])
      files.push_back(snapshot->file());
  }
  return files;
}

/// The snapshots of the drive that are whole in `to`, which has all that the drive had for it.
Result<std::vector<StoreFile>> snapshots_that_are_whole(Storage& from, Storage& to,
                                                        const StoreConfig& config,
                                                        const std::vector<StoreFile>& offered,
                                                        TransferFigures& figures) {
  const StoreFiles there = VARVE_TRY(list_store_files(to));
  const std::set<StoreFile> names(there.files.begin(), there.files.end());
  CarriedHistory history;
  const Result<void> read = history.refresh(to, config, there);
  if (!read.ok() && read.error().code() == Errc::kCorrupt) {
    // No generation of access has come in so far: nobody could say what the snapshots need.
    figures.snapshots_waiting += offered.size();
    return std::vector<StoreFile>();
  }
  VARVE_TRY(Result<void>(read));
  VARVE_TRY(history.add(from, config, offered));
  // What has expired there would only be removed again; but who lives there decides for himself.
  const bool expires = !VARVE_TRY(is_live_store(to, config));
  const auto log = VARVE_TRY(ExpiryLog::read(to));
  std::vector<const CarriedSnapshot*> whole;
  for (const CarriedSnapshot& snapshot : history.snapshots()) {
    if (names.contains(snapshot.file())) continue;
    if (expires && log->is_condemned(snapshot.file())) {
      figures.snapshots_expired++;
      continue;
    }
    const bool fits =
        history.lacking(snapshot, [&](const StoreFile& file) { return names.contains(file); })
            .nothing();
    if (fits) {
      whole.push_back(&snapshot);
    } else {
      figures.snapshots_waiting++;
    }
  }
  for (const auto& [file, problem] : history.problems()) {
    if (!names.contains(file)) figures.problems.push_back(problem + "; it is not copied");
  }
  return without_superseded(whole, history, names);
}

}  // namespace

std::string sender_of_source(const std::string& directory) {
  Encoder place;
  place.u64(xxh3(as_bytes(directory)));
  return "drive-" + to_hex(place.view());
}

Result<void> transfer(const Shipment::Route& route, std::vector<StoreFile> files,
                      TransferFigures& figures, const TransferProgress& progress,
                      TransferRule rule) {
  std::sort(files.begin(), files.end());
  for (const FileClass file_class : {FileClass::kKeys, FileClass::kPack, FileClass::kCatalogPack,
                                     FileClass::kList, FileClass::kSnapshot, FileClass::kRecord}) {
    VARVE_TRY(Stage(route, of_class(files, file_class), figures, progress, rule).run());
  }
  return {};
}

Result<TransferFigures> absorb(Storage& from, Storage& to, const std::string& sender,
                               const TransferProgress& progress) {
  const StoreConfig config = VARVE_TRY(read_store_config(to));
  const StoreConfig theirs =
      VARVE_TRY(in_context(read_store_config(from), "what is to be absorbed"));
  if (theirs.hash != config.hash)
    return Error(Errc::kForeign, "it is of another store (" + theirs.store_id.hex() + ")");
  const Shipment::Route route{from, to, sender};
  const std::vector<StoreFile> files = VARVE_TRY(list_store_files(from)).files;
  TransferFigures figures;
  std::vector<StoreFile> first;
  std::copy_if(files.begin(), files.end(), std::back_inserter(first),
               [](const StoreFile& file) { return file.file_class < FileClass::kSnapshot; });
  VARVE_TRY(transfer(route, std::move(first), figures, progress));
  std::vector<StoreFile> last = VARVE_TRY(
      snapshots_that_are_whole(from, to, config, of_class(files, FileClass::kSnapshot), figures));
  const std::vector<StoreFile> records = of_class(files, FileClass::kRecord);
  last.insert(last.end(), records.begin(), records.end());
  VARVE_TRY(transfer(route, std::move(last), figures, progress));
  return figures;
}

Result<TransferFigures> carry(Storage& from, Storage& to, const StoreConfig& config,
                              const std::string& sender,
                              const std::function<bool(const StoreFile&)>& is_there,
                              const TransferProgress& progress) {
  VARVE_TRY(settle_store_config(to, from));
  const StoreFiles here = VARVE_TRY(list_store_files(from));
  CarriedHistory history;
  VARVE_TRY(history.refresh(from, config, here));
  std::set<StoreFile> left_out;
  for (const CarriedSnapshot& snapshot : history.snapshots()) {
    if (history.is_superseded(snapshot)) left_out.insert(snapshot.file());
  }
  std::vector<StoreFile> files;
  for (const StoreFile& file : here.files) {
    // Keys always: with them the drive can be checked where it arrives.
    const bool wanted = file.file_class == FileClass::kKeys || !is_there(file);
    if (wanted && !left_out.contains(file)) files.push_back(file);
  }
  TransferFigures figures;
  VARVE_TRY(transfer({from, to, sender}, std::move(files), figures, progress));
  return figures;
}

}  // namespace varve
