// fsck.varve: checks a store, and repairs what can be repaired.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "catalog/local_place.h"
#include "catalog/repair.h"
#include "catalog/store_lock.h"
#include "catalog/working_copy.h"
#include "dedup/base/lmdb_kv.h"
#include "dedup/base/log.h"
#include "dedup/guard.h"
#include "fs/check_fields.h"
#include "fs/control.h"
#include "replicator/holding_remotes.h"
#include "tools/check_output.h"
#include "tools/mounted.h"
#include "tools/passphrase.h"

namespace varve {
namespace {

constexpr const char* kProgram = "fsck.varve";
constexpr const char* kExamples =
    "Examples:\n"
    "  fsck.varve -n /srv/store                        looks only; also while the store is "
    "mounted\n"
    "  fsck.varve -p --passphrase-file pw /srv/store   safe repairs: temporaries go, damaged "
    "lists,\n"
    "                                                  snapshots and records are moved aside, the\n"
    "                                                  index is made anew\n"
    "  fsck.varve -y --read-data --passphrase-file pw /srv/store\n"
    "                                                  reads every byte; makes a damaged working "
    "copy\n"
    "                                                  anew from the store's files\n"
    "\n"
    "What is moved aside lies in replica/quarantine and local/refused-*; nothing is deleted.\n"
    "Exit codes, added: 0 clean, 1 corrected, 4 damage left, 8 operational error, 16 wrong usage.";

enum ExitCode { kClean = 0, kCorrected = 1, kUncorrected = 4, kOperational = 8, kUsage = 16 };

struct Arguments {
  std::string store;
  SecretSource secret;
  bool look = false, safe = false, all = false, read_data = false, json = false;
};

constexpr const char* kDatabase = "local/db";

/// Every row, and the way to it from the root.
Result<void> read_all_rows(KvView& view) {
  const auto cursor = VARVE_TRY(view.cursor());
  for (VARVE_TRY(cursor->seek(std::string(1, '\0'))); cursor->valid(); VARVE_TRY(cursor->next())) {
    if (!VARVE_TRY(view.get(cursor->key()))) return Error(Errc::kCorrupt, "a row is not found");
  }
  return {};
}

class Fsck {
 public:
  explicit Fsck(const Arguments& arguments) : arguments_(arguments), line_(!arguments.json) {}

  Result<int> run() {
    if (arguments_.look && read_store_lock(arguments_.store).ok()) return check_mounted();
    storage_ = VARVE_TRY(open_store_storage(arguments_.store));
    config_ = VARVE_TRY(in_context(read_store_config(*storage_), arguments_.store));
    if (!arguments_.look) VARVE_TRY(lock());
    has_database_ = VARVE_TRY(storage_->exists(std::string(kDatabase) + "/data.mdb"));
    secret_.emplace(VARVE_TRY(read_access_secret(arguments_.secret, arguments_.store)));
    keyring_.emplace(VARVE_TRY(open_keyring(*storage_, config_, *secret_)));
    const GuardFound found = VARVE_TRY(read_guard(*storage_, arguments_.store, config_.store_id));
    if (found.guard) replica_ = found.guard->replica;
    is_working_store_ = found.guard && !found.guard->writer.is_zero();
    CheckReport report = VARVE_TRY(check());
    const bool changed = !arguments_.look && VARVE_TRY(repair(report));
    return print(check_fields(report), changed);
  }

 private:
  /// A copy, as a remote or a drive has it, is mounted by nobody and has no local/.
  Result<void> lock() {
    if (!VARVE_TRY(storage_->exists("local"))) return {};
    auto lock = StoreLock::acquire(arguments_.store, "", system_clock());
    if (!lock.ok() && lock.error().code() == Errc::kBusy) {
      return Error(Errc::kBusy,
                   lock.error().message() + ": unmount it to repair it, or look with -n");
    }
    lock_ = VARVE_TRY(std::move(lock));
    return {};
  }

  Result<int> check_mounted() {
    Result<nlohmann::json> report =
        control_call(control_socket(arguments_.store),
                     {{"command", "check"}, {"read_data", arguments_.read_data}});
    if (!report.ok()) {
      return std::move(report).error().with_context(arguments_.store +
                                                    " is in use, and its daemon does not check it");
    }
    return print(*report, false);
  }

  Result<CheckReport> check() {
    CheckOptions options;
    options.read_data = arguments_.read_data;
    options.threads = std::max(1U, std::thread::hardware_concurrency());
    if (auto holding = holding_remotes(*storage_); holding.ok()) options.remotes = *holding;
    options.progress = [this](const CheckProgress& progress) { show_progress(line_, progress); };
    std::unique_ptr<Kv> database;
    std::unique_ptr<KvView> view;
    if (has_database_) {
      const Result<void> opened = open_database(database, view);
      if (!opened.ok() && opened.error().code() != Errc::kCorrupt) return opened.error();
      if (!opened.ok()) refused_ = opened.error().message();
    }
    const CheckedStore store{*storage_, config_, *keyring_, view.get(), replica_};
    Result<CheckReport> report = check_store(store, options);
    line_.clear();
    if (!report.ok()) return report;
    if (!refused_.empty()) add_database_finding(*report, refused_);
    const bool missing =
        is_working_store_ && refused_.empty() && report->snapshots > 0 && !report->working_copy &&
        std::none_of(report->findings.begin(), report->findings.end(), [](const Finding& finding) {
          return finding.kind == FindingKind::kWorkingCopy;
        });
    if (missing) add_database_finding(*report, "is missing or empty: a mount makes it anew");
    return report;
  }

  /// kCorrupt if not all of it can be read, whatever the reason; then there is no view.
  Result<void> open_database(std::unique_ptr<Kv>& database, std::unique_ptr<KvView>& view) {
    database = VARVE_TRY(open_lmdb_kv(arguments_.store + "/" + kDatabase));
    view = VARVE_TRY(database->view());
    const Result<void> readable = read_all_rows(*view);
    if (readable.ok()) return {};
    view.reset();
    return Error(Errc::kCorrupt, readable.error().message());
  }

  static void add_database_finding(CheckReport& report, std::string problem) {
    Finding finding;
    finding.kind = FindingKind::kWorkingCopy;
    finding.file = kDatabase;
    finding.problem = std::move(problem);
    report.add(std::move(finding));
  }

  Result<bool> repair(CheckReport& report) {
    const CheckedStore store{*storage_, config_, *keyring_, nullptr, replica_};
    const Repairs done = VARVE_TRY(repair_store(store, {arguments_.all, arguments_.store}, report));
    if (done.working_copy_refused) VARVE_TRY(rebuild_working_copy());
    return done.changes > 0;
  }

  /// Opening it makes it anew; it takes the lock itself.
  Result<void> rebuild_working_copy() {
    lock_.reset();
    Metrics metrics;
    const auto copy =
        VARVE_TRY(WorkingCopy::open(arguments_.store, *secret_, WorkingCopy::Options(), metrics));
    return copy->finish([](const Snapshotter::Moment& moment) { return moment(); });
  }

  int print(const nlohmann::json& report, bool changed) {
    if (arguments_.json) {
      fmt::print("{}\n", report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    } else {
      print_check(report, arguments_.store);
    }
    return (changed ? kCorrected : kClean) | (outcome_of(report).left > 0 ? kUncorrected : kClean);
  }

  const Arguments& arguments_;
  ProgressLine line_;
  std::unique_ptr<Storage> storage_;
  StoreConfig config_;
  std::optional<AccessSecret> secret_;
  std::unique_ptr<StoreLock> lock_;
  std::optional<Keyring> keyring_;
  ReplicaId replica_;
  bool is_working_store_ = false;  // a writer lives here: there should be a working copy
  bool has_database_ = false;
  std::string refused_;  // why the database cannot be read
};

void add_options(CLI::App& app, Arguments& arguments) {
  app.footer(kExamples);
  app.add_option("STORE", arguments.store, "Directory of the store")->required();
  auto* look = app.add_flag("-n", arguments.look, "Change nothing");
  auto* safe = app.add_flag("-p,-a", arguments.safe, "Repair what can be repaired safely");
  auto* all = app.add_flag("-y", arguments.all, "Repair everything that can be repaired");
  look->excludes(safe)->excludes(all);
  safe->excludes(all);
  app.add_flag("--read-data", arguments.read_data,
               "Read, open and check every byte of every pack, too");
  app.add_flag("--json", arguments.json, "Print JSON");
  add_secret_options(app, arguments.secret);
}

}  // namespace

int run_fsck(int argc, char** argv) {
  CLI::App app("Checks a store, from its snapshots down to their bytes, and repairs it.", kProgram);
  Arguments arguments;
  add_options(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kClean : kUsage;
  }
  if (!arguments.look && !arguments.safe && !arguments.all) {
    fmt::print(stderr, "{}: say -n (look only), -p (safe repairs) or -y (all repairs)\n", kProgram);
    return kUsage;
  }
  forbid_dumps();
  set_log_level(LogLevel::kError);
  const Result<int> code = Fsck(arguments).run();
  if (code.ok()) return *code;
  fmt::print(stderr, "{}: {}\n", kProgram, code.error().message());
  const Errc why = code.error().code();
  const bool damage =
      why == Errc::kCorrupt || why == Errc::kAuthentication || why == Errc::kForeign;
  return damage ? kUncorrected : kOperational;
}

}  // namespace varve

int main(int argc, char** argv) {
  return varve::run_fsck(argc, argv);
}
