#include "replicator/replication.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>
#include <thread>

#include "dedup/base/posix_storage.h"
#include "replicator/expiry_log.h"
#include "replicator/stream_tuner.h"

namespace varve {
namespace {

constexpr Nanoseconds kFiguresInterval = 2 * kSecond;
constexpr auto kTick = std::chrono::milliseconds(100);

int64_t seconds_now() {
  return system_clock().now() / kSecond;
}

std::string lock_path(const std::string& root, const RemoteConfig& remote) {
  return root + "/" + replication_folder(remote.replica) + "/lock";
}

/// Invalid if somebody else has it.
Result<UniqueFd> try_lock(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return error_from_errno(errno, "opening " + path);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file;
  if (errno == EWOULDBLOCK) return UniqueFd();
  return error_from_errno(errno, "locking " + path);
}

}  // namespace

const char* name_of(ReplicationState::Phase phase) {
  switch (phase) {
    case ReplicationState::Phase::kIdle:
      return "idle";
    case ReplicationState::Phase::kConnecting:
      return "connecting";
    case ReplicationState::Phase::kSending:
      return "sending";
    case ReplicationState::Phase::kFailed:
      return "failed";
  }
  return "";
}

/// What the streams of one pass share.
struct Replication::Work {
  explicit Work(std::shared_ptr<Pass> pass_in, size_t streams_max)
      : pass(std::move(pass_in)),
        tuner(streams_max, system_clock().monotonic()),
        streams(tuner.streams()) {}
  const std::shared_ptr<Pass> pass;
  StreamTuner tuner;
  size_t streams;         // that may run; under Replication::mutex_, like all that follows
  size_t running = 0;     // that have a shipment, or ask for one
  uint64_t finished = 0;  // shipments
  bool over = false;
  std::optional<Error> error;
  std::vector<std::thread> threads;
};

Replication::Replication(std::string root, Storage& store, StoreConfig config, RemoteConfig remote,
                         ReplicationOptions options)
    : root_(std::move(root)),
      store_(store),
      config_(std::move(config)),
      remote_(std::move(remote)),
      options_(std::move(options)),
      relist_(options_.relist) {}

Replication::~Replication() = default;

Result<std::unique_ptr<Replication>> Replication::open(const std::string& root, Storage& store,
                                                       const StoreConfig& config,
                                                       const RemoteConfig& remote,
                                                       const ReplicationOptions& options) {
  std::unique_ptr<Replication> made(new Replication(root, store, config, remote, options));
  made->limit_ = VARVE_TRY(BandwidthLimit::parse(options.limit ? *options.limit : remote.limit));
  VARVE_TRY(store.make_directories(replication_folder(remote.replica)));
  made->lock_ = VARVE_TRY(try_lock(lock_path(root, remote)));
  if (!made->lock_.valid()) {
    return Error(Errc::kBusy, "another process replicates to '" + remote.name + "' already");
  }
  return made;
}

void Replication::set_phase(ReplicationState::Phase phase) {
  note_progress();
  std::lock_guard lock(mutex_);
  state_.phase = phase;
}

void Replication::note_progress() {
  last_answer_ = system_clock().monotonic();
}

Result<void> Replication::run_once() {
  Result<void> done = run();
  set_phase(done.ok() ? ReplicationState::Phase::kIdle : ReplicationState::Phase::kFailed);
  std::lock_guard lock(mutex_);
  state_.error = done.ok() ? "" : done.error().message();
  state_.error_at = done.ok() ? 0 : seconds_now();
  state_.streams = 0;
  state_.bytes_per_second = 0;
  if (!done.ok()) {
    complete_ = false;
    ledger_.reset();  // what it could not write it has not noted
  }
  return done;
}

Result<void> Replication::run() {
  if (!ledger_) {
    ledger_ = VARVE_TRY(ReplicationLedger::open(store_, replication_ledger_path(remote_.replica)));
  }
  const CatalogMode catalog = catalog_mode();
  if (options_.leave_alone && !relist_ && VARVE_TRY(nothing_is_missing(catalog))) return {};
  set_phase(ReplicationState::Phase::kConnecting);
  const std::unique_ptr<Storage> there =
      VARVE_TRY(in_context(open_posix_storage(remote_.directory), "remote '" + remote_.name + "'"));
  VARVE_TRY(check_remote_identity(*there, config_, remote_));
  const std::string sender = VARVE_TRY(sender_of(store_, root_, config_));
  const std::string shown = "remote '" + remote_.name + "', " + remote_.directory;
  VARVE_TRY(in_context(relist_ ? visit_remote_anew(*there, sender, *ledger_, system_random())
                               : visit_remote(*there, sender, *ledger_, system_random()),
                       shown));
  relist_ = false;
  // Said there before the first snapshot comes without its catalog packs ...
  if (catalog == CatalogMode::kDistributed)
    VARVE_TRY(in_context(note_catalog_mode(*there, sender, catalog), shown));
  VARVE_TRY(in_context(follow_expiry_log(*there, *ledger_), shown));
  Shipment::Route route{store_, *there, sender, ledger_.get()};
  route.replica = remote_.replica;
  std::shared_ptr<Pass> pass = VARVE_TRY(Pass::begin(route, config_, history_, catalog));
  {
    std::lock_guard lock(mutex_);
    pass_ = pass;
  }
  set_phase(ReplicationState::Phase::kSending);
  Result<void> sent = send(pass);
  const PassFigures figures = pass->figures();
  const bool complete =
      sent.ok() && !stopped_ && figures.files_left == 0 && pass->problems().empty();
  if (complete) ledger_->note_complete(seconds_now());
  // ... and until the last of them is there.
  if (complete && catalog == CatalogMode::kReplicated)
    sent = note_catalog_mode(*there, sender, catalog);
  const Result<void> saved = ledger_->save();
  std::lock_guard lock(mutex_);
  state_.figures = figures;
  complete_ = complete;
  return sent.ok() ? saved : in_context(std::move(sent), shown);
}

/// Asks nobody but the ledger.
Result<bool> Replication::nothing_is_missing(CatalogMode catalog) {
  Shipment::Route no_route{store_, store_, "", ledger_.get()};
  no_route.replica = remote_.replica;
  const std::shared_ptr<Pass> survey = VARVE_TRY(Pass::begin(no_route, config_, history_, catalog));
  if (survey->figures().files_left > 0 || survey->holds_wait()) return false;
  std::lock_guard lock(mutex_);
  state_.figures = survey->figures();
  complete_ = survey->problems().empty();
  pass_ = survey;
  return true;
}

Result<void> Replication::send(const std::shared_ptr<Pass>& pass) {
  Work work(pass, options_.streams_max);
  for (size_t i = 0; i < options_.streams_max; i++) {
    work.threads.emplace_back([this, &work, i] { run_stream(work, i); });
  }
  tune(work);
  for (std::thread& thread : work.threads) thread.join();
  if (work.error) return *work.error;
  if (stopped_) return Error(Errc::kInterrupted, "it was stopped; the next run goes on from there");
  return {};
}

/// Until all is over: what came through, how many streams to run, how much may go.
void Replication::tune(Work& work) {
  uint64_t sent_before = bytes_sent_;
  Nanoseconds since = system_clock().monotonic();
  apply_limit();
  std::unique_lock lock(mutex_);
  while (!work.over && !stopped_) {
    wake_.wait_for(lock, kTick);
    const Nanoseconds now = system_clock().monotonic();
    work.tuner.note(now, {bytes_sent_, work.finished}, work.running >= work.streams);
    work.streams = work.tuner.streams();
    if (now - since < kFiguresInterval) continue;
    const uint64_t sent = bytes_sent_ - sent_before;
    const double goodput = static_cast<double>(sent) * 1e9 / static_cast<double>(now - since);
    state_.bytes_per_second = static_cast<uint64_t>(goodput);
    state_.streams = work.running;
    sent_before += sent;
    since = now;
    wake_.notify_all();
    lock.unlock();
    reread_limit();
    apply_limit();
    lock.lock();
  }
  work.over = true;
  wake_.notify_all();
}

/// It may have been changed since the last run.
CatalogMode Replication::catalog_mode() const {
  const Result<RemoteConfig> remote = find_remote(store_, remote_.name);
  return remote.ok() ? remote->catalog : remote_.catalog;
}

/// It may have been changed meanwhile; one that makes no sense changes nothing.
void Replication::reread_limit() {
  if (options_.limit) return;
  const Result<RemoteConfig> remote = find_remote(store_, remote_.name);
  if (!remote.ok()) return;
  Result<BandwidthLimit> limit = BandwidthLimit::parse(remote->limit);
  if (limit.ok()) limit_ = std::move(limit).value();
}

void Replication::apply_limit() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  throttle_.set_rate(limit_.at((local.tm_wday + 6) % 7, local.tm_hour * 60 + local.tm_min));
}

void Replication::run_stream(Work& work, size_t number) {
  for (;;) {
    uint64_t finished = 0;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return work.over || stopped_ || number < work.streams; });
      if (work.over || stopped_) return;
      work.running++;
      finished = work.finished;
    }
    const Result<bool> worked = ship_one(work, *work.pass);
    std::unique_lock lock(mutex_);
    work.running--;
    if (!worked.ok()) {
      if (!work.error) work.error = worked.error();
      work.over = true;
    } else if (!*worked && !work.over) {
      // Everything of this stage is under way already.
      wake_.wait(lock, [&] { return work.over || stopped_ || work.finished != finished; });
    }
    if (worked.ok() && *worked) work.finished++;
    wake_.notify_all();
  }
}

/// False if there is nothing to do just now.
Result<bool> Replication::ship_one(Work& work, Pass& pass) {
  Pass::Next next = VARVE_TRY(pass.next());
  note_progress();
  if (next.ask == Pass::Ask::kOver) {
    std::lock_guard lock(mutex_);
    work.over = true;
  }
  if (next.ask != Pass::Ask::kWork) return false;
  VARVE_TRY(ship(pass, *next.shipment));
  return true;
}

Result<void> Replication::ship(Pass& pass, Shipment& shipment) {
  for (;;) {
    if (stopped_ || !wait_for_turn(shipment.next_write())) return {};
    const uint64_t before = shipment.written();
    const std::optional<Shipment::Outcome> outcome = VARVE_TRY(shipment.step());
    bytes_sent_ += shipment.written() - before;
    note_progress();
    if (outcome) return pass.finished(shipment, *outcome);
  }
}

/// False: stopped while waiting.
bool Replication::wait_for_turn(uint64_t bytes) {
  if (bytes == 0) return true;
  for (;;) {
    const Throttle::Turn turn = throttle_.take(bytes, system_clock().monotonic());
    if (turn.wait > 0) sleep_for(turn.wait);
    if (stopped_) return false;
    note_progress();  // waiting by order is no stall
    if (turn.may_go) return true;
  }
}

void Replication::sleep_for(Nanoseconds duration) {
  const Nanoseconds end = system_clock().monotonic() + duration;
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    const Nanoseconds left = end - system_clock().monotonic();
    if (left <= 0) return;
    wake_.wait_for(lock, std::chrono::nanoseconds(std::min<Nanoseconds>(left, kSecond)));
  }
}

void Replication::stop() {
  stopped_ = true;
  std::lock_guard lock(mutex_);
  wake_.notify_all();
}

bool Replication::complete() const {
  std::lock_guard lock(mutex_);
  return complete_;
}

ReplicationState Replication::state() const {
  std::shared_ptr<Pass> pass;
  ReplicationState state;
  {
    std::lock_guard lock(mutex_);
    state = state_;
    if (state_.phase == ReplicationState::Phase::kSending) pass = pass_;
  }
  if (pass) state.figures = pass->figures();
  const bool busy = state.phase == ReplicationState::Phase::kSending ||
                    state.phase == ReplicationState::Phase::kConnecting;
  const int64_t silent = (system_clock().monotonic() - last_answer_) / kSecond;
  state.last_progress = last_answer_ == 0 ? 0 : seconds_now() - silent;
  state.stalled = busy && silent >= kStalledSeconds;
  return state;
}

std::vector<std::string> Replication::problems() const {
  std::shared_ptr<Pass> pass;
  {
    std::lock_guard lock(mutex_);
    pass = pass_;
  }
  return pass ? pass->problems() : std::vector<std::string>();
}

Result<void> Replication::save_state() {
  const ReplicationState now = state();
  nlohmann::json saved = {{"phase", name_of(now.phase)},
                          {"bytes_per_second", now.bytes_per_second},
                          {"streams", now.streams}};
  if (now.stalled) saved["stalled_since"] = utc_iso(now.last_progress * kSecond);
  if (!now.error.empty()) {
    saved["error"] = now.error;
    saved["error_at"] = utc_iso(now.error_at * kSecond);
  }
  const std::vector<std::string> found = problems();
  if (!found.empty()) saved["problems"] = found;
  const std::string text =
      saved.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (text == saved_) return {};
  VARVE_TRY(write_whole(store_, replication_state_path(remote_.replica), as_bytes(text)));
  saved_ = text;
  return {};
}

Result<ReplicationStanding> replication_standing(const std::string& root, Storage& store,
                                                 const StoreConfig& config,
                                                 const RemoteConfig& remote) {
  constexpr size_t kStateBytesMax = 16 * kMiB;
  ReplicationStanding standing;
  const auto ledger =
      VARVE_TRY(ReplicationLedger::read(store, replication_ledger_path(remote.replica)));
  standing.last_complete = ledger->last_complete();
  CarriedHistory history;
  const Shipment::Route no_route{store, store, "", ledger.get()};
  standing.missing = VARVE_TRY(Pass::begin(no_route, config, history, remote.catalog))->figures();
  const Result<Bytes> saved =
      read_whole(store, replication_state_path(remote.replica), kStateBytesMax);
  if (saved.ok()) standing.saved_state = std::string(as_text(*saved));
  const UniqueFd lock(::open(lock_path(root, remote).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  standing.running =
      lock.valid() && ::flock(lock.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  return standing;
}

}  // namespace varve
