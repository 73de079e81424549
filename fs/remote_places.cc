#include "fs/remote_places.h"

#include <algorithm>

#include "dedup/base/log.h"
#include "fs/waiting_elsewhere.h"

namespace varve {
namespace {

constexpr std::chrono::seconds kStartEvery{1};
constexpr std::chrono::seconds kKeptUnused{30};
constexpr const char* kStoreConfig = "store.json";

}  // namespace

RemotePlaces::RemotePlaces(std::unique_ptr<Storage> store, StartAt start, const FetchLimits& limits)
    : store_(std::move(store)), start_(std::move(start)), limits_(limits) {
  read_configuration();
}

bool RemotePlaces::has_places() {
  std::lock_guard lock(mutex_);
  return !remotes_.empty();
}

void RemotePlaces::stop() {
  std::vector<Files> open;
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    open = retired_;
    for (const auto& [name, remote] : remotes_) {
      if (remote.files) open.push_back(remote.files);
    }
  }
  for (const Files& files : open) files->stop();
}

Result<void> RemotePlaces::ask(const PackInfo&, const Read& read) {
  {
    std::lock_guard lock(mutex_);
    if (stopped_) return Error(Errc::kIo, "the mount is ending");
    if (waiting_ >= kRemoteWaitsMax)
      return Error(Errc::kIo, "too many reads wait for remotes already");
    waiting_++;
  }
  Result<void> done;
  {
    WaitingElsewhere waiting;
    done = ask_all(read);
  }
  std::lock_guard lock(mutex_);
  waiting_--;
  return done;
}

Result<void> RemotePlaces::ask_all(const Read& read) {
  std::optional<Error> unanswered, damaged;
  for (const std::string& name : in_order()) {
    Error error(Errc::kNotFound);
    switch (ask_one(name, read, error)) {
      case Said::kGiven:
        return {};
      case Said::kReaderFailed:
        return error;
      case Said::kNotThere:
        break;
      case Said::kDamaged:
        damaged = std::move(error);
        break;
      case Said::kNothing:
        unanswered = std::move(error);
        break;
    }
  }
  if (unanswered) return *unanswered;
  if (damaged) return *damaged;
  return Error(Errc::kNotFound, "no remote has it");
}

RemotePlaces::Said RemotePlaces::ask_one(const std::string& name, const Read& read, Error& error) {
  const Result<Files> files = files_of(name);
  Result<void> done = files.ok() ? read({name, *files}) : Result<void>(files.error());
  if (!done.ok() && done.error().code() == Errc::kNotFound && files.ok()) {
    const Result<bool> shows_store = (*files)->exists(kStoreConfig);
    if (shows_store.ok() && *shows_store) return Said::kNotThere;
    done = shows_store.ok() ? Error(Errc::kIo, "nothing of the store is there; is it mounted?")
                            : shows_store.error();
  }
  if (done.ok()) {
    note(name, *files, true);
    return Said::kGiven;
  }
  error = Error(done.error()).with_context("remote " + name);
  const Errc code = error.code();
  if (code == Errc::kCorrupt || code == Errc::kAuthentication) return Said::kDamaged;
  if (code == Errc::kNoSpace || code == Errc::kInterrupted) return Said::kReaderFailed;
  note(name, files.ok() ? *files : nullptr, false);
  error = Error(Errc::kIo, error.message());
  return Said::kNothing;
}

Result<std::shared_ptr<Storage>> RemotePlaces::files_at(const std::string& name) {
  read_configuration();  // it may have been added just now
  return std::shared_ptr<Storage>(VARVE_TRY(files_of(name)));
}

std::vector<std::string> RemotePlaces::in_order() {
  std::vector<std::string> names, silent;
  std::lock_guard lock(mutex_);
  for (const auto& [name, remote] : remotes_) (remote.is_silent ? silent : names).push_back(name);
  names.insert(names.end(), silent.begin(), silent.end());
  return names;
}

Result<RemotePlaces::Files> RemotePlaces::files_of(const std::string& name) {
  std::lock_guard lock(mutex_);
  const auto found = remotes_.find(name);
  if (found == remotes_.end() || stopped_) return Error(Errc::kIo, "is gone");
  Remote& remote = found->second;
  const SteadyClock::time_point now = SteadyClock::now();
  remote.used_at = now;
  if (remote.files) return remote.files;
  if (remote.started_at != SteadyClock::time_point() && now - remote.started_at < kStartEvery)
    return Error(Errc::kIo, "cannot be read now");
  remote.started_at = now;
  remote.files = VARVE_TRY(open_fetched_storage(start_(remote.directory), limits_));
  return remote.files;
}

void RemotePlaces::note(const std::string& name, const Files& files, bool answered) {
  const bool silent = !answered && files && files->is_silent();
  std::lock_guard lock(mutex_);
  const auto found = remotes_.find(name);
  if (found == remotes_.end()) return;
  Remote& remote = found->second;
  if (remote.is_silent != !answered) {
    log_info("remote " + name + (answered ? " answers again" : " does not answer"));
    remote.is_silent = !answered;
  }
  remote.used_at = SteadyClock::now();
  // What failed at once fails for ever where the mount behind it is another one now; what hangs
  // goes on, and who asks again joins it.
  if (!answered && !silent && remote.files == files) retire(remote);
}

void RemotePlaces::retire(Remote& remote) {
  if (remote.files) retired_.push_back(std::exchange(remote.files, nullptr));
}

void RemotePlaces::rest() {
  read_configuration();
  std::vector<Files> ended;  // outside the lock: a helper that hangs has its moment
  {
    std::lock_guard lock(mutex_);
    const SteadyClock::time_point now = SteadyClock::now();
    for (auto& [name, remote] : remotes_) {
      if (now - remote.used_at >= kKeptUnused) retire(remote);
    }
    const auto is_unused = [](const Files& files) { return files.use_count() == 1; };
    const auto unused = std::stable_partition(retired_.begin(), retired_.end(),
                                              [&](const Files& f) { return !is_unused(f); });
    ended.assign(std::make_move_iterator(unused), std::make_move_iterator(retired_.end()));
    retired_.erase(unused, retired_.end());
  }
}

void RemotePlaces::read_configuration() {
  const Result<std::vector<RemoteConfig>> read = list_remotes(*store_);
  std::lock_guard lock(mutex_);
  if (!read.ok()) {
    if (!std::exchange(configuration_failed_, true))
      log_warning("the store's remotes are not known: " + read.error().message());
    return;
  }
  configuration_failed_ = false;
  std::map<std::string, Remote> now;
  for (const RemoteConfig& config : *read) {
    const auto known = remotes_.find(config.name);
    if (known != remotes_.end() && known->second.directory == config.directory) {
      now[config.name] = std::move(known->second);
      remotes_.erase(known);
    } else {
      now[config.name].directory = config.directory;
    }
  }
  for (auto& [name, remote] : remotes_) retire(remote);
  remotes_ = std::move(now);
}

}  // namespace varve
