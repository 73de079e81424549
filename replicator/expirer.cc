#include "replicator/expirer.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>

#include "dedup/base/subdirectory.h"
#include "dedup/catalog_mode.h"
#include "dedup/guard.h"
#include "replicator/expiry_log.h"
#include "replicator/remote.h"

namespace varve {
namespace {

constexpr const char* kCondemnedFolder = "replica/condemned";
constexpr const char* kExpiryLockPath = "/replica/expiry.lock";

class Run {
 public:
  Run(Storage& remote, const ExpiryOptions& options, const MachineTime& machine)
      : remote_(remote),
        condemned_storage_(remote, kCondemnedFolder),
        options_(options),
        machine_(machine) {}

  Result<ExpiryReport> run() {
    config_ = VARVE_TRY(read_store_config(remote_));
    terms_.rule = options_.rule;
    terms_.replica = VARVE_TRY(check_place_to_expire(remote_, config_));
    log_ = VARVE_TRY(options_.dry_run ? ExpiryLog::read(remote_) : ExpiryLog::open(remote_));
    VARVE_TRY(look());
    VARVE_TRY(read_clock());
    ExpiryPlan plan = VARVE_TRY(judge());
    report(plan);
    if (options_.dry_run) {
      report_what_would_go(plan);
    } else if (has_work(plan)) {
      VARVE_TRY(carry_out(std::move(plan)));
    }
    return std::move(report_);
  }

 private:
  // Looking.

  Result<void> look() {
    const StoreFiles files = VARVE_TRY(list_store_files(remote_));
    const StoreFiles away = VARVE_TRY(list_store_files(condemned_storage_));
    here_ = {files.files.begin(), files.files.end()};
    away_ = {away.files.begin(), away.files.end()};
    // A sender says so before the first snapshot comes without its catalog packs.
    terms_.has_catalog = VARVE_TRY(senders_without_catalog(remote_)).empty();
    VARVE_TRY(history_.refresh(remote_, config_, files));
    VARVE_TRY(history_.add(condemned_storage_, config_, away.files));
    VARVE_TRY(records_.refresh(remote_, config_, files));
    VARVE_TRY(look_at_lengths(remote_, here_, fits_here_, torn_here_));
    return look_at_lengths(condemned_storage_, away_, fits_away_, torn_away_);
  }

  /// Which packs of `files` are not as long as lists say. What `fits` is not looked at again.
  Result<void> look_at_lengths(Storage& storage, const std::set<StoreFile>& files,
                               std::set<StoreFile>& fits, std::set<StoreFile>& torn) {
    torn.clear();
    for (const auto& [hash, list] : history_.lists()) {
      for (const PackInfo& row : list.content.rows) {
        const StoreFile file = file_of_pack(row);
        if (!files.contains(file) || fits.contains(file) || torn.contains(file)) continue;
        const auto opened = storage.open_read(path_of(file));
        if (!opened.ok() && opened.error().code() != Errc::kNotFound) return opened.error();
        const bool whole = opened.ok() && VARVE_TRY((*opened)->length()) == row.length;
        (whole ? fits : torn).insert(file);
      }
    }
    return {};
  }

  /// A list may come in with its snapshot between the two being listed: then it is there when one
  /// looks again.
  Result<ExpiryPlan> judge() {
    ExpiryPlan plan = judge_once();
    if (plan.unknown.empty()) return plan;
    VARVE_TRY(look());
    return judge_once();
  }

  ExpiryPlan judge_once() const {
    return plan_expiry({here_, away_, torn_here_, torn_away_, history_, records_}, terms_,
                       [&](const StoreFile& file) { return log_->met(file); });
  }

  Result<void> read_clock() {
    std::vector<PublishedAt> published;
    for (const CarriedSnapshot& snapshot : history_.snapshots())
      published.push_back({snapshot.sequence, snapshot.time});
    for (const auto& [hash, record] : records_.records())
      published.push_back({record.sequence, record.time});
    const ReplicaTime now =
        advance_replica_clock(VARVE_TRY(read_replica_clock(remote_)), machine_, published);
    terms_.now = report_.now = now.time;
    return options_.dry_run ? Result<void>() : write_replica_clock(remote_, now);
  }

  // Telling.

  void report(const ExpiryPlan& plan) {
    report_.snapshots = plan.snapshots;
    report_.strangers = plan.strangers;
    report_.unknown = plan.unknown;
    for (const JudgedSnapshot& snapshot : plan.snapshots) {
      if (snapshot.kept) {
        report_.snapshots_kept++;
      } else if (here_.contains({FileClass::kSnapshot, snapshot.hash})) {
        report_.snapshots_expired++;
      }
    }
  }

  static uint64_t bytes_of(const StoreFile& file, const ExpiryPlan& plan) {
    const auto found = plan.pack_bytes.find(file.hash);
    return found == plan.pack_bytes.end() ? 0 : found->second;
  }

  void report_what_would_go(const ExpiryPlan& plan) {
    report_.files_returned = plan.to_return.size();
    if (!plan.unknown.empty()) return;
    for (const StoreFile& file : plan.to_condemn) {
      report_.files_condemned++;
      report_.bytes_condemned += bytes_of(file, plan);
    }
    for (const StoreFile& file : plan.to_delete) {
      report_.files_deleted++;
      report_.bytes_deleted += bytes_of(file, plan);
    }
  }

  // Doing.

  /// Kept snapshots that an earlier run has said to go.
  std::vector<StoreFile> wrongly_condemned(const ExpiryPlan& plan) const {
    std::vector<StoreFile> found;
    for (const JudgedSnapshot& snapshot : plan.snapshots) {
      const StoreFile file{FileClass::kSnapshot, snapshot.hash};
      if (snapshot.kept && log_->is_condemned(file)) found.push_back(file);
    }
    return found;
  }

  bool has_work(const ExpiryPlan& plan) const {
    const bool may_go = plan.unknown.empty();
    return !plan.to_return.empty() || !plan.first_met.empty() || !wrongly_condemned(plan).empty() ||
           (may_go && (!plan.to_condemn.empty() || !plan.to_delete.empty()));
  }

  Result<void> carry_out(ExpiryPlan plan) {
    std::set<StoreFile> deletable = away_;
    log_->note_begun(terms_.now);
    for (const StoreFile& file : plan.first_met) log_->note_met(file, terms_.now);
    for (const StoreFile& file : wrongly_condemned(plan)) log_->note_back(file);
    std::vector<StoreFile> logged;
    if (plan.unknown.empty()) logged = plan.to_condemn;
    for (const StoreFile& file : logged) {
      log_->note_condemned(file);
      deletable.erase(file);  // it came in again: it is condemned anew, and stays for one run
    }
    VARVE_TRY(log_->save());
    VARVE_TRY(bring_back(plan.to_return));
    if (!logged.empty()) {
      if (options_.wait) VARVE_TRY(options_.wait());
      plan = VARVE_TRY(look_again(logged));
      report_.unknown = plan.unknown;
      VARVE_TRY(bring_back(plan.to_return));
      VARVE_TRY(move_away(logged, plan));
    }
    if (plan.unknown.empty()) VARVE_TRY(remove(plan, deletable));
    if (!logged.empty()) {
      // What came in while files were moved, and whose sender has read the log before. Nothing is
      // moved any more.
      VARVE_TRY(bring_back(VARVE_TRY(look_again({})).to_return));
    }
    log_->note_ended();
    return log_->save();
  }

  /// Snapshots that are here and not among `leaving` came in meanwhile, or others that came in take
  /// their turn. They are seen after this run, so they are whole after it: the next one judges
  /// them.
  Result<ExpiryPlan> look_again(const std::vector<StoreFile>& leaving) {
    VARVE_TRY(check_place_to_expire(remote_, config_));  // it may have been promoted meanwhile
    terms_.leaving.emplace();
    for (const StoreFile& file : leaving) {
      if (file.file_class == FileClass::kSnapshot) terms_.leaving->insert(file.hash);
    }
    VARVE_TRY(look());
    return judge();
  }

  /// Those that the log names and that are still needed by none, class by class.
  Result<void> move_away(const std::vector<StoreFile>& logged, const ExpiryPlan& plan) {
    std::set<StoreFile> still;
    if (plan.unknown.empty()) still = {plan.to_condemn.begin(), plan.to_condemn.end()};
    bool any_stays = false;
    for (const StoreFile& file : logged) {
      if (still.contains(file)) continue;
      log_->note_back(file);
      any_stays = true;
    }
    if (any_stays) VARVE_TRY(log_->save());
    for (const FileClass file_class :
         {FileClass::kSnapshot, FileClass::kList, FileClass::kCatalogPack, FileClass::kPack}) {
      std::vector<StoreFile> files;
      for (const StoreFile& file : logged) {
        if (file.file_class != file_class || !still.contains(file)) continue;
        files.push_back(file);
        report_.bytes_condemned += bytes_of(file, plan);
      }
      report_.files_condemned += files.size();
      VARVE_TRY(move(files, true));
    }
    return {};
  }

  Result<void> bring_back(const std::vector<StoreFile>& files) {
    for (const FileClass file_class :
         {FileClass::kPack, FileClass::kCatalogPack, FileClass::kList, FileClass::kSnapshot}) {
      std::vector<StoreFile> some;
      std::copy_if(files.begin(), files.end(), std::back_inserter(some),
                   [&](const StoreFile& file) { return file.file_class == file_class; });
      VARVE_TRY(move(some, false));
      for (const StoreFile& file : some) log_->note_back(file);
    }
    report_.files_returned += files.size();
    return files.empty() ? Result<void>() : log_->save();
  }

  /// Durable on return. What is gone meanwhile is no error: a replicator removes checkpoints.
  Result<void> move(const std::vector<StoreFile>& files, bool away) {
    std::set<std::string> from_folders, to_folders;
    for (const StoreFile& file : files) {
      const std::string place = path_of(file), aside = condemned_storage_.below(place);
      const std::string& from = away ? place : aside;
      const std::string& to = away ? aside : place;
      const std::string place_folder = folder_of(file),
                        aside_folder = condemned_storage_.below(place_folder);
      const std::string& to_folder = away ? aside_folder : place_folder;
      if (to_folders.insert(to_folder).second) VARVE_TRY(remote_.make_directories(to_folder));
      Result<void> moved = remote_.rename(from, to);
      if (!moved.ok() && moved.error().code() != Errc::kNotFound) return moved;
      from_folders.insert(away ? place_folder : aside_folder);
    }
    for (const std::string& folder : to_folders) VARVE_TRY(remote_.sync_dir(folder));
    for (const std::string& folder : from_folders) VARVE_TRY(remote_.sync_dir(folder));
    return {};
  }

  /// What an earlier run condemned.
  Result<void> remove(const ExpiryPlan& plan, const std::set<StoreFile>& deletable) {
    std::set<std::string> folders;
    const auto sync = [&]() -> Result<void> {
      for (const std::string& folder : folders) VARVE_TRY(condemned_storage_.sync_dir(folder));
      folders.clear();
      return {};
    };
    bool lists_begun = false;
    for (const StoreFile& file : plan.to_delete) {
      if (!deletable.contains(file)) continue;
      // A pack is gone for good before the list that names it.
      if (file.file_class == FileClass::kList && !std::exchange(lists_begun, true))
        VARVE_TRY(sync());
      Result<void> removed = condemned_storage_.unlink(path_of(file));
      if (!removed.ok() && removed.error().code() != Errc::kNotFound) return removed;
      folders.insert(folder_of(file));
      report_.files_deleted++;
      report_.bytes_deleted += bytes_of(file, plan);
    }
    return sync();
  }

  Storage& remote_;
  Subdirectory condemned_storage_;
  const ExpiryOptions& options_;
  const MachineTime& machine_;
  StoreConfig config_;
  ExpiryTerms terms_;
  CarriedHistory history_;
  CarriedRecords records_;
  std::set<StoreFile> here_, away_;
  std::set<StoreFile> fits_here_, fits_away_;  // in this run
  std::set<StoreFile> torn_here_, torn_away_;
  std::unique_ptr<ExpiryLog> log_;
  ExpiryReport report_;
};

Result<UniqueFd> open_locked(const std::string& root, int flags) {
  const std::string path = root + kExpiryLockPath;
  UniqueFd file(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0600));
  if (!file.valid()) return error_from_errno(errno, "opening " + path);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file;
  if (errno != EWOULDBLOCK) return error_from_errno(errno, "locking " + path);
  return Error(Errc::kBusy, "a run of expiry is at work at " + root + ": wait until it is over");
}

}  // namespace

Result<ExpiryLock> ExpiryLock::acquire(const std::string& root) {
  return ExpiryLock(VARVE_TRY(open_locked(root, O_CREAT)));
}

Result<std::optional<ExpiryLock>> ExpiryLock::acquire_if_any(const std::string& root) {
  Result<UniqueFd> file = open_locked(root, 0);
  if (!file.ok() && file.error().code() == Errc::kNotFound) return std::optional<ExpiryLock>();
  return std::optional(ExpiryLock(VARVE_TRY(std::move(file))));
}

Result<ReplicaId> check_place_to_expire(Storage& remote, const StoreConfig& config) {
  if (VARVE_TRY(is_live_store(remote, config))) {
    return Error(Errc::kBusy,
                 "it is a live store, as a promoted remote is, where a snapshot is removed by "
                 "rmdir MNT/SET/.varve/snapshots/NAME; expiry without a key is for remotes");
  }
  const AskPlace nowhere = [] { return Result<Place>(Place{"a remote", 0}); };
  const GuardFound found = VARVE_TRY(read_guard(remote, nowhere, config.store_id));
  if (!found.guard) {
    return Error(Errc::kNotFound,
                 "it has no replica/guard: is it mounted? varve remote add makes a remote");
  }
  return found.guard->replica;
}

Result<ExpiryReport> expire(Storage& remote, const ExpiryOptions& options,
                            const MachineTime& machine) {
  return Run(remote, options, machine).run();
}

}  // namespace varve
