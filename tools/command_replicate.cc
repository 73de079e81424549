// varve replicate: copies what a store's remotes lack, once or for good.
#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <thread>

#include "catalog/local_place.h"
#include "dedup/base/log.h"
#include "replicator/replication.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/progress_line.h"
#include "tools/report.h"
#include "tools/succession_line.h"
#include "tools/supervised.h"

namespace varve {
namespace {

constexpr Nanoseconds kLookAgain = 10 * kSecond;          // for files that are new here
constexpr Nanoseconds kLookAgainAtDamage = 60 * kSecond;  // what is damaged is read again each time
constexpr Nanoseconds kBackoffMin = 5 * kSecond, kBackoffMax = 300 * kSecond;
constexpr timespec kTick{0, 200'000'000};
constexpr int kTicksToSave = 10;

struct ReplicateOptions {
  std::string store, remote, limit;
  bool limit_given = false, watch = false, relist = false, json = false;
};

/// One remote, in a thread of its own: one that hangs holds up no other.
struct Job {
  std::unique_ptr<Replication> replication;
  std::thread thread;
  std::atomic<bool> done{false};
  Result<void> result;
};

void watch(Replication& replication) {
  Nanoseconds backoff = kBackoffMin;
  while (!replication.stopped()) {
    const Result<void> done = replication.run_once();
    if (replication.stopped()) return;
    if (done.ok()) {
      backoff = kBackoffMin;
      replication.sleep_for(replication.complete() ? kLookAgain : kLookAgainAtDamage);
      continue;
    }
    log_warning(done.error().message() + fmt::format("; again in {} s", backoff / kSecond));
    replication.sleep_for(backoff);
    backoff = std::min(2 * backoff, kBackoffMax);
  }
}

void run_job(Job& job, bool for_good) {
  if (for_good) {
    watch(*job.replication);
  } else {
    job.result = job.replication->run_once();
  }
  job.done = true;
}

std::string progress_of(const std::vector<std::unique_ptr<Job>>& jobs) {
  std::string text;
  for (const auto& job : jobs) {
    if (job->done) continue;
    const ReplicationState state = job->replication->state();
    if (!text.empty()) text += "; ";
    text += job->replication->remote().name + ": ";
    if (state.stalled) {
      text += "stalled since " + utc_iso(state.last_progress * kSecond);
    } else {
      text += fmt::format("{} files ({}) left, {}/s, {} at once", state.figures.files_left,
                          human_bytes(state.figures.bytes_left),
                          human_bytes(state.bytes_per_second), state.streams);
    }
  }
  return text;
}

/// The main thread waits for no remote: while one hangs, the others go on and status is told.
class Replicate {
 public:
  explicit Replicate(const ReplicateOptions& options)
      : options_(options), line_(!options.json && !options.watch) {
    sigemptyset(&signals_);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals_, number);
  }

  Result<int> run() {
    storage_ = VARVE_TRY(open_store_storage(options_.store));
    const StoreConfig config = VARVE_TRY(in_context(read_store_config(*storage_), options_.store));
    const std::string succession = VARVE_TRY(succession_line(options_.store, *storage_, config));
    if (!succession.empty()) fmt::print(stderr, "varve: {}\n", succession);
    ReplicationOptions wanted;
    wanted.relist = options_.relist;
    wanted.leave_alone = options_.watch;
    if (options_.limit_given) wanted.limit = options_.limit;
    for (const RemoteConfig& remote : VARVE_TRY(chosen())) {
      auto job = std::make_unique<Job>();
      job->replication =
          VARVE_TRY(Replication::open(options_.store, *storage_, config, remote, wanted));
      jobs_.push_back(std::move(job));
    }
    // Taken by wait() alone; threads inherit it.
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    for (const auto& job : jobs_) {
      job->thread =
          std::thread([&job = *job, for_good = options_.watch] { run_job(job, for_good); });
    }
    wait();
    line_.clear();
    save_states();
    for (const auto& job : jobs_) job->thread.join();
    return report();
  }

 private:
  Result<std::vector<RemoteConfig>> chosen() {
    if (!options_.remote.empty())
      return std::vector<RemoteConfig>{VARVE_TRY(find_remote(*storage_, options_.remote))};
    std::vector<RemoteConfig> all = VARVE_TRY(list_remotes(*storage_));
    if (all.empty()) {
      return Error(Errc::kNotFound,
                   options_.store + " has no remotes: varve remote add STORE NAME DIR makes one");
    }
    return all;
  }

  bool all_done() const {
    return std::all_of(jobs_.begin(), jobs_.end(),
                       [](const auto& job) { return job->done.load(); });
  }

  /// Until all jobs are done. After a signal they end as soon as their remotes let go of them; who
  /// started this process does not wait for that.
  void wait() {
    int ticks = 0;
    while (!all_done()) {
      if (::sigtimedwait(&signals_, nullptr, &kTick) > 0) {
        for (const auto& job : jobs_) job->replication->stop();
      }
      line_.show(progress_of(jobs_));
      if (++ticks % kTicksToSave == 0) save_states();
    }
  }

  void save_states() {
    for (const auto& job : jobs_) {
      const Result<void> saved = job->replication->save_state();
      if (!saved.ok())
        log_warning("how replication stands cannot be written down: " + saved.error().message());
    }
  }

  nlohmann::json fields_of(const Job& job) const {
    const ReplicationState state = job.replication->state();
    const PassFigures& figures = state.figures;
    nlohmann::json fields = {{"remote", job.replication->remote().name},
                             {"complete", job.replication->complete()},
                             {"catalog", name_of(job.replication->remote().catalog)},
                             {"files_sent", figures.files_sent},
                             {"bytes_sent", figures.bytes_sent},
                             {"files_were_there", figures.files_were_there},
                             {"snapshots_sent", figures.snapshots_sent},
                             {"snapshots_waiting", figures.snapshots_waiting},
                             {"files_left", figures.files_left},
                             {"bytes_left", figures.bytes_left},
                             {"problems", job.replication->problems()}};
    if (!job.result.ok()) fields["error"] = job.result.error().message();
    return fields;
  }

  static void print(const nlohmann::json& fields) {
    for (const auto& problem : fields["problems"])
      fmt::print(stderr, "varve: {}\n", problem.get<std::string>());
    std::string found;
    if (const auto there = fields["files_were_there"].get<uint64_t>(); there > 0)
      found = fmt::format(", {} were there already", there);
    const bool all = fields["catalog"] == name_of(CatalogMode::kReplicated);
    fmt::print("{}: {} files sent ({}){}; {}\n", fields["remote"].get<std::string>(),
               fields["files_sent"].get<uint64_t>(),
               human_bytes(fields["bytes_sent"].get<uint64_t>()), found,
               fields["complete"].get<bool>()
                   ? (all ? "everything is there"
                          : "everything but catalog packs is there: not a disaster copy")
                   : fmt::format("{} files are not there", fields["files_left"].get<uint64_t>()));
  }

  int report() const {
    int code = kExitOk;
    nlohmann::json all = nlohmann::json::array();
    for (const auto& job : jobs_) {
      const nlohmann::json fields = fields_of(*job);
      all.push_back(fields);
      if (!options_.json && !options_.watch && job->result.ok()) print(fields);
      int one = kExitOk;
      if (!job->result.ok()) {
        one = options_.json ? exit_code_of(job->result.error()) : report_error(job->result.error());
      } else if (!options_.watch && !job->replication->complete()) {
        one = kExitCorrupt;
      }
      if (code == kExitOk) code = one;
    }
    if (options_.json)
      fmt::print("{}\n", all.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return code;
  }

  const ReplicateOptions& options_;
  ProgressLine line_;
  sigset_t signals_;
  std::unique_ptr<Storage> storage_;
  std::vector<std::unique_ptr<Job>> jobs_;
};

}  // namespace

void add_replicate_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<ReplicateOptions>();
  CLI::App* command = app.add_subcommand(
      "replicate", "Copy what a store's remotes lack; mounted or not, no key is needed");
  command->add_option("store", options->store, "STORE")->required();
  command->add_option("--remote", options->remote, "That one only (else all, each by itself)")
      ->type_name("NAME");
  command->add_flag("--watch", options->watch, "Go on for good, as a service");
  command->add_flag("--relist", options->relist,
                    "Forget what is known of the remote: look at what is there, and take a remote "
                    "that was rolled back as it is");
  CLI::Option* limit = command->add_option(
      "--limit", options->limit, "Bytes a second, in place of the limit that the remote has");
  limit->type_name("LIMIT");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "Examples: varve replicate /srv/store\n"
      "          varve replicate /srv/store --remote offsite --watch\n"
      "A snapshot is seen at the remote when all that it needs is there. Interrupted, it goes on\n"
      "where it stopped. Exit code 5: something here is damaged and was not sent.");
  command->callback([options, limit, &exit_code] {
    options->limit_given = limit->count() > 0;
    const auto run = [&] {
      const Result<int> done = Replicate(*options).run();
      return done.ok() ? *done : report_error(done.error());
    };
    exit_code = run_supervised(run);
  });
}

}  // namespace varve
